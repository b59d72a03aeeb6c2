package transform_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/jq"
)

// flushed sends a part of a body.
func flushed(w http.ResponseWriter, text string) {
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

// TestWhatStreamsBeginsBeforeTheEnd: the upstream ends its answer only when the client has read the beginning of it.
func TestWhatStreamsBeginsBeforeTheEnd(t *testing.T) {
	long := strings.Repeat("x", 64<<10) // more than is gathered on the way
	for name, test := range map[string]struct{ policy, typ, begin, end, want string }{
		"JSON":              {`response: {drop: ["[].b"]}`, "application/json", `[{"a":"` + long + `","b":1},`, `{"a":2}]`, `[{"a":"xxx`},
		"JSON, checked":     {`response: {}`, "application/json", `[{"a":1},`, `{"a":2}]`, `[{"a":1`},
		"to NDJSON":         {`response: {to: ndjson}`, "application/json", `[{"a":1},`, `{"a":2}]`, "{\"a\":1}\n"},
		"edited, to NDJSON": {`response: {select: items, to: ndjson}`, "application/json", `{"items":[` + strings.Repeat(`{"a":1,"s":"xxxxxxxx"},`, 1000), `{"a":2}]}`, `{"a":1,"s":"xxxxxxxx"}`},
		"to CSV":            {"response: {to: csv}\ncsv: {columns: [a]}", "application/json", `[{"a":1},` + strings.Repeat(`{"a":"xxxxxxxxxx"},`, 10000), `{"a":2}]`, "a\r\n1\r\n"},
		"from CSV":          {`response: {from: csv, to: ndjson}`, "text/csv", "a\n1\n" + strings.Repeat("xxxxxxxxxxxxxxxx\n", 10000), "2\n", "{\"a\":\"1\"}\n"},
		"to XML":            {"response: {to: xml}\nxml: {declaration: false, root: r, item: i, buffer: 4KiB}", "application/json", `[{"a":1},` + strings.Repeat(`{"a":"xxxxxxxxxx"},`, 10000), `{"a":2}]`, "<r><i><a>1</a></i>"},
	} {
		t.Run(name, func(t *testing.T) {
			read := make(chan struct{})
			g := gatewaytest.New(t, upstream(t, test.policy, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", test.typ)
				flushed(w, test.begin)
				select {
				case <-read:
				case <-r.Context().Done():
				}
				_, _ = io.WriteString(w, test.end)
			}))
			resp, err := g.Client.Get(g.URL + "/x")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			begin := make([]byte, len(test.want))
			if _, err := io.ReadFull(resp.Body, begin); err != nil || string(begin) != test.want {
				t.Fatalf("got %q, %v", begin, err)
			}
			close(read)
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWhatTurnsOutWrongLateIsCut, and never ends as if it were whole; with `whole` it is refused.
func TestWhatTurnsOutWrongLateIsCut(t *testing.T) {
	handler := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		flushed(w, `[{"a":1},`+strings.Repeat(`{"a":"xxxxxxxxxxxxxx"},`, 10000))
		_, _ = io.WriteString(w, `{"a":1,"a":2}]`)
	}
	for _, policy := range []string{`response: {drop: ["[].b"]}`, `response: {to: ndjson}`, `response: {}`} {
		g := gatewaytest.New(t, upstream(t, policy, handler))
		resp, err := g.Client.Get(g.URL + "/x")
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 || err == nil {
			t.Errorf("%s: got %d, %v", policy, resp.StatusCode, err)
		}
		whole := strings.TrimSuffix(policy, "}") + ", whole: true}"
		g = gatewaytest.New(t, upstream(t, strings.Replace(whole, "{, ", "{", 1), handler))
		if resp, _ := g.Get("/x"); resp.StatusCode != 502 {
			t.Errorf("%s: got %d", whole, resp.StatusCode)
		}
	}
}

// TestAnUpstreamThatBreaksOff cuts the answer, or is an error where nothing was sent yet.
func TestAnUpstreamThatBreaksOff(t *testing.T) {
	for _, length := range []int{0, 1 << 20} {
		g := gatewaytest.New(t, upstream(t, `response: {drop: [b]}`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			flushed(w, `{"a":"`+strings.Repeat("x", length)+`",`)
			panic(http.ErrAbortHandler)
		}))
		resp, err := g.Client.Get(g.URL + "/x")
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if length == 0 && resp.StatusCode != 502 || length > 0 && err == nil {
			t.Errorf("%d bytes: got %d, %v", length, resp.StatusCode, err)
		}
	}
}

// endless writes elements until a number of bytes.
type endless struct {
	text  string
	left  int
	began bool
	rest  string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest == "" {
		switch {
		case !e.began:
			e.began, e.rest = true, "["+e.text
		case e.left < 0:
			return 0, io.EOF
		case e.left == 0:
			e.left, e.rest = -1, "]"
		default:
			e.rest = "," + e.text
		}
		e.left = max(e.left-len(e.rest), min(e.left, 0))
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// TestWhatStreamsIsNotHeld: bodies that are much longer than all memory that is taken, both ways.
func TestWhatStreamsIsNotHeld(t *testing.T) {
	const size = 64 << 20
	element := `{"a":"` + strings.Repeat("x", 1000) + `","b":1.50}`
	var most uint64
	look := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}
	text := upstream(t, "request: {drop: ['[].c'], to: ndjson}\nresponse: {from: ndjson, drop: ['[].a']}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		lines, n := bufio.NewReader(r.Body), 0
		for {
			line, err := lines.ReadSlice('\n')
			if err != nil {
				break
			}
			if n++; n%10000 == 0 || len(line) < 1000 {
				look()
			}
		}
		for i := range n {
			if i%10000 == 0 {
				look()
			}
			_, _ = io.WriteString(w, element+"\n")
		}
		fmt.Fprintf(w, "{\"n\":%d}\n", n)
	})
	g := gatewaytest.New(t, text)
	runtime.GC()
	look()
	before := most
	req, _ := http.NewRequest("POST", g.URL+"/x", &endless{text: element, left: size})
	req.Header.Set("Content-Type", "application/json")
	resp, err := g.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	tail := ""
	buf := make([]byte, 32<<10)
	for err == nil {
		var n int
		n, err = resp.Body.Read(buf)
		if tail += string(buf[:n]); len(tail) > 100 {
			tail = tail[len(tail)-100:]
		}
	}
	if err != io.EOF || !strings.HasSuffix(tail, "}]\n") && !strings.HasSuffix(tail, "}]") || !strings.Contains(tail, `{"b":1.50},{"n":`) {
		t.Errorf("got %d, %v: …%s\n%s", resp.StatusCode, err, tail, g.Log())
	}
	if grown := int64(most) - int64(before); grown > size/2 {
		t.Errorf("%d bytes are held", grown)
	}
}

// TestOneHugePartIsNotHeld: a text without an end, or names without an end, are refused though the body could pass.
func TestOneHugePartIsNotHeld(t *testing.T) {
	for name, part := range map[string]func(i int) string{
		"a text":   func(int) string { return strings.Repeat("x", 100) },
		"a number": func(int) string { return strings.Repeat("1", 100) },
		"names":    func(i int) string { return fmt.Sprintf(`"%090d":1,`, i) },
		"space":    func(int) string { return strings.Repeat(" ", 100) },
	} {
		for _, policy := range []string{`response: {drop: [b]}`, `response: {}`, `response: {select: "[]", to: ndjson}`} {
			begin := map[string]string{"a text": `{"a":"`, "a number": `{"a":1`, "names": `{`, "space": `{`}[name]
			sent := 0
			g := gatewaytest.New(t, upstream(t, policy, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, err := io.WriteString(w, begin)
				for i := 0; err == nil && sent < 64<<20; i++ {
					var n int
					n, err = io.WriteString(w, part(i))
					sent += n
				}
			}))
			resp, err := g.Client.Get(g.URL + "/x")
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			g.Client.CloseIdleConnections()
			if resp.StatusCode != 502 && err == nil {
				t.Errorf("%s, %s: got %d", name, policy, resp.StatusCode)
			}
			if !strings.Contains(g.Log(), "bytes") || !strings.Contains(g.Log(), "transform_failed") {
				t.Errorf("%s, %s: the log is %s", name, policy, g.Log())
			}
		}
	}
}

// TestABrokenRequestThatStreams never ends well for the upstream.
func TestABrokenRequestThatStreams(t *testing.T) {
	ended := make(chan error, 1)
	g := gatewaytest.New(t, upstream(t, `request: {drop: ["[].b"]}`, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}))
	req, _ := http.NewRequest("POST", g.URL+"/x", io.MultiReader(strings.NewReader("["+strings.Repeat(`{"a":"xxxxxxxxxxx"},`, 10000)), strings.NewReader("}")))
	req.Header.Set("Content-Type", "application/json")
	resp, err := g.Client.Do(req)
	if err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("got %d\n%s", resp.StatusCode, g.Log())
		}
	}
	if err := <-ended; err == nil {
		t.Error("the upstream takes it for whole")
	}
}

