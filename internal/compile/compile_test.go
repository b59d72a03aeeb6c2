package compile_test

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/engine"
	"cardea.dev/cardea/internal/keep"
	"cardea.dev/cardea/observe"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// build compiles a text. The test's end discards the snapshot.
func build(t testing.TB, name, text string, quarantine bool) (*engine.Snapshot, config.Errors, error) {
	t.Helper()
	cfg, found := config.Parse(name, []byte(text), config.Options{})
	keeper := keep.New()
	s, warnings, err := compile.Build(cfg, compile.Options{
		Kinds: compile.Builtin(), Keeper: keeper, Metrics: observe.NewMetrics(), Log: slog.New(slog.DiscardHandler), Version: "test",
		Quarantine: quarantine, Dir: "testdata", Found: found,
	})
	t.Cleanup(func() {
		if s != nil {
			if err := s.Discard(); err != nil {
				t.Error(err)
			}
		}
		keeper.Each(func(v any) { t.Errorf("%T is still kept", v) })
	})
	return s, warnings, err
}

// right compiles a text that must be right.
func right(t testing.TB, text string) *engine.Snapshot {
	t.Helper()
	s, _, err := build(t, "cardea.yaml", text, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// outline is what a snapshot's routes are: name, match, policies with their lines, target.
func outline(s *engine.Snapshot) []string {
	out := []string{}
	for _, r := range engine.ListRoutes(s) {
		var policies []string
		for _, p := range r.Policies {
			if p.Where != "the default" {
				policies = append(policies, p.Policy+"@"+strings.Split(p.Where, ":")[1])
			}
		}
		line := r.Name
		if r.Match != r.Name {
			line += " = " + r.Match
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s -> %s %s", line, r.Target, strings.Join(policies, " "))))
	}
	return out
}

// TestErrors compiles each wrong file of testdata/errors, and compares what is said of it.
func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = build(t, filepath.Base(file), string(text), false)
			if err == nil {
				t.Fatal("nothing is wrong")
			}
			var errs config.Errors
			if !errors.As(err, &errs) {
				t.Fatalf("not config.Errors: %v", err)
			}
			for _, e := range errs {
				if e.Pos.Line == 0 {
					t.Errorf("no place: %v", e)
				}
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}

// golden compares a text with a file, or rewrites the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; rewrite with -update):\n%s", file, diff)
	}
}

func TestWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"routes: [{match: /, respond: x}]\nupstreams: {a: http://127.0.0.1:1, b: http://127.0.0.1:2}": "" +
			"2:13 nothing uses upstream \"a\"\n2:36 nothing uses upstream \"b\"",
		"routes: [{match: /, respond: x}]\nerrors: {route_not_fuond: x}":                                      "2:10 \"route_not_fuond\" is no error code of the gateway's own",
		"routes: [{match: \"/users/:id/x\", respond: x}]":                                                     "1:18 \":id\" stands for itself; a parameter is written {id}",
		"routes: [{match: GTE /a, respond: x}, {match: PURGE /a, respond: x}, {match: TRACE /b, respond: x}]": "1:18 \"GTE\" is no usual method; did you mean GET?",
		"listen: :0":                       "1:1 there are no routes: every request gets a 404",
		"routes: [{match: /, respond: x}]": "",
		"routes: [{match: /, respond: x, mirror: u}]\nupstreams: {u: http://127.0.0.1:1}":                      "",
		"routes: [{match: /**, to: u, routes: [{match: /a, respond: x}]}]\nupstreams: {u: http://127.0.0.1:1}": "",
	} {
		_, warnings, err := build(t, "cardea.yaml", text, false)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, w := range warnings {
			got = append(got, fmt.Sprintf("%d:%d %s", w.Pos.Line, w.Pos.Column, w.Message))
			if !w.Warning {
				t.Errorf("%v is no warning", w)
			}
		}
		if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
}

