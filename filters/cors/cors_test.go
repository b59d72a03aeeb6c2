package cors

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// policy is the policy, and what its exchanges need.
type policy struct {
	*filter.Filter
	env *filter.Env
}

// newPolicy builds the policy from its configuration as a user writes it.
func newPolicy(t testing.TB, text string) (policy, error) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	return policy{f, env}, err
}

// exchange makes an exchange for a request to https://api.example.com: "GET", "Origin: https://app.example.com", …
func (p policy) exchange(method string, fields ...string) *filter.Exchange {
	req := httptest.NewRequest(method, "https://api.example.com/x", nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
	}
	ex := &filter.Exchange{Request: req, Original: filter.Original{Method: method, Scheme: "https", Host: "api.example.com"}}
	ex.Prepare(p.env.Slots())
	return ex
}

// count is how many requests were counted with an outcome.
func (p policy) count(t *testing.T, outcome string) float64 {
	t.Helper()
	var m dto.Metric
	counter := p.env.Metrics.Counter("cors_requests_total", "Requests with an Origin, by route and outcome.", "route", "outcome")
	if err := counter.WithLabelValues("r", outcome).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// result is what became of a request.
type result struct {
	Status  int // of a preflight; 0 where the request passes
	Header  http.Header
	Error   string
	Explain filter.Verdict
	Counted string
}

// run takes a request through the policy. The upstream answers with what it is given.
func (p policy) run(t *testing.T, ex *filter.Exchange, upstream http.Header) result {
	t.Helper()
	got := result{Explain: p.Explain(ex)}
	if err := p.Request(ex); err != nil {
		got.Error, ex.Err = err.Error(), err
		if filter.AsError(err).HTTPStatus() != 403 {
			t.Errorf("status %d", filter.AsError(err).HTTPStatus())
		}
		ex.Response = &http.Response{StatusCode: 403, Header: http.Header{}}
	} else if ex.Response != nil {
		got.Status = ex.Response.StatusCode
	} else {
		ex.Request.Header.Del("Origin") // a later policy may change the request
		ex.Response = &http.Response{StatusCode: 200, Header: upstream.Clone()}
		if upstream == nil {
			ex.Response.Header = http.Header{}
		}
	}
	if err := p.Response(ex); err != nil {
		t.Fatal(err)
	}
	got.Header = ex.Response.Header
	for _, outcome := range []string{"preflight", "allowed", "rejected"} {
		if p.count(t, outcome) > 0 {
			got.Counted += outcome
		}
	}
	return got
}

func TestRequests(t *testing.T) {
	vary := http.Header{"Vary": {"Origin"}}
	granted := func(more ...string) http.Header {
		h := http.Header{"Access-Control-Allow-Origin": {"https://app.example.com"}, "Vary": {"Origin"}}
		for _, f := range more {
			name, value, _ := strings.Cut(f, ": ")
			h[name] = []string{value}
		}
		return h
	}
	const app = "Origin: https://app.example.com"
	allowed := filter.Verdict{Action: filter.Passes, Note: "https://app.example.com is allowed"}
	withheld := func(origin string) filter.Verdict {
		return filter.Verdict{Action: filter.Passes, Note: origin + " is not allowed: the answer has no CORS fields, and browsers withhold it"}
	}
	for name, test := range map[string]struct {
		config   string
		method   string
		fields   []string
		upstream http.Header
		want     result
	}{
		"allowed":      {"https://app.example.com", "GET", []string{app}, nil, result{Header: granted(), Explain: allowed, Counted: "allowed"}},
		"no origin":    {"[https://app.example.com]", "GET", nil, nil, result{Header: vary, Explain: filter.Verdict{Action: filter.Passes, Note: "there is no Origin"}}},
		"other origin": {"[https://app.example.com]", "GET", []string{"Origin: https://evil.com"}, nil, result{Header: vary, Explain: withheld("https://evil.com"), Counted: "rejected"}},
		"two origins":  {"[https://app.example.com]", "GET", []string{app, app}, nil, result{Header: vary, Explain: withheld("https://app.example.com, https://app.example.com"), Counted: "rejected"}},
		"other case":   {"[https://app.example.com]", "GET", []string{"Origin: https://APP.example.com"}, nil, result{Header: vary, Explain: withheld("https://APP.example.com"), Counted: "rejected"}},
		"null":         {"[https://app.example.com]", "GET", []string{"Origin: null"}, nil, result{Header: vary, Explain: withheld("null"), Counted: "rejected"}},
		"null, allowed": {"[https://app.example.com, 'null']", "GET", []string{"Origin: null"}, nil, result{
			Header: http.Header{"Access-Control-Allow-Origin": {"null"}, "Vary": {"Origin"}}, Explain: filter.Verdict{Action: filter.Passes, Note: "null is allowed"}, Counted: "allowed",
		}},
		"credentials and expose": {"{origins: https://app.example.com, credentials: true, expose: [X-A, X-B]}", "GET", []string{app}, nil, result{
			Header: granted("Access-Control-Allow-Credentials: true", "Access-Control-Expose-Headers: X-A, X-B"), Explain: allowed, Counted: "allowed",
		}},
		"the upstream's own is replaced": {
			"https://app.example.com", "GET",
			[]string{app},
			http.Header{"Access-Control-Allow-Origin": {"*", "https://evil.com"}, "Access-Control-Allow-Credentials": {"true"}, "Access-Control-Max-Age": {"5"}, "Vary": {"Accept, origin"}, "X-A": {"a"}},
			result{
				Header:  http.Header{"Access-Control-Allow-Origin": {"https://app.example.com"}, "Vary": {"Accept, origin"}, "X-A": {"a"}},
				Explain: allowed, Counted: "allowed",
			},
		},
		"the upstream's own is removed": {
			"https://app.example.com", "GET", nil,
			http.Header{"Access-Control-Allow-Origin": {"*"}, "Vary": {"Accept"}},
			result{Header: http.Header{"Vary": {"Accept", "Origin"}}, Explain: filter.Verdict{Action: filter.Passes, Note: "there is no Origin"}},
		},
		"varies by all": {"https://app.example.com", "GET", []string{app}, http.Header{"Vary": {"*"}}, result{
			Header: http.Header{"Access-Control-Allow-Origin": {"https://app.example.com"}, "Vary": {"*"}}, Explain: allowed, Counted: "allowed",
		}},
		"everyone": {`"*"`, "GET", []string{app}, nil, result{
			Header: http.Header{"Access-Control-Allow-Origin": {"*"}}, Explain: allowed, Counted: "allowed",
		}},
		"everyone, no origin": {`{origins: "*", expose: "*"}`, "GET", nil, http.Header{"Vary": {"Accept"}}, result{
			Header:  http.Header{"Access-Control-Allow-Origin": {"*"}, "Access-Control-Expose-Headers": {"*"}, "Vary": {"Accept"}},
			Explain: filter.Verdict{Action: filter.Passes, Note: "there is no Origin"},
		}},
		"OPTIONS that is no preflight": {"https://app.example.com", "OPTIONS", []string{app}, nil, result{Header: granted(), Explain: allowed, Counted: "allowed"}},
		"preflight without origin": {"https://app.example.com", "OPTIONS", []string{"Access-Control-Request-Method: PUT"}, nil, result{
			Header: vary, Explain: filter.Verdict{Action: filter.Passes, Note: "there is no Origin"},
		}},
		"enforced": {"{origins: https://app.example.com, enforce: true}", "GET", []string{"Origin: https://evil.com"}, nil, result{
			Header: vary, Error: "cors_rejected: Requests from pages of this origin are not allowed here.",
			Explain: filter.Verdict{Action: filter.Rejects, Note: "https://evil.com is not allowed"}, Counted: "rejected",
		}},
		"enforced, allowed":   {"{origins: https://app.example.com, enforce: true}", "GET", []string{app}, nil, result{Header: granted(), Explain: allowed, Counted: "allowed"}},
		"enforced, no origin": {"{origins: https://app.example.com, enforce: true}", "GET", nil, nil, result{Header: vary, Explain: filter.Verdict{Action: filter.Passes, Note: "there is no Origin"}}},
		"enforced, same origin": {"{origins: https://app.example.com, enforce: true}", "POST", []string{"Origin: https://api.example.com"}, nil, result{
			Header: vary, Explain: filter.Verdict{Action: filter.Passes, Note: "https://api.example.com is the origin that is asked"},
		}},
		"enforced, same host but other scheme": {"{origins: https://app.example.com, enforce: true}", "POST", []string{"Origin: http://api.example.com"}, nil, result{
			Header: vary, Error: "cors_rejected: Requests from pages of this origin are not allowed here.",
			Explain: filter.Verdict{Action: filter.Rejects, Note: "http://api.example.com is not allowed"}, Counted: "rejected",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newPolicy(t, test.config)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, p.run(t, p.exchange(test.method, test.fields...), test.upstream)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPreflights(t *testing.T) {
	vary := []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}
	answer := func(fields ...string) http.Header {
		h := http.Header{"Access-Control-Allow-Origin": {"https://app.example.com"}, "Vary": vary, "Access-Control-Max-Age": {"600"}}
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			h[name] = []string{value}
		}
		return h
	}
	const app, put = "Origin: https://app.example.com", "Access-Control-Request-Method: PUT"
	const strict = "{origins: https://app.example.com, methods: [GET, put], headers: [Authorization, X-Y], max_age: off, credentials: true, private_network: true}"
	refused := func(detail, note string) result {
		return result{
			Error: "cors_rejected: " + detail, Header: http.Header{"Vary": vary}, Counted: "rejected",
			Explain: filter.Verdict{Action: filter.Rejects, Note: note},
		}
	}
	ok := filter.Verdict{Action: filter.Answers, Note: "preflight from https://app.example.com for PUT is allowed"}
	for name, test := range map[string]struct {
		config string
		fields []string
		want   result
	}{
		"defaults": {"[https://app.example.com]", []string{app, put}, result{
			Status: 204, Header: answer("Access-Control-Allow-Methods: PUT"), Explain: ok, Counted: "preflight",
		}},
		"defaults with headers": {"[https://app.example.com]", []string{app, put, "Access-Control-Request-Headers: authorization,content-type"}, result{
			Status: 204, Header: answer("Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Headers: authorization,content-type"), Explain: ok, Counted: "preflight",
		}},
		"stars": {`{origins: "*", methods: "*", headers: "*"}`, []string{app, put, "Access-Control-Request-Headers: x-y"}, result{
			Status:  204,
			Header:  answer("Access-Control-Allow-Origin: *", "Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Headers: x-y"),
			Explain: ok, Counted: "preflight",
		}},
		"strict": {strict, []string{app, put, "Access-Control-Request-Headers: authorization, x-y"}, result{
			Status: 204,
			Header: answer("Access-Control-Allow-Methods: GET, PUT", "Access-Control-Allow-Headers: Authorization, X-Y",
				"Access-Control-Allow-Credentials: true", "Access-Control-Max-Age: 0"),
			Explain: ok, Counted: "preflight",
		}},
		"private network": {strict, []string{app, put, "Access-Control-Request-Private-Network: true"}, result{
			Status: 204,
			Header: answer("Access-Control-Allow-Methods: GET, PUT", "Access-Control-Allow-Headers: Authorization, X-Y",
				"Access-Control-Allow-Credentials: true", "Access-Control-Max-Age: 0", "Access-Control-Allow-Private-Network: true"),
			Explain: ok, Counted: "preflight",
		}},
		"private network, not allowed": {"https://app.example.com", []string{app, put, "Access-Control-Request-Private-Network: true"}, result{
			Status: 204, Header: answer("Access-Control-Allow-Methods: PUT"), Explain: ok, Counted: "preflight",
		}},
		"other origin":          {strict, []string{"Origin: https://evil.com", put}, refused("This origin is not allowed.", "preflight from https://evil.com: this origin is not allowed")},
		"two origins":           {strict, []string{app, "Origin: https://evil.com", put}, refused("This origin is not allowed.", "preflight from https://app.example.com, https://evil.com: this origin is not allowed")},
		"other method":          {strict, []string{app, "Access-Control-Request-Method: DELETE"}, refused("This method is not allowed across origins.", "preflight from https://app.example.com: this method is not allowed across origins")},
		"method in lower case":  {strict, []string{app, "Access-Control-Request-Method: put"}, refused("This method is not allowed across origins.", "preflight from https://app.example.com: this method is not allowed across origins")},
		"no method at all":      {"https://app.example.com", []string{app, "Access-Control-Request-Method: PUT,\tX: y"}, refused("This method is not allowed across origins.", "preflight from https://app.example.com: this method is not allowed across origins")},
		"other header":          {strict, []string{app, put, "Access-Control-Request-Headers: x-y", "Access-Control-Request-Headers: , x-z"}, refused("The header x-z is not allowed across origins.", "preflight from https://app.example.com: the header x-z is not allowed across origins")},
		"no header at all":      {"https://app.example.com", []string{app, put, "Access-Control-Request-Headers: x-y, a b"}, refused("A header that is asked for cannot be one.", "preflight from https://app.example.com: a header that is asked for cannot be one")},
		"empty list of headers": {"{origins: https://app.example.com, headers: []}", []string{app, put, "Access-Control-Request-Headers: x-y"}, refused("The header x-y is not allowed across origins.", "preflight from https://app.example.com: the header x-y is not allowed across origins")},
		"empty list of methods": {"{origins: https://app.example.com, methods: []}", []string{app, put}, refused("This method is not allowed across origins.", "preflight from https://app.example.com: this method is not allowed across origins")},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newPolicy(t, test.config)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, p.run(t, p.exchange("OPTIONS", test.fields...), nil)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOrigins(t *testing.T) {
	for _, test := range []struct {
		config  string
		allowed []string
		others  []string
	}{
		{
			"https://app.example.com:443",
			[]string{"https://app.example.com"},
			[]string{"https://app.example.com:443", "https://app.example.com:8443", "http://app.example.com", "https://app.example.com.evil.com", "https://xapp.example.com", "https://app.example.com/", ""},
		},
		{
			`"HTTPS://*.Example.com"`,
			[]string{"https://a.example.com", "https://a.b.example.com", "https://xn--bcher-kva.example.com", "https://a_b.example.com"},
			[]string{
				"https://example.com", "https://.example.com", "https://a..example.com", "https://evilexample.com", "https://a.example.com:8443", "http://a.example.com",
				"https://evil.com/.example.com", "https://evil.com#.example.com", "https://evil.com?.example.com", "https://evil.com\\.example.com", "https://evil.com@a.example.com",
				"https://evil.com:80.example.com", "https://evil.com\x00.example.com", "https://evil.com .example.com", "https://%65.example.com", "https://A.example.com",
				"https://a.example.com.evil.com", "https://[::1].example.com", "https://a.example.com:", "https://é.example.com",
			},
		},
		{
			`"http://localhost:*"`,
			[]string{"http://localhost", "http://localhost:3000", "http://localhost:1"},
			[]string{"http://localhost:", "http://localhost:03000", "http://localhost:65536", "http://localhost:-1", "http://localhost:3000.evil.com", "http://localhost.evil.com:3000", "https://localhost:3000", "http://localhost:3000:3000"},
		},
		{
			`"https://*.example.com:8443"`,
			[]string{"https://a.example.com:8443"},
			[]string{"https://a.example.com", "https://a.example.com:443", "https://a.example.com:84430"},
		},
		{`"https://*.example.com:*"`, []string{"https://a.example.com:8443", "https://a.example.com"}, []string{"https://example.com:8443"}},
		{`"http://[::1]:3000"`, []string{"http://[::1]:3000"}, []string{"http://[::1]", "http://[::2]:3000"}},
		{`"http://[::1]:*"`, []string{"http://[::1]", "http://[::1]:3000"}, []string{"http://[::1]:3000:1", "http://[::1"}},
		{"capacitor://localhost", []string{"capacitor://localhost"}, []string{"https://localhost"}},
		{`["https://a.example", "https://*.b.example"]`, []string{"https://a.example", "https://x.b.example"}, []string{"https://b.example", "null", "*"}},
	} {
		p, err := newPolicy(t, "{origins: "+test.config+", enforce: true}")
		if err != nil {
			t.Fatal(err)
		}
		for _, origin := range test.allowed {
			ex := p.exchange("GET", "Origin: "+origin)
			ex.Response = &http.Response{Header: http.Header{}}
			if err := p.Request(ex); err != nil {
				t.Errorf("%s: %q is refused", test.config, origin)
				continue
			}
			_ = p.Response(ex)
			if got := ex.Response.Header.Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("%s: %q is told %q", test.config, origin, got)
			}
		}
		for _, origin := range test.others {
			if err := p.Request(p.exchange("GET", "Origin: "+origin)); err == nil {
				t.Errorf("%s: %q is allowed", test.config, origin)
			}
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                                   "origins",
		"[]":                                   "no origin",
		"{origins: []}":                        "no origin",
		"app.example.com":                      "write https://app.example.com",
		"https://app.example.com/":             "is more than an origin",
		"https://app.example.com/x":            "is more than an origin",
		"https://u@app.example.com":            "is more than an origin",
		`"https://*"`:                          "`*`",
		`"https://*example.com"`:               "`*`",
		`"https://a.*.example.com"`:            "`*`",
		`"https://*.*.example.com"`:            "`*`",
		`"*://example.com"`:                    "scheme",
		`"https://*.[::1]"`:                    "host",
		"https://":                             "host",
		"https://bücher.example":               "xn--",
		"https://a b":                          "host",
		"https://a:x":                          "port",
		"https://a:99999":                      "port",
		`"https://a:80:*"`:                     "port",
		`["*", https://a.example]`:             "must stand alone",
		`{origins: "*", credentials: true}`:    "does not go with `credentials`",
		`{origins: "null", credentials: true}`: "does not go with `credentials`",
		`{origins: https://a, credentials: true, expose: "*"}`: "with `credentials`",
		`{origins: https://a, methods: ["*", GET]}`:            "must stand alone",
		`{origins: https://a, headers: ["a b"]}`:               "cannot be the name",
		`{origins: https://a, headers: ["a\r\nb"]}`:            "cannot be the name",
		`{origins: https://a, expose: ["X-Y, X-Z"]}`:           "cannot be the name",
		`{origins: https://a, max_age: -1s}`:                   "negative",
		`{origins: https://a, allow_credentials: true}`:        "unknown key",
	} {
		if _, err := newPolicy(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want … %s …", text, err, want)
		}
	}
}

// Who changes a field of one answer must not change another's.
func TestAnswersShareNothing(t *testing.T) {
	p, _ := newPolicy(t, "[https://app.example.com]")
	var answers []http.Header
	for range 2 {
		for _, fields := range [][]string{{"Origin: https://app.example.com"}, {"Origin: https://app.example.com", "Access-Control-Request-Method: PUT"}} {
			ex := p.exchange("OPTIONS", fields...)
			_ = p.Request(ex)
			if ex.Response == nil {
				ex.Response = &http.Response{Header: http.Header{}}
			}
			_ = p.Response(ex)
			answers = append(answers, ex.Response.Header.Clone())
			for name := range ex.Response.Header {
				ex.Response.Header.Add(name, "spoilt")
			}
		}
	}
	if diff := cmp.Diff(answers[:2], answers[2:]); diff != "" {
		t.Error(diff)
	}
	own := make([]string, 1, 8)
	own[0] = "Accept"
	ex := p.exchange("GET")
	ex.Response = &http.Response{Header: http.Header{"Vary": own}}
	if _ = p.Response(ex); own[:2][1] != "" {
		t.Error("it wrote behind the end of a slice that may be shared")
	}
}

func TestAllocations(t *testing.T) {
	p, _ := newPolicy(t, "{origins: [https://app.example.com, https://*.example.org], credentials: true, expose: [X-A]}")
	h := http.Header{}
	for _, fields := range [][]string{nil, {"Origin: https://app.example.com"}, {"Origin: https://evil.com"}} {
		ex := p.exchange("GET", fields...)
		ex.Response = &http.Response{Header: h}
		if n := testing.AllocsPerRun(100, func() { clear(h); _, _ = p.Request(ex), p.Response(ex) }); n != 0 {
			t.Errorf("%v: %v allocations", fields, n)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"a", "evil.com/", "evil.com#", "[::1]", "a:80", "a.b", ".", "-"} {
		f.Add(s)
	}
	p, err := parseOrigin("https://*.example.com")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, label string) {
		origin := "https://" + label + ".example.com"
		req, err := http.NewRequest("GET", origin, nil)
		ok := err == nil && req.URL.Host == label+".example.com" && req.URL.Path == "" && req.URL.User == nil
		if p.matches(origin) && !ok {
			t.Errorf("%q is taken for a host below example.com", origin)
		}
	})
}

func BenchmarkExchange(b *testing.B) {
	p, _ := newPolicy(b, "{origins: [https://app.example.com, https://*.example.org], credentials: true, expose: [X-A]}")
	for name, fields := range map[string][]string{
		"no origin": nil, "exact": {"Origin: https://app.example.com"}, "wildcard": {"Origin: https://a.example.org"},
	} {
		b.Run(name, func(b *testing.B) {
			h := http.Header{}
			ex := p.exchange("GET", fields...)
			ex.Response = &http.Response{Header: h}
			b.ReportAllocs()
			for b.Loop() {
				clear(h)
				_, _ = p.Request(ex), p.Response(ex)
			}
		})
	}
	b.Run("preflight", func(b *testing.B) {
		ex := p.exchange("OPTIONS", "Origin: https://app.example.com", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization,content-type")
		b.ReportAllocs()
		for b.Loop() {
			_, _ = p.Request(ex), p.Response(ex)
		}
	})
}
