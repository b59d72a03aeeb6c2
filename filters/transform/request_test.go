package transform_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestRequests(t *testing.T) {
	const envelope = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetUser xmlns="urn:u"><id>7</id></GetUser></s:Body></s:Envelope>`
	for name, test := range map[string]struct {
		policy string
		method string
		typ    string
		body   string
		status int
		want   string // method, type, body; or code
		fields []string
	}{
		"edits":             {`request: {drop: [a]}`, "POST", "application/json", `{"a":1,"b":2}`, 200, `POST application/json {"b":2}`, nil},
		"jq":                {`request: '{id: .x}'`, "POST", "application/json", `{"x":1.50}`, 200, `POST application/json {"id":1.50}`, nil},
		"form to json":      {`request: {from: form}`, "POST", "application/x-www-form-urlencoded", `a=1&b=x+y&b=z`, 200, `POST application/json {"a":"1","b":["x y","z"]}`, nil},
		"json to form":      {`request: {to: form}`, "POST", "application/json", `{"a":1.50,"b":"x y"}`, 200, `POST application/x-www-form-urlencoded a=1.50&b=x+y`, nil},
		"json to xml":       {"request: {to: xml}\nxml: {declaration: false}", "PUT", "application/json", `{"a":1}`, 200, `PUT application/xml; charset=utf-8 <a>1</a>`, nil},
		"json to soap":      {"request: {to: soap}\nsoap: {operation: GetUser, namespace: 'urn:u', action: 'urn:a', declaration: false}", "PUT", "application/json", `{"id":7}`, 200, `POST text/xml; charset=utf-8 <soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><GetUser xmlns="urn:u"><id>7</id></GetUser></soap:Body></soap:Envelope>`, nil},
		"GET to soap":       {"request: {to: soap, set: {id: '{query.q}'}}\nsoap: {operation: GetUser, declaration: false}", "GET", "", ``, 200, `POST text/xml; charset=utf-8 <soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><GetUser><id>7</id></GetUser></soap:Body></soap:Envelope>`, nil},
		"soap to json":      {"request: {from: soap}\nsoap: {operation: GetUser, namespace: 'urn:u'}", "POST", "text/xml", envelope, 200, `POST application/json {"id":"7"}`, nil},
		"no body":           {`request: {drop: [a]}`, "GET", "", ``, 200, `GET  `, nil},
		"a body is made":    {`request: {set: {a: 1}, method: PATCH}`, "GET", "", ``, 200, `PATCH application/json {"a":1}`, nil},
		"gzip":              {`request: {drop: [a]}`, "POST", "application/json", gzipped(`{"a":1,"b":2}`), 200, `POST application/json {"b":2}`, []string{"Content-Encoding: gzip", "Content-Digest: x"}},
		"a bomb":            {`request: {drop: [a]}`, "POST", "application/json", gzipped(`"` + strings.Repeat("a", 2<<20) + `"`), 413, `body_too_large`, []string{"Content-Encoding: gzip"}},
		"a bomb, passed":    {`request: {drop: [a], on_error: pass}`, "POST", "application/json", gzipped(strings.Repeat("a", 2<<20)), 200, `POST application/json ` + gzipped(strings.Repeat("a", 2<<20)), []string{"Content-Encoding: gzip"}},
		"another coding":    {`request: {drop: [a]}`, "POST", "application/json", `x`, 415, `media_type_unsupported`, []string{"Content-Encoding: br"}},
		"a wrong type":      {`request: {drop: [a]}`, "POST", "text/html", `x`, 415, `media_type_unsupported`, nil},
		"a wrong charset":   {`request: {drop: [a]}`, "POST", "application/json; charset=utf-16", `x`, 415, `media_type_unsupported`, nil},
		"truncated":         {`request: {drop: [a]}`, "POST", "application/json", `{"a":`, 400, `body_invalid`, nil},
		"duplicate names":   {`request: {drop: [a]}`, "POST", "application/json", `{"b":1,"b":2}`, 400, `body_invalid`, nil},
		"invalid UTF-8":     {`request: {drop: [a]}`, "POST", "application/json", "{\"b\":\"\xff\"}", 400, `body_invalid`, nil},
		"too deep":          {`request: {drop: [a]}`, "POST", "application/json", strings.Repeat("[", 100000), 400, `body_invalid`, nil},
		"too deep for jq":   {`request: .`, "POST", "application/json", strings.Repeat("[", 100000), 400, `body_invalid`, nil},
		"too deep for xml":  {`request: {from: xml}`, "POST", "application/xml", strings.Repeat("<a>", 100000), 413, `body_too_large`, nil},
		"too large for jq":  {`request: {jq: ., max_body: 1KiB}`, "POST", "application/json", `"` + strings.Repeat("a", 1<<10) + `"`, 413, `body_too_large`, nil},
		"entities":          {`request: {from: xml}`, "POST", "application/xml", `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>`, 400, `body_invalid`, nil},
		"NDJSON, broken":    {`request: {from: ndjson}`, "POST", "application/x-ndjson", "{}\n{", 400, `body_invalid`, nil},
		"fields that clash": {`request: {rename: {a: b}}`, "POST", "application/json", `{"a":1,"b":2}`, 400, `body_invalid`, nil},
		"jq that fails":     {`request: '.a + 1'`, "POST", "application/json", `{"a":"secret"}`, 400, `body_invalid`, nil},
		"jq without an end": {`request: '[range(.n)] | length'`, "POST", "application/json", `{"n":1e18}`, 400, `body_invalid`, nil},
		"a wrong version":   {"request: {from: soap}\nsoap: {version: '1.2'}", "POST", "application/soap+xml", envelope, 400, `body_invalid`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, upstream(t, test.policy, echo))
			fields := test.fields
			if test.typ != "" {
				fields = append(fields, "Content-Type: "+test.typ)
			}
			resp, body := g.Do(test.method, "/x?q=7", test.body, fields...)
			got := resp.Header.Get("X-Method") + " " + resp.Header.Get("X-Type") + " " + body
			if resp.StatusCode != test.status || test.status == 200 && got != test.want || test.status != 200 && !strings.Contains(body, `"code":"`+test.want+`"`) {
				t.Errorf("got %d: %s\n%s", resp.StatusCode, got, g.Log())
			}
			if strings.Contains(body, "secret") || len(body) > 1<<12 && test.status != 200 {
				t.Errorf("the client sees too much: %s", body)
			}
			if test.want[0] != 'b' && resp.Header.Get("X-Digest") != "" {
				t.Error("the digest is still there")
			}
		})
	}
}

// TestWhatIsWrongWithABody: clients are told what is wrong with their own body, whatever the status.
func TestWhatIsWrongWithABody(t *testing.T) {
	many := strings.Repeat("a=1&", 1001)
	for name, test := range map[string]struct{ policy, typ, coding, body, want string }{
		"a wrong type":     {`request: {drop: [a]}`, "text/html", "", `x`, `it is text/html; expected application/json, text/json, one that ends with +json`},
		"one of `types`":   {`request: {drop: [a], types: [text/plain]}`, "text/html", "", `x`, `it is text/html; expected application/json, text/json, text/plain, one that ends with +json`},
		"no type":          {`request: {from: form}`, "x;;", "", `x`, `its Content-Type cannot be read`},
		"a charset":        {`request: {drop: [a]}`, "application/json; charset=utf-16", "", `x`, `its charset, utf-16, is not known; JSON is in UTF-8`},
		"a charset of XML": {`request: {from: xml}`, "application/xml", "", `<?xml version="1.0" encoding="EBCDIC"?><a/>`, `EBCDIC`},
		"a coding":         {`request: {drop: [a]}`, "application/json", "br", `x`, `its content coding, br, is not known; gzip and deflate are`},
		"two codings":      {`request: {drop: [a]}`, "application/json", "gzip, gzip", `x`, `it has several content codings: gzip, gzip`},
		"too long for jq":  {`request: {jq: ., max_body: 1KiB}`, "application/json", "", `"` + strings.Repeat("a", 1<<10) + `"`, `it is longer than 1KiB`},
		"a bomb":           {`request: {drop: [a], max_body: 1KiB}`, "application/json", "gzip", gzipped(strings.Repeat("a", 2<<10)), `it is longer than 1KiB`},
		"a text is long":   {`request: {drop: [a], max_body: 1KiB}`, "application/json", "", `"` + strings.Repeat("a", 128<<10) + `"`, `a text or number is longer than 65536 bytes`},
		"many fields":      {`request: {from: form}`, "application/x-www-form-urlencoded", "", many, `1000`},
		"too deep for XML": {`request: {from: xml}`, "application/xml", "", strings.Repeat("<a>", 200), `100 deep`},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, upstream(t, test.policy, echo))
			fields := []string{"Content-Type: " + test.typ}
			if test.coding != "" {
				fields = append(fields, "Content-Encoding: "+test.coding)
			}
			resp, body := g.Do("POST", "/x", test.body, fields...)
			if resp.StatusCode < 400 || resp.StatusCode >= 500 || !strings.Contains(body, `"detail":"The body of the request cannot be used: `) || !strings.Contains(body, test.want) {
				t.Errorf("got %d: %s\n%s", resp.StatusCode, body, g.Log())
			}
		})
	}
}

