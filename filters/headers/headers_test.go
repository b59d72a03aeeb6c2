package headers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// newFilter builds the policy from its configuration as a user writes it.
func newFilter(t testing.TB, text string) (*filter.Filter, error) {
	t.Helper()
	return Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text))
}

func TestRequest(t *testing.T) {
	const set = "request: {set: {x-user: '{jwt.sub}', X-Fixed: a}}"
	for name, test := range map[string]struct {
		config  string
		subject string
		header  http.Header
		want    http.Header
	}{
		"set":                         {set, "ann", nil, http.Header{"X-User": {"ann"}, "X-Fixed": {"a"}}},
		"set replaces":                {set, "ann", http.Header{"X-User": {"eve", "eve"}, "X-Fixed": {"b"}}, http.Header{"X-User": {"ann"}, "X-Fixed": {"a"}}},
		"set, nothing there":          {set, "", http.Header{"X-User": {"eve"}}, http.Header{"X-Fixed": {"a"}}},
		"line break":                  {set, "ann\r\nX-Admin: 1", http.Header{"X-User": {"eve"}}, http.Header{"X-Fixed": {"a"}}},
		"line feed alone":             {set, "ann\nX-Admin: 1", http.Header{"X-User": {"eve"}}, http.Header{"X-Fixed": {"a"}}},
		"carriage return alone":       {set, "ann\r", http.Header{"X-User": {"eve"}}, http.Header{"X-Fixed": {"a"}}},
		"NUL":                         {set, "ann\x00", http.Header{"X-User": {"eve"}}, http.Header{"X-Fixed": {"a"}}},
		"DEL":                         {set, "ann\x7f", http.Header{"X-User": {"eve"}}, http.Header{"X-Fixed": {"a"}}},
		"white space around":          {set, " \tann ", nil, http.Header{"X-User": {"ann"}, "X-Fixed": {"a"}}},
		"other scripts":               {set, "Åsa", nil, http.Header{"X-User": {"Åsa"}, "X-Fixed": {"a"}}},
		"several values":              {"request: {set: {X-A: [a, '{jwt.sub}', 'b{jwt.sub}']}}", "\n", http.Header{"X-A": {"z"}}, http.Header{"X-A": {"a"}}},
		"empty on purpose":            {"request: {set: {Accept-Encoding: ''}}", "", http.Header{"Accept-Encoding": {"gzip"}}, http.Header{"Accept-Encoding": {""}}},
		"braces":                      {"request: {set: {X-A: '{{a}}', X-B: '{{{jwt.sub}}}'}}", "ann", nil, http.Header{"X-A": {"{a}"}, "X-B": {"{ann}"}}},
		"add":                         {"request: {add: {Via: [1.1 a, '{jwt.sub}']}}", "ann", http.Header{"Via": {"1.0 z"}}, http.Header{"Via": {"1.0 z", "1.1 a", "ann"}}},
		"add, nothing there":          {"request: {add: {Via: 1.1 a}}", "", nil, http.Header{"Via": {"1.1 a"}}},
		"add, nothing to add":         {"request: {add: {Via: '{jwt.sub}'}}", "", http.Header{"Via": {"1.0 z"}}, http.Header{"Via": {"1.0 z"}}},
		"default":                     {"request: {default: {X-A: a}}", "", nil, http.Header{"X-A": {"a"}}},
		"default, there":              {"request: {default: {X-A: a}}", "", http.Header{"X-A": {"b"}}, http.Header{"X-A": {"b"}}},
		"default, nothing to set":     {"request: {default: {X-A: '{jwt.sub}'}}", "", nil, http.Header{}},
		"remove":                      {"request: {remove: [x-a]}", "", http.Header{"X-A": {"a", "b"}, "X-Ab": {"c"}}, http.Header{"X-Ab": {"c"}}},
		"remove by prefix":            {"request: {remove: [x-int*, Y*]}", "", http.Header{"X-Internal-A": {"a"}, "X-In": {"b"}, "Y": {"c"}}, http.Header{"X-In": {"b"}}},
		"order":                       {"request: {remove: ['X-*'], set: {X-A: a}, default: {X-B: b}, add: {X-A: c}}", "", http.Header{"X-A": {"1"}, "X-B": {"2"}}, http.Header{"X-A": {"a", "c"}, "X-B": {"b"}}},
		"rename":                      {"request: {set: {X-New: '{header.x-old}'}, remove: [X-Old]}", "", http.Header{"X-Old": {"a"}}, http.Header{"X-New": {"a"}}},
		"swap":                        {"request: {set: {X-A: '{header.x-b}', X-B: '{header.x-a}'}}", "", http.Header{"X-A": {"a"}, "X-B": {"b"}}, http.Header{"X-A": {"b"}, "X-B": {"a"}}},
		"more than the room on stack": {"request: {set: {A: '1', B: '2', C: '3', D: '4', E: '5', F: '6', G: '7', H: '8', I: '9', J: '{jwt.sub}'}}", "ann", nil, http.Header{"A": {"1"}, "B": {"2"}, "C": {"3"}, "D": {"4"}, "E": {"5"}, "F": {"6"}, "G": {"7"}, "H": {"8"}, "I": {"9"}, "J": {"ann"}}},
		"wildcards spare the connection": {
			"request: {remove: ['*']}", "",
			http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Te": {"trailers"}, "Content-Length": {"3"}, "Transfer-Encoding": {"chunked"}, "Content-Type": {"a/b"}},
			http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Te": {"trailers"}, "Content-Length": {"3"}, "Transfer-Encoding": {"chunked"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := newFilter(t, test.config)
			if err != nil {
				t.Fatal(err)
			}
			ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil)}
			if test.subject != "" {
				ex.Identity = &filter.Identity{Subject: test.subject, Claims: map[string]any{"sub": test.subject}}
			}
			if test.header != nil {
				ex.Request.Header = test.header
			}
			if err := f.Request(ex); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, ex.Request.Header); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if f.Response != nil {
				t.Error("it has a response phase")
			}
		})
	}
}

