package csrf

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// newFilter builds the policy from its configuration as a user writes it.
func newFilter(t testing.TB, text string) (*filter.Filter, *filter.Env, error) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	return f, env, err
}

// exchange is a request for https://shop.example with fields, such as "Origin: null".
func exchange(env *filter.Env, method string, fields ...string) *filter.Exchange {
	r := httptest.NewRequest(method, "https://shop.example/x", nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	ex := &filter.Exchange{Request: r, Original: filter.Original{Scheme: "https", Host: "shop.example"}}
	ex.Prepare(env.Slots())
	return ex
}

func TestRequest(t *testing.T) {
	const trusting = `{trusted_origins: [https://app.example, "https://*.sub.example", "https://ported.example:8443", "HTTPS://Upper.example:443"]}`
	for name, test := range map[string]struct {
		config string
		method string
		fields []string
		passes bool
	}{
		"safe":                         {"{}", "GET", []string{"Sec-Fetch-Site: cross-site"}, true},
		"safe HEAD":                    {"{}", "HEAD", []string{"Origin: https://evil.example"}, true},
		"safe OPTIONS":                 {"{}", "OPTIONS", []string{"Origin: https://evil.example"}, true},
		"unknown method":               {"{}", "get", []string{"Origin: https://evil.example"}, false},
		"TRACE":                        {"{}", "TRACE", []string{"Origin: https://evil.example"}, false},
		"same origin":                  {"{}", "POST", []string{"Sec-Fetch-Site: same-origin"}, true},
		"typed":                        {"{}", "POST", []string{"Sec-Fetch-Site: none"}, true},
		"same site":                    {"{}", "POST", []string{"Sec-Fetch-Site: same-site", "Origin: https://other.shop.example"}, false},
		"cross site":                   {"{}", "POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, false},
		"cross site without origin":    {"{}", "DELETE", []string{"Sec-Fetch-Site: cross-site"}, false},
		"cross site, claims the host":  {"{}", "POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://shop.example"}, false},
		"site that is not known":       {"{}", "POST", []string{"Sec-Fetch-Site: martian"}, false},
		"two sites":                    {"{}", "POST", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"}, false},
		"empty site":                   {"{}", "POST", []string{"Sec-Fetch-Site: "}, false},
		"trusted":                      {trusting, "POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://app.example"}, true},
		"trusted by the short form":    {"https://app.example", "POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://app.example"}, true},
		"trusted over http":            {trusting, "POST", []string{"Sec-Fetch-Site: cross-site", "Origin: http://app.example"}, false},
		"trusted below":                {trusting, "POST", []string{"Sec-Fetch-Site: same-site", "Origin: https://a.b.sub.example"}, true},
		"trusted above":                {trusting, "POST", []string{"Origin: https://sub.example"}, false},
		"ends like a trusted one":      {trusting, "POST", []string{"Origin: https://evilsub.example"}, false},
		"begins like a trusted one":    {trusting, "POST", []string{"Origin: https://app.example.evil.example"}, false},
		"hides a trusted one":          {trusting, "POST", []string{"Origin: https://evil.example/.sub.example"}, false},
		"hides a trusted one, user":    {trusting, "POST", []string{"Origin: https://evil.example@a.sub.example"}, false},
		"trusted port":                 {trusting, "POST", []string{"Origin: https://ported.example:8443"}, true},
		"other port":                   {trusting, "POST", []string{"Origin: https://ported.example"}, false},
		"port of the scheme":           {trusting, "POST", []string{"Origin: https://upper.example"}, true},
		"old browser, own origin":      {"{}", "POST", []string{"Origin: https://shop.example"}, true},
		"old browser, written large":   {"{}", "POST", []string{"Origin: https://SHOP.example"}, true},
		"old browser, http page":       {"{}", "POST", []string{"Origin: http://shop.example"}, false},
		"old browser, other origin":    {"{}", "POST", []string{"Origin: https://evil.example"}, false},
		"old browser, other port":      {"{}", "POST", []string{"Origin: https://shop.example:8443"}, false},
		"old browser, no origin":       {"{}", "POST", []string{"Origin: null"}, false},
		"empty origin":                 {"{}", "POST", []string{"Origin: "}, false},
		"two origins":                  {"{}", "POST", []string{"Origin: https://shop.example", "Origin: https://shop.example"}, false},
		"origin counts before referer": {"{}", "POST", []string{"Origin: https://evil.example", "Referer: https://shop.example/"}, false},
		"own referer":                  {"{}", "POST", []string{"Referer: https://shop.example/cart?x=https://evil.example"}, true},
		"own referer without path":     {"{}", "POST", []string{"Referer: https://shop.example"}, true},
		"other referer":                {"{}", "POST", []string{"Referer: https://evil.example/https://shop.example"}, false},
		"referer with user":            {"{}", "POST", []string{"Referer: https://shop.example@evil.example/"}, false},
		"referer with backslash":       {"{}", "POST", []string{`Referer: https://evil.example\.shop.example/`}, false},
		"trusted referer":              {trusting, "POST", []string{"Referer: https://app.example/a"}, true},
		"no URL as a referer":          {"{}", "POST", []string{"Referer: shop.example"}, false},
		"no browser":                   {"{}", "POST", []string{"Authorization: Bearer x"}, true},
		"WebSocket of another site":    {"{}", "GET", []string{"Upgrade: websocket", "Origin: https://evil.example"}, false},
		"WebSocket, says the browser":  {"{}", "GET", []string{"Upgrade: websocket", "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, false},
		"WebSocket of the site":        {"{}", "GET", []string{"Upgrade: websocket", "Origin: https://shop.example"}, true},
		"WebSocket of a program":       {"{}", "GET", []string{"Upgrade: websocket"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f, env, err := newFilter(t, test.config)
			if err != nil {
				t.Fatal(err)
			}
			ex := exchange(env, test.method, test.fields...)
			v := f.Explain(ex)
			if passes := v.Action == filter.Passes; passes != test.passes || v.Note == "" {
				t.Errorf("explained as %+v", v)
			}
			err = f.Request(ex)
			if test.passes {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var e *filter.Error
			if !errors.As(err, &e) || e.Code != filter.CSRFRejected || e.HTTPStatus() != 403 || e.Detail != "" || e.Cause.Error() != v.Note {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestLikeTheStandardLibrary compares with net/http where both have an opinion.
func TestLikeTheStandardLibrary(t *testing.T) {
	f, env, err := newFilter(t, "[https://app.example]")
	if err != nil {
		t.Fatal(err)
	}
	std := http.NewCrossOriginProtection()
	if err := std.AddTrustedOrigin("https://app.example"); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "QUERY"} {
		for _, site := range []string{"", "same-origin", "none", "same-site", "cross-site", "x"} {
			for _, origin := range []string{"", "null", "https://shop.example", "https://app.example", "https://evil.example", "https://shop.example:444"} {
				var fields []string
				if site != "" {
					fields = append(fields, "Sec-Fetch-Site: "+site)
				}
				if origin != "" {
					fields = append(fields, "Origin: "+origin)
				}
				ex := exchange(env, method, fields...)
				if ours, theirs := f.Request(ex), std.Check(ex.Request); (ours == nil) != (theirs == nil) {
					t.Errorf("%s %q: ours %v, theirs %v", method, fields, ours, theirs)
				}
			}
		}
	}
}

func TestHostOfATrustedProxy(t *testing.T) {
	f, env, err := newFilter(t, "{}")
	if err != nil {
		t.Fatal(err)
	}
	for origin, passes := range map[string]bool{"https://public.example": true, "https://public.example:8443": true, "https://evil.example": false} {
		ex := exchange(env, "POST", "Origin: "+origin)
		ex.Request.Host, ex.Original.Host = "10.0.0.1:8080", "public.example"
		if err := f.Request(ex); (err == nil) != passes {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestPlainHTTP(t *testing.T) {
	f, env, err := newFilter(t, "{}")
	if err != nil {
		t.Fatal(err)
	}
	for origin, passes := range map[string]bool{
		"http://shop.example": true, "http://shop.example:80": true, "https://shop.example": true, "http://shop.example:81": false,
	} { // https: something in front of the gateway may speak it
		ex := exchange(env, "POST", "Origin: "+origin)
		ex.Original.Scheme = "http"
		if err := f.Request(ex); (err == nil) != passes {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestToken(t *testing.T) {
	f, env, err := newFilter(t, "{token: {}}")
	if err != nil {
		t.Fatal(err)
	}
	// load loads a page and returns the cookie that it sets.
	load := func(fields ...string) string {
		ex := exchange(env, "GET", fields...)
		if err := f.Request(ex); err != nil {
			t.Fatal(err)
		}
		ex.Response = &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"public, max-age=60"}, "Cdn-Cache-Control": {"max-age=60"}}}
		if err := f.Response(ex); err != nil {
			t.Fatal(err)
		}
		cookie, shared := ex.Response.Header.Get("Set-Cookie"), ex.Response.Header["Cdn-Cache-Control"] != nil
		if control := ex.Response.Header.Get("Cache-Control"); (cookie == "") != (control == "public, max-age=60") || (cookie == "") != shared {
			t.Errorf("with the cookie %q, Cache-Control is %q", cookie, control)
		}
		return cookie
	}
	cookie := load("Accept: text/html,*/*")
	pair, attributes, _ := strings.Cut(cookie, "; ")
	name, token, _ := strings.Cut(pair, "=")
	if name != "__Host-csrf_token" || len(token) != 24 || attributes != "Path=/; SameSite=Strict; Secure" {
		t.Fatalf("the cookie is %q", cookie)
	}
	if again := load("Accept: text/html"); again == cookie || again == "" {
		t.Errorf("the next one is %q", again)
	}
	for _, fields := range [][]string{{"Accept: text/html", "Cookie: a=b; " + pair}, {"Accept: */*"}, nil} {
		if got := load(fields...); got != "" {
			t.Errorf("with %q it sets %q", fields, got)
		}
	}
	if got := load("Accept: text/html", "Cookie: __Host-csrf_token=forged"); got == "" {
		t.Error("a forged cookie stays")
	}
	for name, test := range map[string]struct {
		fields []string
		passes bool
	}{
		"shown":          {[]string{"Cookie: x=y; " + pair, "X-CSRF-Token: " + token}, true},
		"not shown":      {[]string{"Cookie: " + pair}, false},
		"no cookie":      {[]string{"X-CSRF-Token: " + token}, false},
		"nothing":        {nil, false},
		"wrong":          {[]string{"Cookie: " + pair, "X-CSRF-Token: " + strings.Repeat("A", 24)}, false},
		"both empty":     {[]string{"Cookie: __Host-csrf_token=", "X-CSRF-Token: "}, false},
		"too short":      {[]string{"Cookie: __Host-csrf_token=a", "X-CSRF-Token: a"}, false},
		"two cookies":    {[]string{"Cookie: " + pair + "; " + pair, "X-CSRF-Token: " + token}, false},
		"two headers":    {[]string{"Cookie: " + pair, "X-CSRF-Token: " + token, "X-CSRF-Token: x"}, false},
		"no excuse":      {[]string{"Origin: https://evil.example", "Cookie: " + pair, "X-CSRF-Token: " + token}, false},
		"not needed":     {[]string{"Sec-Fetch-Site: same-origin"}, true},
		"not needed now": {[]string{"Origin: https://shop.example"}, true},
	} {
		if err := f.Request(exchange(env, "POST", test.fields...)); (err == nil) != test.passes {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		"[app.example]":                  `"app.example" is not an origin`,
		"[ftp://app.example]":            "is not an origin",
		"[https://app.example/x]":        "nothing else",
		"[https://a*.example]":           "nothing else",
		`["*"]`:                          "is not an origin",
		`["null"]`:                       "is not an origin",
		"[https://a.example:http]":       "nothing else",
		"{token: {cookie: a b}}":         "cannot be the name of a cookie",
		"{token: {header: cookie}}":      "proves nothing",
		"{origins: [https://a.example]}": "unknown key",
	} {
		_, _, err := newFilter(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

// steady are requests that pass.
func steady(t testing.TB) (f *filter.Filter, all map[string]*filter.Exchange) {
	f, env, err := newFilter(t, "[https://app.example, 'https://*.sub.example']")
	if err != nil {
		t.Fatal(err)
	}
	return f, map[string]*filter.Exchange{
		"safe":    exchange(env, "GET"),
		"site":    exchange(env, "POST", "Sec-Fetch-Site: same-origin", "Origin: https://shop.example"),
		"origin":  exchange(env, "POST", "Origin: https://shop.example"),
		"trusted": exchange(env, "POST", "Sec-Fetch-Site: cross-site", "Origin: https://a.sub.example"),
		"program": exchange(env, "POST"),
	}
}

func TestNothingIsAllocated(t *testing.T) {
	f, all := steady(t)
	for name, ex := range all {
		if n := testing.AllocsPerRun(100, func() { _ = f.Request(ex) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	f, all := steady(b)
	for name, ex := range all {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Request(ex); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzOrigins(f *testing.F) {
	for _, s := range []string{"https://shop.example", "https://a.sub.example", "null", "https://[::1]:8", "https://evil.example#.sub.example", "https://x\x00.sub.example", "https://a:1.sub.example"} {
		f.Add(s)
	}
	filter, env, err := newFilter(f, `["https://*.sub.example"]`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		ex := exchange(env, "POST")
		ex.Request.Header["Origin"] = []string{origin}
		if filter.Request(ex) != nil {
			return
		}
		host := strings.TrimSuffix(strings.ToLower(strings.TrimPrefix(strings.ToLower(origin), "https://")), ":443")
		if host != "shop.example" && (!strings.HasSuffix(host, ".sub.example") || strings.ContainsAny(host, "/\\@?# :")) {
			t.Errorf("%q passes", origin)
		}
	})
}
