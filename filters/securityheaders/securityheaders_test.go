package securityheaders

import (
	"maps"
	"net/http"
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

// answer passes an answer of the upstream through the policy.
func answer(t testing.TB, config, scheme string, upstream http.Header) http.Header {
	t.Helper()
	f, err := newFilter(t, config)
	if err != nil {
		t.Fatal(err)
	}
	ex := &filter.Exchange{Original: filter.Original{Scheme: scheme}, Response: &http.Response{StatusCode: 200, Header: upstream}}
	if err := f.Response(ex); err != nil {
		t.Fatal(err)
	}
	return ex.Response.Header
}

// defaults are the fields that an empty object gives over http.
func defaults() http.Header {
	return http.Header{
		"Content-Security-Policy":      {"base-uri 'self'; object-src 'none'; frame-ancestors 'self'"},
		"X-Frame-Options":              {"SAMEORIGIN"},
		"X-Content-Type-Options":       {"nosniff"},
		"Referrer-Policy":              {"strict-origin-when-cross-origin"},
		"Permissions-Policy":           {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
		"Cross-Origin-Opener-Policy":   {"same-origin-allow-popups"},
		"Cross-Origin-Resource-Policy": {"same-site"},
	}
}

func TestDefaults(t *testing.T) {
	if diff := cmp.Diff(defaults(), answer(t, "{}", "http", nil)); diff != "" {
		t.Errorf("over http (-want +got):\n%s", diff)
	}
	want := defaults()
	want.Set("Strict-Transport-Security", "max-age=31536000")
	got := answer(t, "{}", "https", http.Header{"Server": {"Apache/2.2"}, "X-Powered-By": {"PHP/5"}, "X-Aspnet-Version": {"2"}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("over https (-want +got):\n%s", diff)
	}
	if got := answer(t, "{}", "http", http.Header{"Strict-Transport-Security": {"max-age=1"}}); got["Strict-Transport-Security"] != nil {
		t.Error("HSTS over http")
	}
}

const allOff = "hsts: off, content_security_policy: off, frames: off, content_type_options: off, referrer_policy: off, permissions_policy: off, " +
	"cross_origin_opener_policy: off, cross_origin_resource_policy: off, remove: off"

func TestOff(t *testing.T) {
	own := http.Header{"Server": {"x"}, "Strict-Transport-Security": {"max-age=1"}, "X-Frame-Options": {"ALLOWALL"}}
	if diff := cmp.Diff(maps.Clone(own), answer(t, "{"+allOff+"}", "https", own)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFields(t *testing.T) {
	const csp, xfo, hsts = "Content-Security-Policy", "X-Frame-Options", "Strict-Transport-Security"
	for name, test := range map[string]struct {
		config   string
		upstream http.Header
		field    string
		want     []string
	}{
		"whole":                   {"content_security_policy: default-src 'none'", nil, csp, []string{"default-src 'none'; frame-ancestors 'self'"}},
		"whole, with frames":      {`content_security_policy: "frame-ancestors https://a.example"`, nil, csp, []string{"frame-ancestors https://a.example"}},
		"frames of the policy":    {`content_security_policy: "frame-ancestors https://a.example"`, nil, xfo, nil},
		"frames of the policy, 2": {`content_security_policy: "frame-ancestors 'none'"`, nil, xfo, []string{"DENY"}},
		"by directive": {
			`content_security_policy: {directives: {Script-Src: ["'self'", https://cdn.example], object-src: off, upgrade-insecure-requests: []}}`, nil,
			csp,
			[]string{"base-uri 'self'; script-src 'self' https://cdn.example; upgrade-insecure-requests; frame-ancestors 'self'"},
		},
		"report only":         {"content_security_policy: {report_only: true}", nil, csp + "-Report-Only", []string{"base-uri 'self'; object-src 'none'"}},
		"no policy":           {"content_security_policy: off", nil, csp, nil},
		"no policy, frames":   {"content_security_policy: off", nil, xfo, []string{"SAMEORIGIN"}},
		"frames":              {"frames: none", nil, csp, []string{"base-uri 'self'; object-src 'none'; frame-ancestors 'none'"}},
		"frames, old":         {"frames: none", nil, xfo, []string{"DENY"}},
		"frames of origins":   {`frames: [self, "https://*.a.example"]`, nil, csp, []string{"base-uri 'self'; object-src 'none'; frame-ancestors 'self' https://*.a.example"}},
		"hsts":                {"hsts: 730d", nil, hsts, []string{"max-age=63072000"}},
		"hsts, all":           {"hsts: {subdomains: true, preload: true}", nil, hsts, []string{"max-age=31536000; includeSubDomains; preload"}},
		"longer hsts":         {"hsts: 1d", http.Header{hsts: {`Max-Age = "90000" ; includeSubDomains`}}, hsts, []string{`Max-Age = "90000" ; includeSubDomains`}},
		"shorter hsts":        {"hsts: 1d", http.Header{hsts: {"max-age=5"}}, hsts, []string{"max-age=86400"}},
		"narrower hsts":       {"hsts: {max_age: 1d, subdomains: true}", http.Header{hsts: {"max-age=90000"}}, hsts, []string{"max-age=86400; includeSubDomains"}},
		"broken hsts":         {"hsts: 1d", http.Header{hsts: {"max-age=90000; max-age=1"}}, hsts, []string{"max-age=86400"}},
		"endless hsts":        {"hsts: 1d", http.Header{hsts: {"max-age=99999999999999999999"}}, hsts, []string{"max-age=86400"}},
		"two hsts":            {"hsts: 1d", http.Header{hsts: {"max-age=90000", "max-age=0"}}, hsts, []string{"max-age=86400"}},
		"stricter frames":     {"", http.Header{xfo: {"deny"}}, xfo, []string{"deny"}},
		"laxer frames":        {"frames: none", http.Header{xfo: {"SAMEORIGIN"}}, xfo, []string{"DENY"}},
		"odd frames":          {"", http.Header{xfo: {"ALLOW-FROM https://evil.example"}}, xfo, []string{"SAMEORIGIN"}},
		"laxer referrer":      {"", http.Header{"Referrer-Policy": {"unsafe-url"}}, "Referrer-Policy", []string{"strict-origin-when-cross-origin"}},
		"stricter referrer":   {"", http.Header{"Referrer-Policy": {"no-referrer"}}, "Referrer-Policy", []string{"no-referrer"}},
		"both policies":       {"content_security_policy: default-src 'self'", http.Header{csp: {"img-src *"}}, csp, []string{"img-src *", "default-src 'self'; frame-ancestors 'self'"}},
		"both permissions":    {"permissions_policy: usb=()", http.Header{"Permissions-Policy": {"usb=*, midi=()"}}, "Permissions-Policy", []string{"usb=*, midi=()", "usb=()"}},
		"embedder":            {"cross_origin_embedder_policy: credentialless", http.Header{"Cross-Origin-Embedder-Policy": {"require-corp"}}, "Cross-Origin-Embedder-Policy", []string{"require-corp"}},
		"keep":                {"upstream: keep", http.Header{csp: {"img-src *"}}, csp, []string{"img-src *"}},
		"keep, laxer":         {"upstream: keep", http.Header{xfo: {"ALLOWALL"}}, xfo, []string{"ALLOWALL"}},
		"replace":             {"upstream: replace", http.Header{xfo: {"DENY"}}, xfo, []string{"SAMEORIGIN"}},
		"replace, the policy": {"upstream: replace, content_security_policy: img-src *", http.Header{csp: {"img-src b", "c"}}, csp, []string{"img-src *; frame-ancestors 'self'"}},
		"removed":             {"remove: [x-runtime]", http.Header{"X-Runtime": {"1"}, "Server": {"s"}}, "X-Runtime", nil},
		"nothing removed":     {"remove: []", http.Header{"Server": {"s"}}, "Server", []string{"s"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := answer(t, "{"+test.config+"}", "https", test.upstream)
			if diff := cmp.Diff(test.want, got[test.field]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.field, diff)
			}
		})
	}
}

func TestAnswersShareNothingThatCanBeChanged(t *testing.T) {
	f, err := newFilter(t, "{}")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ex := &filter.Exchange{Response: &http.Response{StatusCode: 200, Header: http.Header{}}}
		if err := f.Response(ex); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(defaults(), ex.Response.Header); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for name := range ex.Response.Header {
			ex.Response.Header.Add(name, "more")
		}
	}
}

func TestHandshakesAreLeftAlone(t *testing.T) {
	f, err := newFilter(t, "{}")
	if err != nil {
		t.Fatal(err)
	}
	ex := &filter.Exchange{Response: &http.Response{StatusCode: 101, Header: http.Header{"Server": {"ws"}}}}
	if err := f.Response(ex); err != nil || len(ex.Response.Header) != 1 {
		t.Errorf("got %v, %v", ex.Response.Header, err)
	}
}

func TestConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		"{hsts: {preload: true}}":                                    "preload lists",
		"{hsts: {preload: true, subdomains: true, max_age: 30d}}":    "preload lists",
		`{content_security_policy: ""}`:                              "the policy is empty",
		`{content_security_policy: "img_src *"}`:                     `"img_src" cannot be the name`,
		`{content_security_policy: "a\nb"}`:                          "control character",
		`{content_security_policy: {directives: {a b: x}}}`:          `"a b" cannot be the name`,
		`{content_security_policy: {directives: {img-src: "a; b"}}}`: "cannot be a value",
		`{content_security_policy: {directives: {img-src: self}}}`:   "single quotes",
		`{frames: everyone}`:                                         `"everyone" is neither`,
		`{frames: []}`:                                               "nothing is named",
		`{frames: [none, self]}`:                                     "must stand alone",
		`{frames: "https://a.example/x"}`:                            "nor an origin",
		`{referrer_policy: never}`:                                   `"never" is not possible here`,
		`{permissions_policy: "camera 'none'"}`:                      "is not a feature",
		`{permissions_policy: "camera=(); usb=()"}`:                  "separated by commas",
		`{cross_origin_opener_policy: x}`:                            "not possible",
		`{remove: [Content-Length]}`:                                 "cannot be removed",
		`{remove: ["a b"]}`:                                          "cannot be the name",
		`{upstream: both}`:                                           "not possible",
		`{x_frame_options: DENY}`:                                    "unknown key",
	} {
		_, err := newFilter(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

func TestExplain(t *testing.T) {
	f, err := newFilter(t, "{permissions_policy: off, cross_origin_opener_policy: off, cross_origin_resource_policy: off}")
	if err != nil {
		t.Fatal(err)
	}
	want := filter.Verdict{Action: filter.Passes, Note: "answers get Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, Referrer-Policy, " +
		"Strict-Transport-Security over https, and lose Server, X-Powered-By, X-Aspnet-Version, X-Aspnetmvc-Version"}
	if diff := cmp.Diff(want, f.Explain(&filter.Exchange{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// steady returns the policy and an exchange whose answer has room for all fields.
func steady(t testing.TB) (*filter.Filter, *filter.Exchange) {
	f, err := newFilter(t, "{}")
	if err != nil {
		t.Fatal(err)
	}
	ex := &filter.Exchange{Original: filter.Original{Scheme: "https"}, Response: &http.Response{StatusCode: 200, Header: make(http.Header, 32)}}
	return f, ex
}

var upstreams = []string{"Apache"}

func TestNothingIsAllocated(t *testing.T) {
	f, ex := steady(t)
	if n := testing.AllocsPerRun(100, func() {
		clear(ex.Response.Header)
		ex.Response.Header["Server"] = upstreams
		_ = f.Response(ex)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkResponse(b *testing.B) {
	f, ex := steady(b)
	b.ReportAllocs()
	for b.Loop() {
		clear(ex.Response.Header)
		ex.Response.Header["Server"] = upstreams
		_ = f.Response(ex)
	}
}
