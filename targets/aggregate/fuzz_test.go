package aggregate

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/filter"
)

// FuzzAnswersOfServices: whatever a service says, the answer is an error, or cut, or JSON that is strictly right.
func FuzzAnswersOfServices(f *testing.F) {
	for _, seed := range []string{`{}`, `[1,2]`, `{"a":1,"a":2}`, `{"a":{"b":[`, "\"\xff\"", `1 2`, ``, "[\n1 ,\r\n2]", `{"data":{"x":1e999}}`, strings.Repeat("[", 600), "\xef\xbb\xbf{}"} {
		f.Add([]byte(seed), uint8(len(seed)))
	}
	var said []byte
	answer := func(*filter.Exchange, *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, ContentLength: -1, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(said))}, nil
	}
	var targets []*aggregate
	var route *filter.Route
	slots := 0
	for _, text := range []string{
		`{a: users}`, `{a: users, b: {call: "orders/{a.x}", optional: true}}`, `{a: {call: users, drop: [x], flatten: [data]}}`, `{a: users, b: {call: orders, as: c}, compose: {merge: true, collisions: last}}`,
		`{a: users, compose: "[.a]"}`, `{a: users, format: ndjson}`, `{a: users, format: sse}`,
	} {
		a, env, err := made(f, text, answer)
		if err != nil {
			f.Fatal(err)
		}
		targets, route, slots = append(targets, a), env.Route, max(slots, env.Slots())
	}
	f.Fuzz(func(t *testing.T, body []byte, which uint8) {
		hangs := time.AfterFunc(10*time.Second, func() { panic("it hangs") })
		defer hangs.Stop()
		said = body
		a := targets[int(which)%len(targets)]
		r, _ := http.NewRequest("GET", "http://gateway/", nil)
		ex := &filter.Exchange{Request: r, Route: route}
		ex.Prepare(slots)
		defer ex.Release()
		resp, err := a.Serve(ex)
		if err != nil {
			return
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return
		}
		switch a.composed.format {
		case "sse":
			got = bytes.TrimPrefix(got, []byte("event: a\ndata: "))
			fallthrough
		case "ndjson":
			if got = bytes.TrimRight(got, "\n"); bytes.ContainsAny(got, "\r\n") {
				t.Errorf("%q has several lines", got)
			}
		}
		if !jsontext.Value(got).IsValid() {
			t.Errorf("%q gives %q", body, got)
		}
	})
}
