package aggregate_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// list writes a list of so many bytes, which repeats an element.
func list(element string, size int) http.HandlerFunc {
	block := []byte(strings.Repeat(","+element, max(1, 32<<10/len(element))))
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "["+element)
		for n := 0; n < size; n += len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, "]")
	}
}

// peak is the most that lives while something is done, as the collector finds it.
func peak(do func()) int64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	now := func() int64 {
		runtime.GC()
		metrics.Read(live)
		return int64(live[0].Value.Uint64())
	}
	before, most := now(), int64(0)
	var ended atomic.Bool
	go func() { do(); ended.Store(true) }()
	for !ended.Load() {
		most = max(most, now()-before)
		time.Sleep(time.Millisecond) // the collector leaves the request some of the machine
	}
	return most
}

// TestMemoryIsBounded: whatever services answer, and however often they are asked, a request does not hold much more than it may.
func TestMemoryIsBounded(t *testing.T) {
	const most = 8 << 20
	upstreams := services(t, map[string]http.HandlerFunc{
		"texts":   list(`"`+strings.Repeat("x", 1000)+`"`, 5<<20),
		"objects": list(`{"a":1}`, 512<<10),
		"lists":   list("[]", 30<<10),
		"deep":    says(strings.Repeat("[", 500) + strings.Repeat("]", 500)),
		"numbers": list("1", 50<<10),
		"fields":  says(`{"` + strings.Repeat(`x`, 10) + manyFields(100_000) + `}`),
		"good":    says(`{"ok":1}`),
		"text": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, err := io.WriteString(w, `"`)
			for block := []byte(strings.Repeat("x", 64<<10)); err == nil; {
				_, err = w.Write(block) // it never ends
			}
		},
	})
	var calls, merged strings.Builder
	for i := range 40 {
		fmt.Fprintf(&calls, ", c%d: objects/%d", i, i)
		fmt.Fprintf(&merged, ", c%d: texts/%d", i, i)
	}
	var indexes []string
	for i := range 1000 {
		indexes = append(indexes, fmt.Sprint(i))
	}
	thousand := "'[" + strings.Join(indexes, ",") + "]', max: 1000"
	for name, test := range map[string]struct {
		aggregate string
		status    int
		want      string
	}{
		"a hundred turns":            {`{a: {each: {in: '[` + strings.Join(indexes[:100], ",") + `]'}, call: 'texts/{item}'}, max_part: 2GiB}`, 502, `"call_failed"`},
		"calls that are looked into": {`{z: good` + calls.String() + `, compose: .z}`, 502, `"call_failed"`},
		"calls that are merged":      {`{z: texts` + merged.String() + `, compose: merge}`, 502, `"call_failed"`},
		"a thousand small ones":      {`{a: {each: {in: ` + thousand + `}, call: 'lists/{item}'}, b: "good/{size(a)}", max_part: 1GiB}`, 502, `"call_failed"`},
		"a thousand deep ones":       {`{a: {each: {in: ` + thousand + `}, call: 'deep/{item}'}, b: "good/{size(a)}"}`, 502, `"call_failed"`},
		"merged fields":              {`{a: fields, b: good, compose: merge}`, 502, `"call_failed"`},
		"jq that multiplies texts":   {`{a: good, compose: '[limit(1000; repeat("x" * 1000000))] | length'}`, 502, `"call_failed"`},
		"jq that multiplies lists":   {`{a: numbers, compose: '[range(1000) as $i | .a + [$i]] | length'}`, 502, `"call_failed"`},
		"jq that multiplies objects": {`{a: numbers, compose: '[range(1000) as $i | .a | map({x: .})] | length'}`, 502, `"call_failed"`},
		"jq that multiplies itself":  {`{a: numbers, compose: '[range(1000) as $i | .a]'}`, 502, `"call_failed"`},
		"identical ones":             {`{a: texts, b: texts, c: texts, d: texts}`, 200, `{"a":["x`},
		"passed through":             {`{a: texts/1, b: texts/2, c: texts/3, d: texts/4}`, 200, `{"a":["x`},
		"a text without end":         {`{a: text}`, 200, `{"a":"x`},
		"optional ones":              {`{a: {call: good, pick: [ok]}, b: {call: objects, optional: true, default: {x: 1}}, c: {call: "good/{b.x}", pick: [ok]}}`, 200, `{"a":{"ok":1},"b":{"x":1},"c":{"ok":1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, upstreams+"overload: off\nroutes:\n  - match: /\n    aggregate: "+strings.Replace(test.aggregate, "{", "{max_memory: 8MiB, ", 1)+"\n")
			var resp *http.Response
			var body string
			held := peak(func() {
				var err error
				if resp, err = g.Client.Get(g.URL + "/"); err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
				body = string(b)
				_, _ = io.Copy(io.Discard, resp.Body)
			})
			t.Logf("%d MiB", held>>20)
			if resp == nil || resp.StatusCode != test.status || !strings.Contains(body, test.want) || held > 3*most {
				t.Errorf("%v %.200s, with %d MiB", resp, body, held>>20)
			}
		})
	}
}

func manyFields(n int) string {
	var b strings.Builder
	b.WriteString(`":1`)
	for i := range n {
		fmt.Fprintf(&b, `,"%d":1`, i)
	}
	return b.String()
}

// TestABodyThatExplodes: what the client sends counts as well.
func TestABodyThatExplodes(t *testing.T) {
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{"echo": echo})+`
routes:
  - {match: /, aggregate: {a: {call: POST echo, body: "{body}", pick: [asked]}, max_body: 8MiB, max_memory: 4MiB}}
`)
	if resp, body := g.Do("POST", "/", `[`+strings.Repeat(`{"a":1},`, 50_000)+`{}]`); resp.StatusCode != 413 || !strings.Contains(body, `"body_too_large"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := g.Do("POST", "/", `[`+strings.Repeat(`{"a":1},`, 500)+`{}]`); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := g.Do("POST", "/", `"`+strings.Repeat(`x`, 3<<20)+`"`); resp.StatusCode != 502 || !strings.Contains(body, `"call_failed"`) {
		t.Errorf("%d %s", resp.StatusCode, body) // it is held twice, as a value and as the body of the call
	}
}

// TestWhatNoBufferIsLeftFor is sent as it is.
func TestWhatNoBufferIsLeftFor(t *testing.T) {
	upstreams := services(t, map[string]http.HandlerFunc{"a": list(`"`+strings.Repeat("x", 1000)+`"`, 400<<10), "b": says(`{"ok":1}`)})
	g := gatewaytest.New(t, upstreams+"routes:\n  - {match: /, aggregate: {a: a, b: 'b/{size(a)}', max_memory: 1MiB}}\n")
	resp, body := g.Get("/")
	if resp.StatusCode != 200 || !strings.HasSuffix(body, `x"],"b":{"ok":1}}`) || resp.ContentLength >= 0 {
		t.Errorf("%d, %d bytes, %.100s", resp.StatusCode, resp.ContentLength, body)
	}
}
