package respond

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/target"
)

func newTarget(t testing.TB, dir, text string) (target.Target, error) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	env.Dir = dir
	return Kind().Build(env, filtertest.Parse(t, text).Field("respond"))
}

// answer is a whole response.
type answer struct {
	status int
	header map[string]string
	length int64
	body   string
}

func serve(t *testing.T, tg target.Target, method, uri string, fields ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, uri, nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp, err := tg.Serve(&filter.Exchange{Request: r})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	header := map[string]string{}
	for name, values := range resp.Header {
		header[name] = strings.Join(values, "|")
	}
	return answer{resp.StatusCode, header, resp.ContentLength, string(body)}
}

func TestAnswers(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"robots.txt": "User-agent: *\n", "page.html": "<p>", "noend": "\x89PNG\x0D\x0A\x1A\x0A"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const plain, page = "text/plain; charset=utf-8", "text/html; charset=utf-8"
	tests := []struct {
		text   string
		status int
		header map[string]string
		body   string
	}{
		{`respond: hello`, 200, map[string]string{"Content-Type": plain, "Etag": `"2cf24dba5fb0a30e26e83b2a"`}, "hello"},
		{`respond: 204`, 204, nil, ""},
		{`respond: 404`, 404, nil, ""},
		{`respond: "1234"`, 200, map[string]string{"Content-Type": plain, "Etag": `"03ac674216f3e15c761ee1a5"`}, "1234"},
		{`respond: {body: "204", status: 400}`, 400, map[string]string{"Content-Type": plain}, "204"},
		{`respond: {}`, 204, nil, ""},
		{`respond: {status: 200}`, 200, nil, ""},
		{`respond: {body: <p>, status: 503, headers: {retry-after: "120"}}`, 503, map[string]string{"Content-Type": page, "Retry-After": "120"}, "<p>"},
		{`respond: {body: "{}", status: 400, content_type: application/json}`, 400, map[string]string{"Content-Type": "application/json"}, "{}"},
		{`respond: {body: x, status: 400, headers: {content-type: text/css}}`, 400, map[string]string{"Content-Type": "text/css"}, "x"},
		{`respond: {body: x, headers: {etag: '"own"'}}`, 200, map[string]string{"Content-Type": plain, "Etag": `"own"`}, "x"},
		{
			`respond: {status: 201, json: {z: 1, a: [true, null, 1.5, "1", <&>], m: {}, e: []}}`, 201,
			map[string]string{"Content-Type": "application/json"},
			`{"z":1,"a":[true,null,1.5,"1","<&>"],"m":{},"e":[]}` + "\n",
		},
		{`respond: {status: 201, json: null}`, 201, map[string]string{"Content-Type": "application/json"}, "null\n"},
		{`respond: {status: 201, json: ok}`, 201, map[string]string{"Content-Type": "application/json"}, `"ok"` + "\n"},
		{`respond: {status: 201, file: robots.txt}`, 201, map[string]string{"Content-Type": plain}, "User-agent: *\n"},
		{`respond: {status: 201, file: page.html}`, 201, map[string]string{"Content-Type": page}, "<p>"},
		{`respond: {status: 201, file: noend}`, 201, map[string]string{"Content-Type": "image/png"}, "\x89PNG\x0D\x0A\x1A\x0A"},
		{`respond: {template: "you are {query.name}"}`, 200, map[string]string{"Content-Type": plain}, `you are <i>"é`},
		{`respond: {template: "<b>{query.name}</b>"}`, 200, map[string]string{"Content-Type": page}, `<b>&lt;i&gt;&#34;é</b>`},
		{
			`respond: {template: '{{"you": "{ query.name }"}}', content_type: application/json}`, 200,
			map[string]string{"Content-Type": "application/json"},
			`{"you": "\u003ci\u003e\"é"}`,
		},
		{`respond: {status: 201, headers: {x: "{query.none}"}}`, 201, map[string]string{}, ""},
		{`respond: {status: 302, headers: {location: "/x?{query.line}"}}`, 302, map[string]string{"Location": "/x?a  b"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			tg, err := newTarget(t, dir, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			for _, method := range []string{"GET", "POST", "HEAD"} {
				want := answer{tt.status, map[string]string{}, int64(len(tt.body)), tt.body}
				maps.Copy(want.header, tt.header)
				if tt.status != 204 {
					want.header["Content-Length"] = strconv.Itoa(len(tt.body))
				}
				if method == "HEAD" {
					want.body = ""
				}
				got := serve(t, tg, method, "/?name=%3Ci%3E%22%C3%A9&line=a%0D%0Ab")
				if got.status != want.status || got.length != want.length || got.body != want.body || !maps.Equal(got.header, want.header) {
					t.Errorf("%s:\ngot  %+v\nwant %+v", method, got, want)
				}
			}
		})
	}
}

func TestNotModified(t *testing.T) {
	tg, err := newTarget(t, "", `respond: {body: hello, headers: {cache-control: max-age=60, x: "{query.a}"}}`)
	if err != nil {
		t.Fatal(err)
	}
	const tag = `"2cf24dba5fb0a30e26e83b2a"`
	for field, want := range map[string]int{tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, "": 200} {
		got := serve(t, tg, "GET", "/?a=1", "If-None-Match", field)
		header := map[string]string{"Etag": tag, "Cache-Control": "max-age=60", "X": "1"}
		if want == 200 {
			header["Content-Type"], header["Content-Length"] = "text/plain; charset=utf-8", "5"
		}
		if got.status != want || !maps.Equal(got.header, header) || (got.body == "hello") != (want == 200) {
			t.Errorf("%s: got %+v", field, got)
		}
	}
	if got := serve(t, tg, "POST", "/", "If-None-Match", tag); got.status != 200 {
		t.Errorf("POST: got %+v", got)
	}
}

func TestAnswersAreIndependent(t *testing.T) {
	tg, _ := newTarget(t, "", `respond: {body: hello, headers: {vary: Origin}}`)
	resp, _ := tg.Serve(&filter.Exchange{Request: httptest.NewRequest("GET", "/", nil)})
	resp.Header["Vary"][0] = "changed"
	resp.Header["Vary"] = append(resp.Header["Vary"], "more")
	if got := serve(t, tg, "GET", "/"); got.header["Vary"] != "Origin" {
		t.Errorf("got %+v", got)
	}
}

func TestConfigErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, 10<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`respond: 100`:                                                    "100 is not the status of an answer",
		`respond: {status: 100}`:                                          "100 is not the status of an answer",
		`respond: {status: 700}`:                                          "respond.status",
		`respond: {body: x, file: y}`:                                     "there is a body already: `body`",
		`respond: {json: 1, template: y}`:                                 "there is a body already: `json`",
		`respond: 999`:                                                    "999 is not the status of an answer",
		`respond: {body: x, status: 204}`:                                 "an answer with status 204 has no body",
		`respond: {status: 204, content_type: text/plain}`:                "a content type needs a body",
		`respond: {body: x, content_type: "a\nb"}`:                        "cannot be the value of a field",
		`respond: {headers: {"a b": x}}`:                                  `"a b" cannot be the name of a field`,
		`respond: {headers: {Content-Length: "1"}}`:                       "the field Content-Length is the gateway's to set",
		`respond: {headers: {x: "1", X: "2"}}`:                            "the field X stands there twice",
		`respond: {headers: {x-a: "{nonsense}"}}`:                         `unknown variable "nonsense"`,
		`respond: {file: nowhere.txt}`:                                    "no such file",
		`respond: {file: .}`:                                              "it is no file",
		`respond: {file: large}`:                                          "more than 10 MiB",
		`respond: {template: "{nonsense}"}`:                               `unknown variable "nonsense"`,
		`respond: {template: "<b>{nonsense}"}`:                            `unknown variable "nonsense"`,
		`respond: {template: "<b>{query.x"}`:                              "never closed",
		`respond: {template: "<b>}"}`:                                     "without an opening one",
		"respond:\n  json:\n    a: [1, '${NOT_SET}']":                     "test.yaml:3:12",
		"respond:\n  headers:\n    x-a: '1'\n    te: '1'":                 "test.yaml:4:9",
		`respond: [a, b]`:                                                 "cannot use a list here",
		`respond: {body: x, headers: {content-type: a}, content_type: b}`: "there is a content type already",
	} {
		_, err := newTarget(t, dir, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

func TestExplain(t *testing.T) {
	for text, want := range map[string]string{
		`respond: 204`:                       "204 without a body",
		`respond: hello`:                     "200, 5 bytes of text/plain; charset=utf-8",
		`respond: {template: "<{query.x}>"}`: "200, text/html; charset=utf-8 from a template",
	} {
		tg, err := newTarget(t, "", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := tg.Explain(&filter.Exchange{}); got != want {
			t.Errorf("%s: got %q", text, got)
		}
	}
	if Kind().Name() != "respond" {
		t.Error(Kind().Name())
	}
}

func BenchmarkServe(b *testing.B) {
	tg, err := newTarget(b, "", `respond: {body: hello, headers: {cache-control: max-age=60}}`)
	if err != nil {
		b.Fatal(err)
	}
	ex := &filter.Exchange{Request: httptest.NewRequest(http.MethodGet, "/", nil)}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = tg.Serve(ex)
	}
}
