package transform

import (
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		`transform: {}`:                                               "say what to do",
		`transform: {response: {drop: ["a["]}}`:                       "transform.response.drop[0]",
		`transform: {response: {set: {a: "{nothing.x}"}}}`:            "transform.response.set",
		`transform: {response: {set: {a: 1, a.b: 2}}}`:                "is set as a whole",
		`transform: {response: '.a |'}`:                               "transform.response",
		`transform: {response: '$nothing'}`:                           "variable not defined: $nothing",
		`transform: {request: '$status'}`:                             "variable not defined: $status",
		`transform: {response: {template: "{nothing}"}}`:              "transform.response.template",
		`transform: {request: {template: "{body.a}", to: xml}}`:       "no document left",
		`transform: {response: {when: "1"}}`:                          "transform.response.when",
		`transform: {response: {from: yaml}}`:                         "transform.response.from",
		`transform: {response: {to: [json, yaml]}}`:                   `"yaml" is no format`,
		`transform: {response: {to: [json, json]}}`:                   "stands there twice",
		`transform: {response: {to: [json, soap]}}`:                   "soap cannot be one of several",
		`transform: {response: {to: [json, csv], content_type: a/b}}`: "several formats",
		`transform: {response: {content_type: "x"}}`:                  "no media type",
		`transform: {response: {content_type: "a/b\r\nX: y"}}`:        "no media type",
		`transform: {response: {types: [x]}}`:                         "no media type",
		`transform: {response: {status: []}}`:                         "no status is left",
		`transform: {response: {status: [x]}}`:                        "is no status",
		`transform: {response: {max_body: 1B}}`:                       "transform.response.max_body",
		`transform: {response: {on_error: ignore}}`:                   "transform.response.on_error",
		`transform: {request: {method: "get"}}`:                       "no method",
		`transform: {request: {to: soap}, soap: {namespace: x}}`:      "needs operation",
		`transform: {request: {from: xml}, xml: {depth: 0}}`:          "transform.xml.depth",
		`transform: {reqest: {}}`:                                     "did you mean",
	} {
		_, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text).Field("transform"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

func TestExplain(t *testing.T) {
	const post, get = "POST", "GET"
	for _, test := range []struct {
		policy, method, accept string
		want                   filter.Verdict
	}{
		{`{response: {drop: [a]}}`, get, "", filter.Verdict{Action: filter.Changes, Note: "json would become json, by field operations in the response"}},
		{`{request: {from: form, jq: .}}`, post, "", filter.Verdict{Action: filter.Changes, Note: "form would become json, by jq in the request"}},
		{`{request: {drop: [a]}}`, get, "", filter.Verdict{Action: filter.Passes, Note: "the request has no body and stays as it is"}},
		{`{request: {to: soap}, response: {from: soap}}`, get, "", filter.Verdict{Action: filter.Changes, Note: "a body would be made for the request: json would become soap in the request; soap would become json in the response"}},
		{`{response: {to: [json, csv]}}`, get, "text/csv", filter.Verdict{Action: filter.Changes, Note: "json would become csv in the response"}},
		{`{response: {to: [json, csv]}}`, get, "image/png", filter.Verdict{Action: filter.Rejects, Note: "not_acceptable: This is offered as application/json, text/csv.: the client accepts none of json, csv"}},
		{`{response: {drop: [a], when: 'method == "PUT"'}}`, get, "", filter.Verdict{Action: filter.Passes, Note: "`when` says that nothing is to be done"}},
	} {
		env := filtertest.NewEnv(t, "r")
		f := newFilter(t, env, "transform: "+test.policy)
		r, _ := http.NewRequest(test.method, "http://example.com/", http.NoBody)
		if test.method == post {
			r, _ = http.NewRequest(test.method, "http://example.com/", strings.NewReader("x"))
		}
		if test.accept != "" {
			r.Header.Set("Accept", test.accept)
		}
		ex := &filter.Exchange{Request: r, Route: env.Route, Dry: true, Original: filter.Original{Method: test.method}}
		ex.Prepare(env.Slots())
		if got := f.Explain(ex); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.policy, got, test.want)
		}
	}
}

func TestAccept(t *testing.T) {
	all := []string{"json", "xml", "csv"}
	for accept, want := range map[string]string{
		"": "json", "*/*": "json", "application/*": "json", "text/*": "csv", "text/csv": "csv", "application/xml": "xml", "text/xml": "xml",
		"application/json;q=0.5, text/csv": "csv", "application/json;q=0, */*": "xml", "*/*;q=0.1, text/csv;q=0.2": "csv", "image/png": "",
		"application/json;q=0": "", "text/csv;q=2": "", "TEXT/CSV ; Q=0.8": "csv", "text/csv;header=present": "csv", " , ,text/csv,": "csv", "*/*;q=0": "",
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": "xml",
	} {
		var values []string
		if accept != "" {
			values = strings.SplitAfter(accept, "\n")
		}
		if got := choose(values, all); got != want {
			t.Errorf("%q: got %q, want %q", accept, got, want)
		}
	}
}

func TestEntityTags(t *testing.T) {
	for _, test := range []struct{ in, reads, changes string }{
		{`"a~x"`, `"a"`, `"a"`},
		{`W/"a~x"`, `W/"a"`, `W/"a"`},
		{`"a,b~x", "c"`, `"a,b"`, `"a,b", "c"`},
		{`"a`, ``, `"a`},
		{`*`, `*`, `*`},
		{`,,`, ``, ``},
		{`a~x", b`, ``, `a~x", b`},
	} {
		for strangers, want := range map[bool]string{false: test.reads, true: test.changes} {
			got := strings.Join(unmarked([]string{test.in}, "~x", strangers), "|")
			if got != want && !strings.HasPrefix(test.in, "a~x") {
				t.Errorf("%s, %v: got %s, want %s", test.in, strangers, got, want)
			}
		}
	}
}