func TestInheritance(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"the nearest wins, off removes": {`
timeout: 1s
cors: [https://a.example]
routes:
  - match: /a/**
    respond: a
    timeout: 2s
    routes:
      - match: /b/**
        respond: b
        cors: off
        routes:
          - {match: /c, respond: c, cors: [https://b.example]}
          - {match: /d, respond: d, timeout: off}
  - {match: /e, respond: e}
`, []string{
			"/a/** -> respond cors@3 timeout@7", "/a/b/** -> respond timeout@7", "/a/b/c -> respond cors@13 timeout@7",
			"/a/b/d -> respond", "/e -> respond cors@3 timeout@2",
		}},
		"a route without a target of its own and with routes inside is none": {`
upstreams: {u: http://127.0.0.1:1}
routes:
  - match: /a/**
    routes:
      - {match: /b, to: u}
`, []string{"/a/b -> to"}},
		"targets are inherited": {`
upstreams: {u: http://127.0.0.1:1}
routes:
  - match: /a/**
    to: u
    routes:
      - {match: /b, timeout: 1s}
      - {match: /c, respond: c}
`, []string{"/a/** -> to", "/a/b -> to timeout@7", "/a/c -> respond"}},
		"conditions are joined": {`
routes:
  - match: {path: /a/**, host: a.example, method: GET, header: {x-a: "1", x-b: "1"}, when: 'scheme == "http"' }
    routes:
      - {match: {path: /b, header: {x-b: "2"}, when: 'method != "PUT"'}, respond: b}
      - {match: {host: b.example}, respond: c}
      - {match: POST /d, respond: d}
`, []string{
			`GET a.example/a/b with header X-B = "2", header X-A = "1", when (scheme == "http") && (method != "PUT") -> respond`,
			`GET b.example/a/** with header X-A = "1", header X-B = "1", when scheme == "http" -> respond`,
			`POST a.example/a/d with header X-A = "1", header X-B = "1", when scheme == "http" -> respond`,
		}},
		"lists of matches are multiplied": {`
routes:
  - match: [/a/**, {path: /b/**, host: b.example}]
    name: outer
    routes:
      - {name: inner, match: [GET /x, {path: [/y, /z]}], respond: x}
`, []string{"inner = GET /a/x | GET b.example/b/x | /a/y | b.example/b/y | /a/z | b.example/b/z -> respond"}},
		"names that are given come before others": {`
routes:
  - {match: /a, respond: one}
  - {match: {path: /b}, name: /a, respond: two}
  - {match: [/c, /d], respond: three}
  - {match: {path: /c, method: GET}, name: "/c #2", respond: four}
`, []string{"/a #2 = /a -> respond", "/a = /b -> respond", "/c = /c | /d -> respond", "/c #2 = GET /c -> respond"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := outline(right(t, c.text))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMatchesHideSecrets has conditions on secrets. Routes are called by their matches, in logs and metrics too.
func TestMatchesHideSecrets(t *testing.T) {
	t.Setenv("TOKEN", "hunter2")
	t.Setenv("OTHER", "hunter2")
	s := right(t, `
routes:
  - {match: {path: /a, header: {x-token: "${TOKEN}", authorization: Bearer hunter2}}, respond: a}
  - {match: {path: /b, query: {t: {matches: "${TOKEN}.*"}}, cookie: {sid: {is: "${TOKEN}"}}}, respond: b}
  - {match: {path: /c, when: 'query.x == "${TOKEN}"'}, respond: c}
`)
	want := []string{
		`/a with header Authorization = ***, header X-Token = ${TOKEN} -> respond`,
		`/b with query t matching ${TOKEN}.*, cookie sid = ${TOKEN} -> respond`,
		`/c with when query.x == "${TOKEN}" -> respond`,
	}
	if diff := cmp.Diff(want, outline(s)); diff != "" {
		t.Error(diff)
	}
	r, err := engine.AskedRequest("GET", "http://h/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if text := s.Explain(r, netip.Addr{}).Text(); strings.Contains(text, "hunter2") || !strings.Contains(text, "wanted = ***") {
		t.Error(text)
	}
	_, _, err = build(t, "cardea.yaml", `
routes:
  - {match: {path: /a, header: {x-token: "${TOKEN}"}}, respond: a}
  - {match: {path: /a, header: {x-token: "${OTHER}"}}, respond: a}
`, false)
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "both match") {
		t.Error(err)
	}
	right(t, `
routes:
  - {match: {path: /a, header: {authorization: Basic a}}, respond: a}
  - {match: {path: /a, header: {authorization: Basic b}}, respond: a}
`)
}

func TestExplainKnowsTheBody(t *testing.T) {
	s := right(t, "routes: [{match: /a, respond: a, body_limit: 10}]")
	for _, test := range []struct{ name, value, want string }{
		{"Content-Length", "11", "body_limit: the body has 11B, more than 10B"},
		{"Content-Length", "10", "200, 1 bytes of text/plain; charset=utf-8"},
		{"Transfer-Encoding", "chunked", "200, 1 bytes of text/plain; charset=utf-8"},
	} {
		r, err := engine.AskedRequest("POST", "http://h/a", http.Header{test.name: {test.value}})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Explain(r, netip.Addr{}).Outcome; got != test.want {
			t.Errorf("%s: %s: %s", test.name, test.value, got)
		}
	}
	for _, wrong := range []string{"x", "-1"} {
		if _, err := engine.AskedRequest("POST", "http://h/a", http.Header{"Content-Length": {wrong}}); err == nil {
			t.Errorf("%s: no error", wrong)
		}
	}
	if _, err := engine.AskedRequest("CONNECT", "http://h/a", nil); err == nil {
		t.Error("CONNECT: no error")
	}
}
