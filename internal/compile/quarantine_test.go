package compile_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/internal/engine"
)

func TestQuarantine(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string // routes that stay
		left []string // what is left out, and how what is said of it begins
	}{
		"a route, for what reading or building it finds": {
			`
upstreams: {u: http://127.0.0.1:1}
routes:
  - {match: /a, to: u}
  - {mach: /b, to: u}
  - {match: /c, to: nowhere}
  - {match: "/d/{", to: u}
  - {match: {path: /e, when: nothing}, to: u}
  - {match: /f, to: u, cors: {origns: x}}
  - {match: /g}
`,
			[]string{"/a -> to"},
			[]string{
				`route /**: cardea.yaml:5:6: routes[1].mach`, `route /c: cardea.yaml:6:21: routes[2].to`, `route cardea.yaml:7:5: cardea.yaml:7:13: routes[3].match`,
				`route /e: cardea.yaml:8:30: routes[4].match.when`, `route /f: cardea.yaml:9:`, `route /g: cardea.yaml:10:5: routes[6]: the route has no target`,
			},
		},
		"an upstream, and what depends on it": {
			`
upstreams:
  good: http://127.0.0.1:1
  bad: {endpoints: http://127.0.0.1:1, timeout: soon}
routes:
  - {match: /a, to: good}
  - {match: /b, to: bad}
  - {match: /c, to: [{upstream: good, weight: 1}, {upstream: bad, weight: 1}]}
  - {match: /d, to: good, mirror: bad}
  - match: /e/**
    to: bad
    routes:
      - {match: /f}
      - {match: /g, to: good}
`,
			[]string{"/a -> to", "/e/g -> to"},
			[]string{
				`upstream bad: cardea.yaml:4:49: upstreams.bad.timeout`, `route /b: upstream "bad" is wrong`, `route /c: upstream "bad" is wrong`,
				`route /d: upstream "bad" is wrong`, `route /e/**: upstream "bad" is wrong`, `route /e/f: upstream "bad" is wrong`,
			},
		},
		"what is inside a wrong route": {
			`
routes:
  - match: /a/**
    cosr: off
    routes:
      - {match: /b, respond: b}
      - match: /c/**
        routes:
          - {match: /d, respond: d}
  - {match: /e, respond: e}
`,
			[]string{"/e -> respond"},
			[]string{`route /a/b: cardea.yaml:4:5: routes[0].cosr`, `route /a/c/d: the outer route /a/** is wrong`},
		},
		"a wrong inner route leaves the outer one": {
			`
routes:
  - match: /a/**
    respond: a
    routes:
      - {match: /b, repsond: b}
      - {match: /c, respond: c}
`,
			[]string{"/a/** -> respond", "/a/c -> respond"},
			[]string{`route /a/b: cardea.yaml:6:21: routes[0].routes[0].repsond`},
		},
		"nothing": {"routes: [{match: /a, respond: a}]", []string{"/a -> respond"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, err := build(t, "cardea.yaml", c.text, true)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, outline(s)); diff != "" {
				t.Error(diff)
			}
			if len(s.Left) != len(c.left) {
				t.Errorf("%d are left out, want %d", len(s.Left), len(c.left))
			}
			for i, left := range s.Left {
				got := left.Kind + " " + left.Name + ": " + left.Text
				if i < len(c.left) && !strings.HasPrefix(got, c.left[i]) {
					t.Errorf("left out: %s\nwant %s", got, c.left[i])
				}
			}
		})
	}
}