// TestClientsThatLeave leave nothing behind.
func TestClientsThatLeave(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("leave", func(t *testing.T) {
		g := gatewaytest.New(t, upstream(t, "response: {from: csv, to: ndjson}", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/csv")
			flushed(w, "a\n")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("xxxxxxxxxx\n", 100)); err != nil {
					return
				}
			}
		}))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				req, _ := http.NewRequestWithContext(ctx, "GET", g.URL+"/x", nil)
				resp, err := g.Client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.ReadFull(resp.Body, make([]byte, 100<<10))
				cancel()
				if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
				_ = resp.Body.Close()
			})
		}
		all.Wait()
	})
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// TestManyAtOnce share one policy.
func TestManyAtOnce(t *testing.T) {
	g := gatewaytest.New(t, upstream(t, "request: {set: {q: '{query.q}'}}\nresponse: {jq: '. + {h: $query.q}', types: [text/plain]}", echo))
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for k := range 20 {
				q := fmt.Sprint(i*100 + k)
				if resp, body := g.Do("POST", "/x?q="+q, `{}`); resp.StatusCode != 200 || body != `{"h":"`+q+`","q":"`+q+`"}` {
					t.Errorf("got %d %s", resp.StatusCode, body)
				}
			}
		})
	}
	all.Wait()
}