func TestResponse(t *testing.T) {
	f, err := newFilter(t, `response: {remove: [Server, "X-*"], set: {Cache-Control: no-store, X-Caller: "{header.x-caller}"}, add: {Set-Cookie: [a=1, b=2]}, default: {X-Frame-Options: DENY}}`)
	if err != nil {
		t.Fatal(err)
	}
	if f.Request != nil {
		t.Error("it has a request phase")
	}
	for name, test := range map[string]struct{ header, want http.Header }{
		"fields": {
			http.Header{"Server": {"s"}, "X-Powered-By": {"p"}, "Set-Cookie": {"z=0"}, "Cache-Control": {"public"}, "Content-Length": {"3"}},
			http.Header{"Set-Cookie": {"z=0", "a=1", "b=2"}, "Cache-Control": {"no-store"}, "X-Caller": {"me"}, "X-Frame-Options": {"DENY"}, "Content-Length": {"3"}},
		},
		"none": {nil, http.Header{"Set-Cookie": {"a=1", "b=2"}, "Cache-Control": {"no-store"}, "X-Caller": {"me"}, "X-Frame-Options": {"DENY"}}},
	} {
		ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Response: &http.Response{Header: test.header}}
		ex.Request.Header.Set("X-Caller", "me")
		if err := f.Response(ex); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, ex.Response.Header); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestHost(t *testing.T) {
	for _, test := range []struct{ config, header, want string }{
		{"api.internal", "", "api.internal"},
		{"api.internal:8080", "", "api.internal:8080"},
		{"'[::1]:8080'", "", "[::1]:8080"},
		{"'{header.tenant}.internal'", "a", "a.internal"},
		{"'{header.tenant}'", "", ""},
		{"'{header.tenant}.internal'", "a/b", ""},
		{"'{header.tenant}.internal'", "evil.com#", ""},
		{"'{header.tenant}.internal'", "u@evil.com:80", ""},
		{"'{header.tenant}.internal'", "a b", ""},
		{"'{header.tenant}.internal'", "a\r\nb", ""},
		{"'{header.tenant}.internal'", "a:", ""},
	} {
		f, err := newFilter(t, "request: {set: {host: "+test.config+", X-A: a}}")
		if err != nil {
			t.Fatal(err)
		}
		ex := &filter.Exchange{Request: httptest.NewRequest("GET", "http://old/", nil)}
		ex.Request.Header["Tenant"] = []string{test.header}
		err = f.Request(ex)
		if test.want == "" {
			if filter.AsError(err).Code != filter.BadRequest || ex.Request.Host != "old" || ex.Request.Header["X-A"] != nil {
				t.Errorf("%+v: got %v, host %s", test, err, ex.Request.Host)
			}
			continue
		}
		if err != nil || ex.Request.Host != test.want || ex.Request.Header["Host"] != nil || ex.Request.Header["X-A"] == nil {
			t.Errorf("%+v: got %v, host %s, header %v", test, err, ex.Request.Host, ex.Request.Header)
		}
	}
}

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		config string
		want   filter.Verdict
		header http.Header
	}{
		{
			"request: {set: {Authorization: secret, X-A: a}, remove: ['X-*', Cookie], add: {Via: b}, default: {Accept: c}}",
			filter.Verdict{Action: filter.Changes, Note: "request: removes X-*, Cookie, sets Authorization, X-A, defaults Accept, adds Via"},
			http.Header{"Authorization": {"secret"}, "X-A": {"a"}, "Accept": {"c"}, "Via": {"b"}},
		},
		{"response: {remove: Server}", filter.Verdict{Action: filter.Passes, Note: "answer: removes Server"}, http.Header{"Cookie": {"c"}}},
		{
			"{request: {remove: Cookie}, response: {set: {X-A: a}}}",
			filter.Verdict{Action: filter.Changes, Note: "request: removes Cookie; answer: sets X-A"},
			http.Header{},
		},
		{"request: {set: {Host: '{jwt.sub}'}}", filter.Verdict{Action: filter.Rejects, Note: "the template of Host does not give a host"}, http.Header{"Cookie": {"c"}}},
	} {
		f, err := newFilter(t, test.config)
		if err != nil {
			t.Fatal(err)
		}
		ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Dry: true}
		ex.Request.Header = http.Header{"Cookie": {"c"}}
		if diff := cmp.Diff(test.want, f.Explain(ex)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.config, diff)
		}
		if diff := cmp.Diff(test.header, ex.Request.Header); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.config, diff)
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                                  "no change is named",
		"{request: {}}":                       "no change is named",
		"{X-Foo: bar}":                        "unknown key",
		"request: {set: {'a b': c}}":          "cannot be the name",
		"request: {set: {'': c}}":             "cannot be the name",
		`request: {set: {"a\r\nb": c}}`:       "cannot be the name",
		"request: {set: {Content-Length: 3}}": "belongs to the connection",
		"request: {add: {transfer-encoding: chunked}}": "belongs to the connection",
		"response: {set: {Connection: close}}":         "belongs to the connection",
		"response: {remove: [keep-alive]}":             "belongs to the connection",
		"request: {default: {TE: trailers}}":           "belongs to the connection",
		"request: {remove: [Host]}":                    "only be set",
		"request: {add: {Host: a}}":                    "only be set",
		"response: {set: {Host: a}}":                   "only be set",
		"request: {set: {Host: [a, b]}}":               "one value",
		"request: {set: {Host: a/b}}":                  "not a host",
		"request: {set: {Host: ''}}":                   "not a host",
		"request: {set: {x-a: a, X-A: b}}":             "the same field",
		"request: {set: {X-A: []}}":                    "no value",
		`request: {set: {X-A: "a\r\nX-B: b"}}`:         "control character",
		`response: {add: {X-A: ["a", "\0"]}}`:          "control character",
		"request: {set: {X-A: '{unknown}'}}":           `request.set["X-A"]: unknown variable "unknown"`,
		"request: {remove: ['X-*-Y']}":                 "",
		"request: {remove: ['a b*']}":                  "cannot be the name",
		"request: {remove: ['']}":                      "cannot be the name",
	} {
		_, err := newFilter(t, text)
		if want == "" { // an asterisk is a token character, but a name with one inside matches nothing more than itself
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want … %s …", text, err, want)
		}
	}
}