func TestQuarantineDoesNotCoverTheRest(t *testing.T) {
	for text, want := range map[string]string{
		"listen: nowhere\nroutes: [{match: /, respond: x}]":             "listen.address",
		"cosr: off\nroutes: [{match: /, respond: x}]":                   "cosr: unknown key",
		"errors: {gone: {status: 1}}\nroutes: [{match: /, respond: x}]": "errors.gone",
		"routes: {match": "cardea.yaml:1:",
		"routes: hello":  "routes",
		"routes: [{match: /, respond: x}, {match: /, respond: y}]":                        "both match /",
		"timeout: soon\nroutes: [{match: /a, timeout: off, respond: x}]":                  "timeout",
		"upstreams: [http://127.0.0.1:1]\nroutes: [{match: /a, timeout: 1s, respond: x}]": "upstreams",
	} {
		s, _, err := build(t, "cardea.yaml", text, true)
		if err == nil || s != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestALeftOutRouteHoldsNothing(t *testing.T) {
	s, _, err := build(t, "cardea.yaml", "upstreams: {u: http://127.0.0.1:1}\nroutes: [{match: /a, to: u, mirror: nowhere, headers: {response: {set: {x: y}}}}]", true)
	if err != nil || s.RouteCount() != 0 || len(engine.ListRoutes(s)) != 0 {
		t.Errorf("%v %v", s, err)
	} // that nothing is kept after the snapshot is checked at the end
}

func TestStandIns(t *testing.T) {
	s, _, err := build(t, "cardea.yaml", `
cors: [https://app.example.com]
upstreams: {bad: {endpoints: http://127.0.0.1:1, timeout: soon}}
routes:
  - {match: /**, respond: all}
  - {match: /admin/**, respond: secret, ip: [10.0.0.300]}
  - {match: "GET /admin/open", respond: open}
  - {match: /down/**, to: bad}
  - {match: "/broken/{id", respond: x}
  - {match: "/broken/fine", respond: fine}
  - {match: {path: /when, when: nothing, method: POST}, respond: x}
  - {match: {path: /beta, header: {x-beta: "~("}}, respond: x}
  - {match: /beta, respond: beta}
  - {match: {path: /typo, heder: {x: y}}, respond: x}
  - {match: {host: "a.*", path: /host}, respond: x}
  - match: /outer/**
    timeout: never
    routes:
      - {match: /in, respond: in}
  - match: /lost/{
    respond: x
    routes:
      - {match: /in, respond: in}
  - {mach: /nowhere, respond: x}
`, true)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, asked := range []string{
		"GET /", "GET /admin", "GET /admin/x", "GET /admin/open", "POST /admin/open", "GET /down/x", "GET /broken/7", "GET /broken/fine",
		"GET /when", "GET /beta", "GET /typo", "GET /host", "GET /outer/in", "GET /outer/x", "GET /lost/in", "GET /nowhere",
	} {
		method, path, _ := strings.Cut(asked, " ")
		r, err := engine.AskedRequest(method, "http://h"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := s.Explain(r, netip.MustParseAddr("127.0.0.1"))
		got[asked] = e.Target.Kind
		if strings.HasPrefix(e.Outcome, "route_quarantined: ") != (e.Target.Kind == "left_out") {
			t.Errorf("%s: %s", asked, e.Outcome)
		}
		if e.Policies[1].Policy != "cors" {
			t.Errorf("%s: %+v", asked, e.Policies)
		}
	}
	want := map[string]string{
		"GET /": "respond", "GET /admin": "left_out", "GET /admin/x": "left_out", "GET /admin/open": "respond", "POST /admin/open": "left_out",
		"GET /down/x": "left_out", "GET /broken/7": "left_out", "GET /broken/fine": "respond",
		"GET /when": "left_out", // for any method: of a wrong match, only the path counts
		"GET /beta": "respond",  // the route of this path, whatever the header
		"GET /typo": "left_out", "GET /host": "left_out", "GET /outer/in": "left_out", "GET /outer/x": "respond", "GET /lost/in": "left_out",
		"GET /nowhere": "respond", // nobody knows that it is meant: the route for everything has it
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := s.RouteCount(); n != 4 {
		t.Errorf("%d routes", n)
	}
}

func TestAStandInForEverythingIsTheLastResort(t *testing.T) {
	s, _, err := build(t, "cardea.yaml", "routes: [{mach: /a, respond: x}, {mach: /b, respond: x}, {match: /c, respond: c}]", true)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/a": "left_out", "/b": "left_out", "/c": "respond"} {
		r, err := engine.AskedRequest("GET", "http://h"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e := s.Explain(r, netip.MustParseAddr("127.0.0.1")); e.Target.Kind != want {
			t.Errorf("%s: %+v", path, e)
		}
	}
}