// TestJQAsPublished runs the programs of internal/jq's table through a gateway, each as a list of its outputs.
func TestJQAsPublished(t *testing.T) {
	table, err := os.ReadFile("../../internal/jq/testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	var cases [][]string
	for block := range strings.SplitSeq(string(table), "\n\n") {
		var lines []string
		for line := range strings.SplitSeq(strings.TrimSpace(block), "\n") {
			if line != "" && !strings.HasPrefix(line, "# ") {
				lines = append(lines, line)
			}
		}
		if len(lines) == 0 {
			continue
		}
		// What is wrong with a program is told when the configuration is loaded.
		if _, err := jq.Compile(lines[0]); err == nil {
			cases = append(cases, lines)
		}
	}
	if len(cases) < 250 {
		t.Fatalf("only %d cases", len(cases))
	}
	config := upstream(t, "request: .", echo)
	head, _, _ := strings.Cut(config, "routes:")
	var b strings.Builder
	b.WriteString(head + "routes:\n")
	for i, c := range cases {
		fmt.Fprintf(&b, "- match: /%d\n  to: u\n  transform:\n    request:\n      jq: |-\n        [\n        %s\n        ]\n", i, c[0])
	}
	g := gatewaytest.New(t, b.String())
	for i, c := range cases {
		resp, body := g.Do("POST", fmt.Sprintf("/%d", i), c[1], "Content-Type: application/json")
		if len(c) == 3 && strings.HasPrefix(c[2], "!") {
			if resp.StatusCode != 400 {
				t.Errorf("%s: got %d %s", c[0], resp.StatusCode, body)
			}
			continue
		}
		want := "[" + strings.Join(c[2:], ",") + "]"
		if resp.StatusCode != 200 || body != canonical(t, want) {
			t.Errorf("%s of %s: got %d %s, want %s", c[0], c[1], resp.StatusCode, body, want)
		}
	}
}

// canonical is a document as it is written after a program.
func canonical(t *testing.T, text string) string {
	v, err := document.Read(strings.NewReader(text), document.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	b, err := document.Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestAnUpstreamThatAnswersEarly does not wait for the rest of a request that streams.
func TestAnUpstreamThatAnswersEarly(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("early", testEarlyAnswers)
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

func testEarlyAnswers(t *testing.T) {
	for _, policy := range []string{`request: {drop: ["[].b"]}`, `request: {to: ndjson}`} {
		g := gatewaytest.New(t, upstream(t, policy, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 100))
			w.Header().Set("Connection", "close")
			answersStatus(w, 409, "text/plain", "enough")
		}))
		for range 4 {
			req, _ := http.NewRequest("POST", g.URL+"/x", &endless{text: `{"a":"` + strings.Repeat("x", 1000) + `"}`, left: 8 << 20})
			req.Header.Set("Content-Type", "application/json")
			resp, err := g.Client.Do(req)
			if err != nil {
				continue // the client may notice first that nobody reads
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != 409 || string(body) != "enough" {
				t.Errorf("%s: got %d %s\n%s", policy, resp.StatusCode, body, g.Log())
			}
		}
	}
}

// TestAClientThatStopsInTheMiddle of a request leaves nothing with the upstream that looks whole.
func TestAClientThatStopsInTheMiddle(t *testing.T) {
	ended := make(chan error, 1)
	g := gatewaytest.New(t, upstream(t, `request: {to: ndjson}`, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, w := io.Pipe()
	req, _ := http.NewRequestWithContext(ctx, "POST", g.URL+"/x", r)
	req.Header.Set("Content-Type", "application/json")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := g.Client.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	_, _ = io.WriteString(w, "["+strings.Repeat(`{"a":1},`, 10000))
	cancel()
	_ = w.CloseWithError(context.Canceled)
	<-done
	if err := <-ended; err == nil {
		t.Error("the upstream takes it for whole")
	}
}
