package fallback_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// service is a service that does what the test says.
type service struct {
	*httptest.Server
	asked atomic.Int64
	do    atomic.Value // http.HandlerFunc
}

func newService(t *testing.T, h http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	s.do.Store(h)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.do.Load().(http.HandlerFunc)(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func text(status int, body string, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Add(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hang answers nothing while the client waits.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// cut breaks the connection off before an answer.
func cut(w http.ResponseWriter, _ *http.Request) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		c.Close()
	}
}

// refusing is an address where nobody listens.
func refusing(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// garbage answers what is not HTTP.
func garbage(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, "what?\r\n\r\n")
			c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

func gateway(t *testing.T, a, b, policy string, more ...string) *gatewaytest.Gateway {
	t.Helper()
	return gatewaytest.New(t, config(a, b, policy, more...))
}

func config(a, b, policy string, more ...string) string {
	return "overload: off\nupstreams: {a: {endpoints: " + a + ", retry: off, eject: off}, b: {endpoints: " + b + ", retry: off, eject: off}}\nroutes: [{name: r, match: /**, to: a, fallback: " + policy + strings.Join(more, "") + "}]\n"
}

// TestFailuresAndKinds is each failure with each kind of answer.
func TestFailuresAndKinds(t *testing.T) {
	other := newService(t, text(200, "other", "Cache-Control: max-age=600"))
	file := t.TempDir() + "/sorry.txt"
	if err := os.WriteFile(file, []byte("sorry"), 0o600); err != nil {
		t.Fatal(err)
	}
	failures := []struct {
		name, reason string
		url          func(t *testing.T, s *service) string // of the failing service
		fail         http.HandlerFunc
	}{
		{"502", "502", nil, text(502, "bad")},
		{"503", "503", nil, text(503, "bad")},
		{"504", "504", nil, text(504, "bad")},
		{"reset", "upstream_reset", nil, cut},
		{"timeout", "upstream_timeout", nil, hang},
		{"refused", "upstream_connect_failed", func(t *testing.T, _ *service) string { return refusing(t) }, nil},
		{"garbage", "upstream_bad_response", func(t *testing.T, _ *service) string { return garbage(t) }, nil},
	}
	kinds := []struct{ kind, policy, body string }{
		{"json", "{json: {items: []}}", `{"items":[]}` + "\n"},
		{"body", "{body: later, status: 203}", "later"},
		{"template", `{template: "for {method}"}`, "for GET"},
		{"file", "{file: " + file + "}", "sorry"},
		{"to", "b", "other"},
		{"last_good", "last_good", "good"},
	}
	for _, f := range failures {
		for _, k := range kinds {
			t.Run(f.name+"/"+k.kind, func(t *testing.T) {
				s := newService(t, text(200, "good"))
				g := gateway(t, s.URL, other.URL, k.policy, ", timeout: 1s")
				if resp, body := g.Get("/x?y=1"); resp.StatusCode != 200 || body != "good" || resp.Header.Get("Cardea-Fallback") != "" {
					t.Fatalf("before: %d %q %v", resp.StatusCode, body, resp.Header)
				}
				if f.url != nil {
					if err := g.SetConfig(config(f.url(t, s), other.URL, k.policy, ", timeout: 1s")); err != nil {
						t.Fatal(err)
					}
				} else {
					s.do.Store(f.fail)
				}
				resp, body := g.Get("/x?y=1")
				if resp.StatusCode > 299 || body != k.body || resp.Header.Get("Cardea-Fallback") != k.kind+"; reason="+f.reason {
					t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
				}
				if got := resp.Header.Get("Cache-Control"); got != "no-store" {
					t.Errorf("Cache-Control: %q", got)
				}
				if k.kind == "last_good" && resp.Header.Get("Age") == "" {
					t.Error("the last good answer has no Age")
				}
				if resp, body := g.Do("HEAD", "/x?y=1", ""); resp.StatusCode > 299 || body != "" || !strings.HasPrefix(resp.Header.Get("Cardea-Fallback"), k.kind+";") {
					t.Errorf("HEAD: %d %q %v", resp.StatusCode, body, resp.Header)
				}
			})
		}
	}
}

func TestWhatIsNoFailure(t *testing.T) {
	for name, test := range map[string]struct {
		policy string
		do     http.HandlerFunc
		fields []string
		status int
		marked bool
	}{
		"404":                   {"{body: x}", text(404, ""), nil, 404, false},
		"404, but on":           {"{body: x, on: [404]}", text(404, ""), nil, 200, true},
		"500":                   {"{body: x}", text(500, ""), nil, 500, false},
		"500, but on":           {"{body: x, on: [5xx]}", text(500, ""), nil, 200, true},
		"503, not on":           {"{body: x, on: [timeout, 502]}", text(503, ""), nil, 503, false},
		"reset, by status":      {"{body: x, on: [502]}", cut, nil, 200, true},
		"reset, by code":        {"{body: x, on: [upstream_reset]}", cut, nil, 200, true},
		"reset, not on":         {"{body: x, on: [timeout]}", cut, nil, 502, false},
		"gRPC":                  {"{body: x}", text(503, ""), []string{"Content-Type: application/grpc"}, 503, false},
		"an upgrade":            {"{body: x}", text(503, ""), []string{"Connection: Upgrade", "Upgrade: websocket"}, 503, false},
		"no mark":               {"{body: x, header: off}", text(503, ""), nil, 200, false},
		"a condition that fits": {"{body: x}", text(503, ""), []string{"If-None-Match: *"}, 200, true},
		"a range":               {"{body: x}", text(503, ""), []string{"Range: bytes=0-0"}, 200, true},
		"a status of its own":   {"{body: x, status: 503}", text(502, ""), nil, 503, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, test.do)
			g := gateway(t, s.URL, s.URL, test.policy)
			resp, _ := g.Get("/", test.fields...)
			if marked := resp.Header.Get("Cardea-Fallback") != ""; resp.StatusCode != test.status || marked != test.marked {
				t.Errorf("%d %v", resp.StatusCode, resp.Header)
			}
		})
	}
}

func TestSeveralAreTriedInOrder(t *testing.T) {
	s, other := newService(t, text(503, "bad")), newService(t, text(500, "worse"))
	g := gateway(t, s.URL, other.URL, "{on: [5xx], try: [last_good, b, {body: later}]}")
	if resp, body := g.Get("/"); body != "later" || resp.Header.Get("Cardea-Fallback") != "body; reason=503" || other.asked.Load() != 1 {
		t.Errorf("%q %v, the other was asked %d times", body, resp.Header, other.asked.Load())
	}
	other.do.Store(text(200, "other"))
	if resp, body := g.Get("/"); body != "other" || resp.Header.Get("Cardea-Fallback") != "to; reason=503" {
		t.Errorf("%q %v", body, resp.Header)
	}
	s.do.Store(text(200, "good"))
	g.Get("/")
	s.do.Store(text(503, "bad"))
	if resp, body := g.Get("/"); body != "good" || resp.Header.Get("Cardea-Fallback") != "last_good; reason=503" {
		t.Errorf("%q %v", body, resp.Header)
	}
}

func TestWithoutAnAnswerTheClientGetsTheFailure(t *testing.T) {
	s := newService(t, text(503, "bad", "Retry-After: 7"))
	log := t.TempDir() + "/log"
	g := gateway(t, s.URL, refusing(t), "[last_good, b]", ", log: {file: \""+log+"\", fields: [status, fallback, fallback_reason, fallback_failed]}")
	if resp, body := g.Get("/"); resp.StatusCode != 503 || body != "bad" || resp.Header.Get("Retry-After") != "7" || resp.Header.Get("Cardea-Fallback") != "" {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	until(t, "the log line", func() bool {
		line, _ := os.ReadFile(log)
		return strings.Contains(string(line), `"status":503,"fallback":"none","fallback_reason":"503","fallback_failed":"last_good: there is none`) &&
			strings.Contains(string(line), "to: b: upstream_connect_failed")
	})
}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

func TestBodiesAndMethods(t *testing.T) {
	s := newService(t, text(503, "bad"))
	other := newService(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %d %s %s", r.Method, r.URL, r.ContentLength, b, r.Header.Get("X-Added"))
	})
	for name, test := range map[string]struct{ policy, method, body, want string }{
		"POST is not repeated":            {"b", "POST", "", ""},
		"POST, as asked":                  {"{to: {upstream: b, methods: [POST], max_body: 10}}", "POST", "hello", "POST /x?y 5 hello added"},
		"PUT without a buffer":            {"b", "PUT", "hello", ""},
		"PUT with one":                    {"{to: {upstream: b, max_body: 5}}", "PUT", "hello", "PUT /x?y 5 hello added"},
		"PUT, too long":                   {"{to: {upstream: b, max_body: 4}}", "PUT", "hello", ""},
		"DELETE":                          {"b", "DELETE", "", "DELETE /x?y 0  added"},
		"another path":                    {"{to: {upstream: b, path: '/other{path}'}}", "GET", "", "GET /other/x?y 0  added"},
		"a value in a path":               {"{to: {upstream: b, path: '/of/{header.x}/a'}}", "GET", "", "GET /of/a%2Fb%3F/a?y 0  added"},
		"a value that leads out":          {"{to: {upstream: b, path: '/of/{header.dots}/a'}}", "GET", "", ""},
		"a value that is encoded":         {"{to: {upstream: b, path: '/of/{header.slash}'}}", "GET", "", ""},
		"a value that is missing":         {"{to: {upstream: b, path: '/of/{header.none}/a'}}", "GET", "", ""},
		"a value with a query in it":      {"{to: {upstream: b, path: '/of?a={header.query}'}}", "GET", "", "GET /of?a=1%262%23 0  added"},
		"another path and another query":  {"{to: {upstream: b, path: '/other?of={path}'}}", "GET", "", "GET /other?of=%2Fx 0  added"},
		"a buffer that another has, also": {"[{to: {upstream: b, max_body: 4}}, {to: {upstream: b, max_body: 5}}]", "PUT", "hello", "PUT /x?y 5 hello added"},
	} {
		t.Run(name, func(t *testing.T) {
			g := gateway(t, s.URL, other.URL, test.policy, ", headers: {request: {set: {x-added: added}}}")
			resp, body := g.Do(test.method, "/x?y", test.body, "X: a/b?", "Dots: ..", "Slash: a/../../b", "Query: 1&2#")
			if test.want == "" && resp.StatusCode != 503 || test.want != "" && body != test.want {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
		})
	}
}

func TestTimeoutsLeaveRoom(t *testing.T) {
	s, other := newService(t, hang), newService(t, text(200, "other"))
	for name, more := range map[string]string{
		"the route's":        ", timeout: 2s",
		"silence":            ", timeout: {idle: 300ms}",
		"both":               ", timeout: {request: 10s, idle: 300ms}",
		"coalesced and late": ", coalesce: {}",
		"cached":             ", cache: 5m, timeout: 2s",
	} {
		t.Run(name, func(t *testing.T) {
			policy := "b"
			if strings.Contains(name, "late") {
				policy = "{to: b, after: 300ms}"
			}
			g := gateway(t, s.URL, other.URL, policy, more)
			if resp, body := g.Get("/"); body != "other" || resp.Header.Get("Cardea-Fallback") != "to; reason=upstream_timeout" {
				t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
			}
		})
	}
	t.Run("the fallback hangs, too", func(t *testing.T) {
		g := gateway(t, s.URL, s.URL, "[{to: {upstream: b, timeout: 200ms}}, {body: later}]", ", timeout: 1s")
		if resp, body := g.Get("/"); body != "later" || resp.StatusCode != 200 {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		if err := g.SetConfig(config(s.URL, s.URL, "{to: {upstream: b, timeout: 200ms}}", ", timeout: 1s")); err != nil {
			t.Fatal(err)
		}
		if resp, body := g.Get("/"); resp.StatusCode != 504 || !strings.Contains(body, "upstream_timeout") {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
	})
}

func TestASlowBodyIsNotCutByTheFallbacksTime(t *testing.T) {
	more := make(chan struct{})
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begin ")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "end")
	})
	g := gateway(t, s.URL, s.URL, "{body: x, after: 5s}")
	resp, err := g.Client.Get(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	close(more)
	if body, err := io.ReadAll(resp.Body); string(body) != "begin end" || err != nil {
		t.Errorf("%q %v", body, err)
	}
}

func TestAnAnswerThatBreaksOffIsNeitherReplacedNorKept(t *testing.T) {
	s := newService(t, text(200, "good"))
	g := gateway(t, s.URL, s.URL, "last_good")
	g.Get("/")
	s.do.Store(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "part")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	resp, err := g.Client.Get(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the client took %q for the whole", body)
	}
	resp.Body.Close()
	s.do.Store(text(503, "bad"))
	if _, body := g.Get("/"); body != "good" {
		t.Errorf("%q", body)
	}
}

// TestLastGoodIsTheCallersOwn is who gets which last good answer.
func TestLastGoodIsTheCallersOwn(t *testing.T) {
	for name, test := range map[string]struct {
		policy        string
		fields        []string // of the answer
		asked, asking string   // fields of the request that was answered, and of the one that fails
		want          bool
	}{
		"nobody":                        {"last_good", nil, "", "", true},
		"the same, by a token":          {"last_good", nil, "Authorization: Bearer 1", "Authorization: Bearer 1", true},
		"another, by a token":           {"last_good", nil, "Authorization: Bearer 1", "Authorization: Bearer 2", false},
		"nobody, of somebody":           {"last_good", nil, "Authorization: Bearer 1", "", false},
		"somebody, of nobody":           {"last_good", nil, "", "Authorization: Bearer 1", false},
		"another, by a cookie":          {"last_good", nil, "Cookie: a=1", "Cookie: a=2", false},
		"another, by a key":             {"last_good", nil, "X-Api-Key: 1", "X-Api-Key: 2", false},
		"public":                        {"last_good", []string{"Cache-Control: public"}, "Authorization: Bearer 1", "Cookie: a=2", true},
		"public, and private":           {"last_good", []string{"Cache-Control: public, private"}, "Authorization: Bearer 1", "Authorization: Bearer 2", false},
		"public, and private, the same": {"last_good", []string{"Cache-Control: public, private"}, "Authorization: Bearer 1", "Authorization: Bearer 1", true},
		"another, by an assertion":      {"last_good", nil, "Cf-Access-Jwt-Assertion: 1", "Cf-Access-Jwt-Assertion: 2", false},
		"another, by a proxy's data":    {"last_good", nil, "X-Amzn-Oidc-Data: 1", "X-Amzn-Oidc-Data: 2", false},
		"shared, as said":               {"{last_good: {shared: true}}", nil, "Authorization: Bearer 1", "Cookie: a=2", true},
		"shared, but private":           {"{last_good: {shared: true}}", []string{"Cache-Control: private"}, "Cookie: a=1", "Cookie: a=1", false},
		"private":                       {"last_good", []string{"Cache-Control: private"}, "Cookie: a=1", "Cookie: a=1", true},
		"private, of whom is not known": {"last_good", []string{"Cache-Control: private"}, "", "", false},
		"no-store":                      {"last_good", []string{"Cache-Control: no-store"}, "", "", false},
		"the request's no-store":        {"last_good", nil, "Cache-Control: no-store", "", false},
		"no-store, with force":          {"{last_good: {force: true}}", []string{"Cache-Control: no-store"}, "", "", false},
		"must-revalidate":               {"last_good", []string{"Cache-Control: must-revalidate"}, "", "", false},
		"must-revalidate, with force":   {"{last_good: {force: true}}", []string{"Cache-Control: must-revalidate"}, "", "", true},
		"sets a cookie":                 {"last_good", []string{"Set-Cookie: a=b"}, "", "", false},
		"too long":                      {"{last_good: {max_object: 3}}", nil, "", "", false},
		"varies, the same":              {"last_good", []string{"Vary: Accept-Language"}, "Accept-Language: de", "Accept-Language: de", true},
		"varies, another":               {"last_good", []string{"Vary: Accept-Language"}, "Accept-Language: de", "Accept-Language: fr", false},
		"varies by all":                 {"last_good", []string{"Vary: *"}, "", "", false},
		"encoded":                       {"last_good", []string{"Content-Encoding: gzip"}, "Accept-Encoding: gzip", "Accept-Encoding: br", false},
		"too old when it came":          {"{last_good: 1m}", []string{"Age: 61"}, "", "", false},
		"events":                        {"last_good", []string{"Content-Type: text/event-stream"}, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, text(200, "good", test.fields...))
			g := gateway(t, s.URL, s.URL, test.policy)
			g.Get("/x", field(test.asked)...)
			s.do.Store(text(503, "bad"))
			resp, body := g.Get("/x", field(test.asking)...)
			if got := body == "good" && resp.StatusCode == 200; got != test.want {
				t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
			}
			if _, body := g.Get("/y", field(test.asking)...); body != "bad" {
				t.Errorf("for another URL: %q", body)
			}
		})
	}
}

func field(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func TestLastGoodOutlivesReloadsAndObeysPurges(t *testing.T) {
	s := newService(t, text(200, "good", `Etag: "1"`))
	g := gateway(t, s.URL, s.URL, "last_good")
	g.Get("/x")
	s.do.Store(text(503, "bad"))
	if err := g.SetConfig(config(s.URL, s.URL, "[last_good, {body: later}]")); err != nil {
		t.Fatal(err)
	}
	if resp, body := g.Get("/x"); body != "good" || resp.ContentLength != 4 {
		t.Errorf("%q %v", body, resp.Header)
	}
	if resp, _ := g.Get("/x", `If-None-Match: "1"`); resp.StatusCode != 304 {
		t.Errorf("a condition: %d", resp.StatusCode)
	}
	if resp, body := g.Get("/x", "Range: bytes=1-2"); resp.StatusCode != 206 || body != "oo" {
		t.Errorf("a range: %d %q", resp.StatusCode, body)
	}
	if resp, body := g.Do("POST", "/x", "a"); body != "later" {
		t.Errorf("POST: %d %q", resp.StatusCode, body)
	}
	s.do.Store(text(200, "better"))
	g.Get("/x")
	s.do.Store(text(503, "bad"))
	if _, body := g.Get("/x"); body != "better" {
		t.Errorf("%q", body)
	}
}

func TestFilesAreReadAnew(t *testing.T) {
	s := newService(t, text(503, "bad"))
	name := t.TempDir() + "/sorry.html"
	text := config(s.URL, s.URL, "{file: "+name+"}")
	if _, err := gatewaytest.Start(t, text); err == nil || !strings.Contains(err.Error(), "sorry.html") {
		t.Errorf("a file that is missing: %v", err)
	}
	write := func(s string) {
		if err := os.WriteFile(name, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("<p>one")
	g := gatewaytest.New(t, text)
	if resp, body := g.Get("/"); body != "<p>one" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("%q %v", body, resp.Header)
	}
	write("<p>two")
	if err := g.SetConfig(text); err != nil {
		t.Fatal(err)
	}
	if _, body := g.Get("/"); body != "<p>two" {
		t.Errorf("%q", body)
	}
}

func TestWithOtherPolicies(t *testing.T) {
	t.Run("coalesced requests get it, too", func(t *testing.T) {
		log := t.TempDir() + "/log"
		g := gateway(t, refusing(t), refusing(t), "{body: later}", ", coalesce: {}, log: {file: \""+log+"\", fields: [fallback, fallback_reason]}")
		if resp, body := g.Get("/"); body != "later" || resp.StatusCode != 200 {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		until(t, "the log line", func() bool {
			line, _ := os.ReadFile(log)
			return strings.Contains(string(line), `{"fallback":"body","fallback_reason":"upstream_connect_failed"}`)
		})
	})
	t.Run("a cache's grace goes before, and nothing that stands in is stored", func(t *testing.T) {
		s := newService(t, text(503, "bad"))
		g := gateway(t, s.URL, s.URL, "{body: later, headers: {cache-control: max-age=60}}", ", cache: 5m")
		g.Get("/")
		s.do.Store(text(200, "good"))
		if _, body := g.Get("/"); body != "good" {
			t.Errorf("%q", body)
		}
		s.do.Store(text(503, "bad"))
		if resp, body := g.Get("/"); body != "good" || resp.Header.Get("Cardea-Fallback") != "" {
			t.Errorf("%q %v", body, resp.Header)
		}
	})
	t.Run("it is compressed", func(t *testing.T) {
		s := newService(t, text(503, "bad"))
		g := gateway(t, s.URL, s.URL, "{body: "+strings.Repeat("a", 2000)+"}", ", compress: {}")
		if resp, _ := g.Get("/", "Accept-Encoding: gzip"); resp.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%v", resp.Header)
		}
	})
	t.Run("injected faults", func(t *testing.T) {
		s := newService(t, text(200, "good"))
		g := gateway(t, s.URL, s.URL, "[last_good, {body: later}]", ", fault: {abort: 503}")
		if resp, body := g.Get("/"); body != "later" || resp.Header.Get("Cardea-Fallback") != "body; reason=fault_injected" {
			t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
		}
	})
	t.Run("earlier refusals stay", func(t *testing.T) {
		s := newService(t, text(200, "good"))
		g := gateway(t, s.URL, s.URL, "{body: later, on: [4xx]}", ", rate_limit: 1/h")
		g.Get("/")
		if resp, _ := g.Get("/"); resp.StatusCode != 429 {
			t.Errorf("%d", resp.StatusCode)
		}
	})
}

func TestTheFallbackIsNotGivenTheServicesCredentials(t *testing.T) {
	s := newService(t, text(503, "bad"))
	other := newService(t, func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.Header) })
	g := gateway(t, s.URL, other.URL, "b", ", upstream_auth: {bearer: geheim}, identity_headers: {X-User: address}")
	if _, body := g.Get("/", "X-User: root", "X_user: root"); strings.Contains(body, "geheim") || strings.Contains(body, "root") || !strings.Contains(body, "User-Agent") {
		t.Errorf("%s", body)
	}
}

func TestAClientThatLeavesGetsNothing(t *testing.T) {
	began := make(chan struct{})
	s := newService(t, func(_ http.ResponseWriter, r *http.Request) { close(began); <-r.Context().Done() })
	other := newService(t, text(200, "other"))
	g := gateway(t, s.URL, other.URL, "b")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, _ := http.NewRequestWithContext(ctx, "GET", g.URL, nil)
		if resp, err := g.Client.Do(r); err == nil {
			resp.Body.Close()
		}
	}()
	<-began
	cancel()
	<-done
	until(t, "the end", func() bool { return g.Engine.Running() == 0 })
	if other.asked.Load() != 0 {
		t.Error("the other upstream was asked")
	}
}