// TestAWholeRequestIsSentAgain: what was transformed in memory may be sent to another endpoint.
func TestAWholeRequestIsSentAgain(t *testing.T) {
	var tries atomic.Int32
	text := upstream(t, `request: {drop: [a]}`, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if tries.Add(1) == 1 {
			w.WriteHeader(503)
			return
		}
		_, _ = w.Write(body)
	})
	text = strings.Replace(text, "upstreams: {u: ", "upstreams: {u: {retry: {times: 2, on: [503], backoff: 1ms, methods: [PUT]}, endpoints: ", 1)
	text = strings.Replace(text, "}\nroutes", "}}\nroutes", 1)
	g := gatewaytest.New(t, text)
	resp, body := g.Do("PUT", "/x", `{"a":1,"b":2}`)
	if resp.StatusCode != 200 || body != `{"b":2}` || tries.Load() != 2 {
		t.Errorf("got %d %s after %d tries", resp.StatusCode, body, tries.Load())
	}
}

// TestExpectContinue: the client is told to go on when the body is read.
func TestExpectContinue(t *testing.T) {
	g := gatewaytest.New(t, upstream(t, `request: {drop: [a]}`, echo))
	resp, body := g.Do("POST", "/x", `{"a":1,"b":2}`, "Expect: 100-continue", "Content-Type: application/json")
	if resp.StatusCode != 200 || body != `{"b":2}` {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

// TestASOAPClientGetsFaults of whatever goes wrong.
func TestASOAPClientGetsFaults(t *testing.T) {
	const policy = "request: {from: soap}\nresponse: {to: soap}\nsoap: {operation: GetUser, declaration: false}"
	const good = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetUser><id>7</id></GetUser></s:Body></s:Envelope>`
	for name, test := range map[string]struct {
		upstream http.HandlerFunc
		body     string
		status   int
		want     string
	}{
		"an answer":          {answers("application/json", `{"name":"Ann"}`), good, 200, "<GetUserResponse><name>Ann</name></GetUserResponse>"},
		"no envelope":        {answers("application/json", `{}`), "<a/>", 500, "<faultcode>soap:Client</faultcode>"},
		"of another version": {answers("application/json", `{}`), strings.Replace(good, "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope", 1), 500, "VersionMismatch"},
		"the upstream refuses": {func(w http.ResponseWriter, _ *http.Request) {
			answersStatus(w, 404, "application/problem+json", `{"title":"No such user"}`)
		}, good, 500, "<faultstring>No such user</faultstring>"},
		"the upstream is broken": {answers("text/html", `<p>`), good, 500, "<faultcode>soap:Server</faultcode>"},
		"the upstream is gone":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, good, 500, "<faultcode>soap:Server</faultcode>"},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, upstream(t, policy, test.upstream))
			resp, body := g.Do("POST", "/x", test.body, "Content-Type: text/xml; charset=utf-8", "SOAPAction: \"\"")
			if resp.StatusCode != test.status || resp.Header.Get("Content-Type") != "text/xml; charset=utf-8" || !strings.Contains(body, test.want) {
				t.Errorf("got %d %s: %s", resp.StatusCode, resp.Header.Get("Content-Type"), body)
			}
		})
	}
}

func answersStatus(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// TestAnEmptyBodyIsNone: however it is framed.
func TestAnEmptyBodyIsNone(t *testing.T) {
	for policy, want := range map[string]string{
		"request: {drop: [a]}":                                  "",
		"request: {drop: [a], whole: true}":                     "",
		"request: {from: xml}":                                  "",
		"request: {set: {b: 1}, create: true}":                  `{"b":1}`,
		"request: {from: form, set: {b: 1}, method: PUT}":       `{"b":1}`,
		"request: {jq: '. + {b: 1}', on_error: pass, to: json}": "",
	} {
		g := gatewaytest.New(t, upstream(t, policy, echo))
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = conn.Close()
		if resp.StatusCode != 200 || string(body) != want || want == "" && resp.Header.Get("X-Length") != "0" {
			t.Errorf("%s: got %d %s %v", policy, resp.StatusCode, body, resp.Header)
		}
	}
}

// TestTemplatesOfJSONMakeJSON: a value without quotes cannot end the document, or put something into it.
func TestTemplatesOfJSONMakeJSON(t *testing.T) {
	g := gatewaytest.New(t, upstream(t, `request: {template: '{{"n":{body.n},"role":"user"}}', content_type: application/json}`, echo))
	for n, want := range map[string]string{`1.50`: `{"n":1.50,"role":"user"}`, `"1}"`: "", `"1,\"role\":2"`: "", `"x"`: "", `null`: "", `"[1,2]"`: `{"n":[1,2],"role":"user"}`} {
		resp, body := g.Do("POST", "/x", `{"n":`+n+`}`, "Content-Type: application/json")
		if want == "" && (resp.StatusCode != 400 || strings.Contains(body, "role")) || want != "" && body != want {
			t.Errorf("%s: got %d %s", n, resp.StatusCode, body)
		}
	}
}
