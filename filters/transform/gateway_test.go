package transform_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// upstream starts a server, and returns the configuration that sends all requests to it under a policy.
func upstream(t testing.TB, policy string, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return fmt.Sprintf("upstreams: {u: %q}\nroutes:\n- match: /**\n  to: u\n  transform:\n    %s\n", s.URL, strings.ReplaceAll(strings.TrimSpace(policy), "\n", "\n    "))
}

// answers gives an answer with a body.
func answers(contentType, body string, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Set(name, value)
		}
		_, _ = io.WriteString(w, body)
	}
}

// echo answers with what it was sent, and says of it in fields what it was.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "text/plain")
	for to, from := range map[string]string{"X-Type": "Content-Type", "X-Length": "Content-Length", "X-Encoding": "Content-Encoding", "X-Action": "Soapaction", "X-Accept": "Accept", "X-Digest": "Content-Digest"} {
		if v := r.Header[from]; v != nil {
			w.Header().Set(to, v[0])
		}
	}
	w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
	w.Header().Set("X-Method", r.Method)
	_, _ = w.Write(body)
}

func TestResponses(t *testing.T) {
	const soapAnswer = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><m:GetUserResponse xmlns:m="urn:u"><m:name>Ann</m:name></m:GetUserResponse></s:Body></s:Envelope>`
	const soapFault = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client.NotFound</faultcode><faultstring>no such user</faultstring></s:Fault></s:Body></s:Envelope>`
	for name, test := range map[string]struct {
		policy   string
		upstream http.HandlerFunc
		accept   string
		status   int
		typ      string
		body     string // "": any
	}{
		"drop":                    {`response: {drop: [internal, "items[].cost"]}`, answers("application/json", `{"id":1.50,"internal":{"x":1},"items":[{"sku":"a","cost":12345678901234567890.123}]}`), "", 200, "application/json", `{"id":1.50,"items":[{"sku":"a"}]}`},
		"it stays HAL":            {`response: {drop: [a]}`, answers("application/hal+json", `{"a":1,"b":2}`), "", 200, "application/hal+json", `{"b":2}`},
		"numbers keep digits":     {`response: {pick: [n]}`, answers("application/json", `{"n":12345678901234567890.1234567890e400,"m":1}`), "", 200, "application/json", `{"n":12345678901234567890.1234567890e400}`},
		"pick, rename, set, mask": {`response: {pick: [name, card], rename: {name: full_name}, mask: {card: 4}, set: {seen: "{query.q}", route: "on {method}"}}`, answers("application/json", `{"name":"Ann","card":"4111111111111111","x":1}`), "", 200, "application/json", `{"full_name":"Ann","card":"***1111","route":"on GET","seen":"7"}`},
		"jq, short":               {`response: '.items'`, answers("application/json", `{"items":[1,2]}`), "", 200, "application/json", `[1,2]`},
		"jq":                      {`response: {jq: '{id, name: .full_name}'}`, answers("application/json", `{"id":12345678901234567890,"full_name":"Ann","x":1}`), "", 200, "application/json", `{"id":12345678901234567890,"name":"Ann"}`},
		"jq with variables":       {`response: {jq: '[$method, $path, $query.q, $status, $identity, $header["accept"]]'}`, answers("application/json", `{}`), "a/b", 200, "application/json", `["GET","/x",  "7",200,null,"a/b"]`},
		"edits, then jq":          {`response: {drop: [a], jq: 'keys'}`, answers("application/json", `{"a":1,"b":2}`), "", 200, "application/json", `["b"]`},
		"xml to json":             {`response: {from: xml}`, answers("text/xml", `<a><b>1</b><b>2</b></a>`), "", 200, "application/json", `{"a":{"b":["1","2"]}}`},
		"drop in lists of one":    {`response: {from: xml, drop: ["o.item[].cost", o.note.by], mask: {"o.card[]": 1}}`, answers("text/xml", `<o><item><n>1</n><cost>2</cost></item><note><by>a</by></note><note><by>b</by></note><card>1234</card></o>`), "", 200, "application/json", `{"o":{"item":{"n":"1"},"note":[{},{}],"card":"***4"}}`},
		"xml in latin1":           {`response: {from: xml}`, answers("text/xml; charset=iso-8859-1", "<a>\xe4</a>"), "", 200, "application/json", `{"a":"ä"}`},
		"json to xml":             {"response: {to: xml}\nxml: {root: o, declaration: false}", answers("application/json", `{"a":[1,2]}`), "", 200, "application/xml; charset=utf-8", `<o><a>1</a><a>2</a></o>`},
		"json to csv":             {`response: {select: items, to: csv}`, answers("application/json", `{"items":[{"a":1,"b":"x,y"},{"a":2.50,"b":null}]}`), "", 200, "text/csv; charset=utf-8", "a,b\r\n1,\"x,y\"\r\n2.50,\r\n"},
		"json to ndjson":          {`response: {to: ndjson}`, answers("application/json", `[{"a":1}, {"a":2}]`), "", 200, "application/x-ndjson", "{\"a\":1}\n{\"a\":2}\n"},
		"ndjson to json":          {`response: {from: ndjson, drop: ["[].b"]}`, answers("application/x-ndjson", "{\"a\":1,\"b\":1}\n{\"a\":2}\n"), "", 200, "application/json", `[{"a":1},{"a":2}]`},
		"csv to json":             {`response: {from: csv}`, answers("text/csv", "a,b\n1,2\n"), "", 200, "application/json", `[{"a":"1","b":"2"}]`},
		"soap to json":            {"response: {from: soap}\nsoap: {operation: GetUser, namespace: 'urn:u'}", answers("text/xml", soapAnswer), "", 200, "application/json", `{"name":"Ann"}`},
		"a fault is a problem": {"response: {from: soap}\nsoap: {operation: GetUser, faults: {Client.NotFound: 404}}", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			w.WriteHeader(500)
			_, _ = io.WriteString(w, soapFault)
		}, "", 404, "application/problem+json", `{"title":"Not Found","status":404,"detail":"no such user","code":"soap_fault","fault":{"code":"Sender","subcode":"Client.NotFound"}}`},
		"a template":                       {`response: {template: "Hello {body.name}, {body.n}!"}`, answers("application/json", `{"name":"<Ann>","n":1.50}`), "", 200, "text/plain; charset=utf-8", `Hello <Ann>, 1.50!`},
		"a template for HTML":              {`response: {template: "<p>{body.name}</p>", content_type: text/html}`, answers("application/json", `{"name":"<Ann>"}`), "", 200, "text/html", `<p>&lt;Ann&gt;</p>`},
		"negotiated: none":                 {`response: {to: [json, xml, csv]}`, answers("application/json", `[{"a":1}]`), "", 200, "application/json", `[{"a":1}]`},
		"negotiated: csv":                  {`response: {to: [json, xml, csv]}`, answers("application/json", `[{"a":1}]`), "text/csv, application/json;q=0.9", 200, "text/csv; charset=utf-8", "a\r\n1\r\n"},
		"negotiated: by another name":      {`response: {to: [json, xml]}`, answers("application/json", `{"a":1}`), "text/xml", 200, "text/xml; charset=utf-8", ""},
		"negotiated: none fits":            {`response: {to: [json, csv]}`, answers("application/json", `[]`), "image/png", 406, "application/problem+json", ""},
		"negotiated: none fits, the first": {`response: {to: [json, csv], unacceptable: first}`, answers("application/json", `[]`), "image/png", 200, "application/json", `[]`},
		"only checked":                     {`response: {}`, answers("application/json", `{"a": 1} `), "", 200, "application/json", `{"a": 1} `},
		"another type":                     {`response: {drop: [a], types: [text/plain]}`, answers("text/plain", `{"a":1}`), "", 200, "application/json", `{}`},
		"no type": {`response: {drop: [a]}`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, `{"a":1}`)
		}, "", 200, "application/json", `{}`},
		"HTML":                {`response: {drop: [a]}`, answers("text/html", `<p>`), "", 502, "application/problem+json", ""},
		"HTML, passed":        {`response: {drop: [a], on_error: pass}`, answers("text/html", `<p>`), "", 200, "text/html", `<p>`},
		"broken, passed":      {`response: {drop: [a], on_error: pass}`, answers("application/json", `{"a":`), "", 200, "application/json", `{"a":`},
		"when":                {`response: {drop: [a], when: 'query.q == "8"'}`, answers("application/json", `{"a":1}`), "", 200, "application/json", `{"a":1}`},
		"not this status":     {`response: {drop: [a], status: 404}`, answers("application/json", `{"a":1}`), "", 200, "application/json", `{"a":1}`},
		"empty":               {`response: {drop: [a]}`, answers("application/json", ``), "", 200, "application/json", ``},
		"gRPC, unasked":       {`response: {drop: [a]}`, answers("application/grpc", `{"a":1}`), "", 502, "application/problem+json", ""},
		"jq with no output":   {`response: {jq: empty}`, answers("application/json", `{}`), "", 502, "application/problem+json", ""},
		"jq with two outputs": {`response: {jq: '1, 2'}`, answers("application/json", `{}`), "", 502, "application/problem+json", ""},
		"jq that fails":       {`response: {jq: 'error("secret")'}`, answers("application/json", `{}`), "", 502, "application/problem+json", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, upstream(t, test.policy, test.upstream))
			var fields []string
			if test.accept != "" {
				fields = append(fields, "Accept: "+test.accept)
			}
			resp, body := g.Get("/x?q=7", fields...)
			if resp.StatusCode != test.status || resp.Header.Get("Content-Type") != test.typ || test.body != "" && body != strings.ReplaceAll(test.body, "  ", "") {
				t.Errorf("got %d, %s: %s\n%s", resp.StatusCode, resp.Header.Get("Content-Type"), body, g.Log())
			}
			if strings.Contains(body, "secret") {
				t.Errorf("the client sees why: %s", body)
			}
			if resp.StatusCode == 200 && resp.ContentLength != int64(len(body)) {
				t.Errorf("the length is %d, of %d bytes", resp.ContentLength, len(body))
			}
		})
	}
}