// A constant is shared by all messages; who appends to one message's field must not change another's.
func TestMessagesShareNothing(t *testing.T) {
	f, _ := newFilter(t, "{request: {set: {A: [a, b]}, default: {B: c}, add: {C: [d, e]}}}")
	header := func() http.Header {
		ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil)}
		ex.Request.Header = http.Header{}
		_ = f.Request(ex)
		return ex.Request.Header
	}
	first := header()
	second := header()
	for name := range first {
		first.Add(name, "first")
		second.Add(name, "second")
	}
	want := http.Header{"A": {"a", "b", "first"}, "B": {"c", "first"}, "C": {"d", "e", "first"}}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	own := make([]string, 1, 8)
	own[0] = "own"
	ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil)}
	ex.Request.Header = http.Header{"C": own}
	_ = f.Request(ex)
	if own[:3][1] != "" {
		t.Error("it wrote behind the end of a slice that may be shared")
	}
}

func TestAllocations(t *testing.T) {
	f, _ := newFilter(t, "{request: {set: {A: a, B: b}, default: {C: c}, add: {D: d}, remove: [E, 'F*']}, response: {set: {A: a}, remove: [B]}}")
	h := http.Header{}
	ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Response: &http.Response{Header: h}}
	ex.Request.Header = h
	if n := testing.AllocsPerRun(100, func() { clear(h); _, _ = f.Request(ex), f.Response(ex) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkExchange(b *testing.B) {
	for name, text := range map[string]string{
		"constant": "{request: {set: {X-A: a}, remove: [Cookie]}, response: {set: {X-B: b}, remove: [Server]}}",
		"prefix":   "{request: {remove: ['X-Internal-*']}, response: {}}",
	} {
		b.Run(name, func(b *testing.B) {
			f, err := newFilter(b, text)
			if err != nil {
				b.Fatal(err)
			}
			ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Response: &http.Response{Header: http.Header{}}}
			for _, name := range []string{"Accept", "Accept-Encoding", "Accept-Language", "User-Agent", "Referer", "Content-Type", "Authorization"} {
				ex.Request.Header.Set(name, "x")
			}
			b.ReportAllocs()
			for b.Loop() {
				if _ = f.Request(ex); f.Response != nil {
					_ = f.Response(ex)
				}
			}
		})
	}
}
