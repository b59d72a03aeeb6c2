package sequence_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// endless never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestHostileAnswers: what is no answer of use fails the step, which is undone, and takes neither memory nor time without bound.
func TestHostileAnswers(t *testing.T) {
	says := func(kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			_, _ = io.WriteString(w, text)
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"HTML":           says("text/html", "<p>"),
		"no type":        says("", "{}"),
		"a charset":      says("application/json; charset=utf-16", "{}"),
		"too deep":       says("application/json", strings.Repeat("[", 100_000)),
		"duplicate keys": says("application/json", `{"id":1,"id":2}`),
		"not UTF-8":      says("application/json", "\"\xff\""),
		"two documents":  says("application/json", "{} {}"),
		"a redirect":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusSeeOther) },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.Copy(w, endless{})
		},
		"a bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.CopyN(z, endless{}, 100<<20)
			_ = z.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var undone atomic.Int64
			u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					undone.Add(1)
					_, _ = io.Copy(w, endless{}) // nobody wants to know
					return
				}
				answer(w, r)
			}))
			t.Cleanup(u.Close)
			t.Cleanup(u.CloseClientConnections)
			g := gatewaytest.New(t, fmt.Sprintf(`
upstreams: {u: {endpoints: [%s], retry: off}}
overload: off
routes: [{match: /, sequence: {a: {call: POST u, on_error: "DELETE u/{idempotency_key}"}}}]
`, u.URL))
			resp, body := g.Do("POST", "/", "{}")
			if resp.StatusCode != 502 || resp.Header.Get("Cardea-Sequence") != "a;state=undone" || undone.Load() != 1 {
				t.Errorf("%d %s %v, undone %d times", resp.StatusCode, body, resp.Header, undone.Load())
			}
		})
	}
}

// TestAKeyOfWhichAPartIsMissing is none: two clients who leave out what tells their requests apart must not get each other's answers from services that
// remember keys.
func TestAKeyOfWhichAPartIsMissing(t *testing.T) {
	keys := make(chan string, 100)
	u := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { keys <- r.Header.Get("Idempotency-Key") }))
	t.Cleanup(u.Close)
	config := "upstreams: {u: " + u.URL + "}\nroutes:\n  - match: POST /\n    sequence: {a: POST u/a, key: 'order-{body.number}'}\n  - match: POST /strict\n    sequence: {a: POST u/a, key: 'order-{body.number}', require_key: true}\n"
	g := gatewaytest.New(t, config)
	ask := func(body string) string {
		if resp, text := g.Do("POST", "/", body); resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", body, resp.StatusCode, text)
		}
		return <-keys
	}
	seven := ask(`{"number":7}`)
	if again, eight := ask(`{"number":7}`), ask(`{"number":8}`); again != seven || eight == seven {
		t.Error("the key is not that of the number")
	}
	seen := map[string]bool{}
	for _, body := range []string{`{}`, `{"number":null}`, `{"number":""}`, `{"number":null}`, ``, `[]`} {
		if key := ask(body); seen[key] {
			t.Errorf("%s: the key %s again", body, key)
		} else {
			seen[key] = true
		}
		if resp, _ := g.Do("POST", "/strict", body); resp.StatusCode != 400 {
			t.Errorf("%s: %d with the key %s", body, resp.StatusCode, <-keys)
		}
	}
}

// TestNamesThatAreNoTokens stand as strings in the field that tells of them (RFC 9651, section 3.3).
func TestNamesThatAreNoTokens(t *testing.T) {
	u := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(u.Close)
	g := gatewaytest.New(t, "upstreams: {u: "+u.URL+"}\nroutes:\n  - match: POST /\n    sequence: {_a: POST u/a, b: POST u/b}\n")
	if resp, _ := g.Do("POST", "/", ""); resp.Header.Get("Cardea-Sequence") != `"_a";state=failed, b;state=waiting` {
		t.Errorf("%q", resp.Header.Get("Cardea-Sequence"))
	}
}