func TestManyAtOnceDuringAnOutage(t *testing.T) {
	s := newService(t, text(200, "good"))
	g := gateway(t, s.URL, s.URL, "[last_good, b]")
	g.Get("/")
	s.do.Store(text(503, "bad"))
	var bad atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 40 {
				path := "/"
				if i%10 == 9 {
					path = "/none"
				}
				resp, err := g.Client.Get(g.URL + path)
				if err != nil {
					bad.Add(1)
					continue
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if want := map[bool]string{true: "good", false: "bad"}[path == "/"]; string(body) != want {
					bad.Add(1)
				}
			}
		})
	}
	for range 5 {
		if err := g.SetConfig(config(s.URL, s.URL, "[last_good, b]")); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if bad.Load() > 0 {
		t.Errorf("%d answers were wrong", bad.Load())
	}
}

func TestWrongConfigurations(t *testing.T) {
	for policy, want := range map[string]string{
		"nowhere":                                "there is no upstream",
		"[{to: {upstream: nowhere}}]":            "there is no upstream",
		"{to: b, json: {}}":                      "there is an answer already",
		"{}":                                     "nothing says what the answer is",
		"[{status: 204}, last_good]":             "never tried",
		"{body: x, header: content-length}":      "says something else about an answer",
		`{body: x, headers: {a: "b\r\nc: d"}}`:   "cannot be the value of a field",
		"{last_good: {max_object: 99TB}}":        "more than the most that is possible, 64MiB",
		"[last_good, last_good]":                 "tried already",
		"{on: [5xx]}":                            "nothing says what the answer is",
		"{body: x, on: [6xx]}":                   "neither a status",
		"{body: x, on: [client_closed]}":         "client's doing",
		"{body: x, try: [b]}":                    "beside the list",
		"{template: '{nonsense}'}":               "nonsense",
		"{body: x, headers: {x: '{nonsense}'}}":  "nonsense",
		"{to: {upstream: b, path: other}}":       "begins with /",
		"{to: {upstream: b, methods: [post]}}":   "in capitals",
		"{to: {upstream: b, path: '/{no.sense'}": "",
		"{last_good: {cache: nowhere}}":          "there is no cache",
		"{last_good: 1h, status: 500}":           "fixed answers",
		"{file: /nonexistent/file}":              "/nonexistent/file",
		"{body: x, header: 'a b'}":               "cannot be the name",
		"{body: x, status: 99}":                  "99",
	} {
		_, err := gatewaytest.Start(t, config("http://127.0.0.1:1", "http://127.0.0.1:1", policy))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "cardea.yaml:3:") {
			t.Errorf("%s: %v, wanted %q", policy, err, want)
		}
	}
}
