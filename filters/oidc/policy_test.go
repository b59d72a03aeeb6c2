package oidc

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// unsigned is an ID token whose signature nobody looks at any more.
const unsigned = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEiLCJyb2xlcyI6eyJhbGwiOlsiYSIsImIiXX0sImEuYiI6Im9uZSJ9.c2ln"

// made is a policy and a session's cookie for it.
func made(t testing.TB, settings string) (*policy, *filter.Filter, string) {
	t.Helper()
	env := filtertest.NewEnv(t, "orders")
	env.Route.Match, env.Route.Prefix = "/app/**", "/app"
	c := new(Config)
	node := filtertest.Parse(t, "{issuer: 'https://idp.example/', client_id: app, secret: 0123456789abcdef0123456789abcdef"+settings+"}")
	if err := node.Decode(c); err != nil {
		t.Fatal(err)
	}
	f, err := build(env, c, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	p := &policy{}
	if err := p.keep(env, c); err == nil { // a second view of the same application, to make cookies with
		p.now = time.Now
	}
	now := time.Now().UnixMilli()
	s := &session{ID: random(), Created: now, Seen: now, Ends: now/1000 + 300, IDToken: unsigned, Refresh: strings.Repeat("r", 800)}
	text, err := p.codec.seal(s)
	if err != nil {
		t.Fatal(err)
	}
	fields, ok := p.plain.write(text, nil, time.Hour)
	if !ok {
		t.Fatal("the session is too large")
	}
	var pairs []string
	for _, field := range fields {
		pair, _, _ := strings.Cut(field, ";")
		pairs = append(pairs, pair)
	}
	return p, f, strings.Join(pairs, "; ")
}

// exchange is one with the cookies.
func exchange(path, cookies string) *filter.Exchange {
	r := httptest.NewRequest("GET", "http://app.example"+path, nil)
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	ex := &filter.Exchange{Request: r, Route: &filter.Route{Name: "orders"}, Start: time.Now()}
	ex.Original = filter.Original{Method: "GET", Scheme: "http", Host: "app.example", Path: r.URL.EscapedPath(), Query: r.URL.RawQuery}
	ex.Prepare(8)
	return ex
}

func TestExplain(t *testing.T) {
	_, f, cookie := made(t, "")
	changed := strings.Replace(cookie, "=1", "=1A", 1)
	for what, c := range map[string]struct {
		path, cookie, accept string
		action               filter.Action
		note                 string
	}{
		"a session":    {"/app/x", cookie, "", filter.Passes, "subject ada"},
		"a false one":  {"/app/x", changed, "", filter.Rejects, "not of this gateway's making"},
		"none":         {"/app/x", "", "", filter.Rejects, "credentials_missing"},
		"a browser":    {"/app/x", "", "text/html", filter.Rejects, "sent to the login at https://idp.example/"},
		"the callback": {"/app/.oidc/callback", "", "", filter.Answers, "after a login"},
		"the logout":   {"/app/.oidc/logout", cookie, "", filter.Answers, "ends the session"},
		"the provider": {"/app/.oidc/backchannel-logout", "", "", filter.Answers, "have ended"},
	} {
		ex := exchange(c.path, c.cookie)
		ex.Dry = true
		ex.Request.Header.Set("Accept", c.accept)
		v := f.Explain(ex)
		if v.Action != c.action || !strings.Contains(v.Note, c.note) {
			t.Errorf("%s: got %v", what, v)
		}
		if c.action == filter.Passes && ex.Request.Header["Cookie"] != nil {
			t.Errorf("%s: later policies see the cookie", what)
		}
	}
}

func TestExplainOfStores(t *testing.T) {
	_, f, cookie := made(t, ", session: 'redis://127.0.0.1:1'")
	ex := exchange("/app/x", cookie)
	ex.Dry = true
	if v := f.Explain(ex); v.Action != filter.Unknown {
		t.Errorf("got %v", v)
	}
}

func TestConfigurationsThatAreWrong(t *testing.T) {
	for settings, want := range map[string]string{
		"issuer: idp.example.com, client_id: a":                                            "is no issuer",
		"issuer: 'https://idp.example.com/?x=1', client_id: a":                             "is no issuer",
		"issuer: 'https://u:p@idp.example.com/', client_id: a":                             "is no issuer",
		"issuer: 'https://idp.example.com/'":                                               "client_id",
		"issuer: 'https://i/', client_id: ''":                                              "no name",
		"issuer: 'https://i/', client_id: a, secret: short":                                "has 5 characters",
		"issuer: 'https://i/', client_id: a, callback: done":                               "is no path",
		"issuer: 'https://i/', client_id: a, callback: //evil/x":                           "is no path",
		"issuer: 'https://i/', client_id: a, logout: '/a?b'":                               "is no path",
		"issuer: 'https://i/', client_id: a, redirect_url: /done":                          "is no URL of a callback",
		"issuer: 'https://i/', client_id: a, redirect_url: 'https://a/done', callback: /x": "its path is not /x",
		"issuer: 'https://i/', client_id: a, after_logout: 'javascript:alert(1)'":          "neither a path nor a URL",
		"issuer: 'https://i/', client_id: a, parameters: {state: x}":                       "gateway's own",
		"issuer: 'https://i/', client_id: a, session: {store: memcached}":                  "expected cookie",
		"issuer: 'https://i/', client_id: a, session: {store: 'redis://u:geheim@%zz'}":     "expected cookie",
		"issuer: 'https://i/', client_id: a, session: {lifetime: 0}":                       "has to end",
		"issuer: 'https://i/', client_id: a, session: {idle: 1s}":                          "shorter than 20s",
		"issuer: 'https://i/', client_id: a, forward: refresh_token":                       "access_token",
	} {
		c := new(Config)
		err := filtertest.Parse(t, "{"+settings+"}").Decode(c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", settings, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") && strings.Count(err.Error(), "geheim") > 0 && !strings.Contains(settings, "geheim") {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestJar(t *testing.T) {
	for _, secure := range []bool{false, true} {
		j := newJar("ab", secure)
		n := j.session
		for line, want := range map[string]string{
			n + "=1x":                             "",
			"a=b; " + n + "=1x":                   "a=b",
			n + "=1x; a=b":                        "a=b",
			n + "=2x;" + n + ".1=y; a=b;c=d":      "a=b;c=d",
			"a=b; " + n + "=1x; c=d":              "a=b; c=d",
			"a=b; " + n + "-login-1=x; c=d":       "a=b; c=d",
			n + "x=1; " + n + "=1x":               n + "x=1",
			"a=" + n + "; " + n + "=1; b=1":       "a=" + n + "; b=1",
			" ; " + n + "=1;;":                    "",
			n:                                     "",
			n + ".1=x; " + n + ".4=y; other=" + n: "other=" + n,
			"a=b":                                 "a=b",
		} {
			h := http.Header{"Cookie": {line}}
			j.strip(h)
			if got := h.Get("Cookie"); got != want || (want == "") != (h["Cookie"] == nil) {
				t.Errorf("%q: got %q, want %q", line, got, want)
			}
		}
		text := strings.Repeat("0123456789", 1000)
		fields, ok := j.write(text, nil, time.Hour)
		if !ok || len(fields) != 3 {
			t.Fatalf("got %d fields", len(fields))
		}
		h := http.Header{}
		for _, f := range fields {
			if strings.Contains(f, "; Secure") != secure || !strings.Contains(f, "; Path=/; ") || len(f) > 4096 {
				t.Errorf("got %s", f)
			}
			pair, _, _ := strings.Cut(f, ";")
			h.Add("Cookie", pair) // as HTTP/2 has them: one line each
		}
		if got := string(j.gather(h, nil)); got != text {
			t.Errorf("got back %d bytes", len(got))
		}
		smaller, _ := j.write("x", h, time.Hour)
		if len(smaller) != 3 || !strings.HasPrefix(smaller[1], j.session+".1=; Path=/; Max-Age=0;") {
			t.Errorf("a smaller session leaves cookies: %q", smaller)
		}
		if j.strip(h); len(h) != 0 {
			t.Errorf("left: %v", h)
		}
		if _, ok := j.write(strings.Repeat("x", maxChunk*maxChunks+1), nil, time.Hour); ok {
			t.Error("a session of any size is written")
		}
	}
}

func TestLocalReferences(t *testing.T) {
	for s, want := range map[string]bool{
		"/": true, "/a/b?c=d": true, "/a?to=//evil.example": true, "/%2f%2fevil": true, "/a/http://x": true,
		"": false, "a": false, "//evil": false, "/\\evil": false, "\\\\evil": false, "/\t/evil": false, "/a\r\nb": false, "http://evil": false,
		"/ö": false, "/" + strings.Repeat("a", maxReturn): false, "/%zz": false, " /": false, "/a b": false,
	} {
		if got := localReference(s); got != want {
			t.Errorf("%q: got %v", s, got)
		}
	}
}

func TestRevocationsAreBounded(t *testing.T) {
	r := newRevocations()
	r.most = 3
	start := time.Now()
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Minute) }
	of := func(id string, i int) *session {
		return &session{Created: at(i).UnixMilli(), names: []name{nameOf("id", id)}}
	}
	for i := range 3 {
		r.add(nameOf("id", fmt.Sprint(i)), at(i+10), time.Hour)
	}
	if !r.over(of("1", 5)) || r.over(of("1", 20)) || r.over(of("other", 5)) {
		t.Error("not the sessions that were ended are over")
	}
	r.add(nameOf("id", "3"), at(20), time.Hour)
	if !r.over(of("0", 5)) || !r.over(of("other", 9)) || r.over(of("other", 11)) || len(r.ended) != 3 {
		t.Error("an ended session comes back when there are too many")
	}
	r.add(nameOf("id", "4"), at(200), time.Hour)
	if len(r.ended) != 1 {
		t.Errorf("%d are remembered longer than any session lasts", len(r.ended))
	}
}

func TestClaims(t *testing.T) {
	claims, err := claimsOf(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{"roles.all": {"a", "b"}, "a.b": {"one"}, "roles": nil, "x.y": nil, "": nil} {
		if got := texts(lookUp(claims, path)); !slices.Equal(got, want) {
			t.Errorf("%s: got %v", path, got)
		}
	}
}

func TestTheCallbackIsCovered(t *testing.T) {
	for match, want := range map[string]bool{
		"/app/**": true, "/**": true, "GET app.example/app/**": true, "/x/** | /app/**": true, "app.example/**": true,
		"/report": false, "/x/**": false, "/application/**": false, "GET /app": false,
	} {
		if got := covers(&filter.Route{Match: match}, "/app/.oidc/callback"); got != want {
			t.Errorf("%s: got %v", match, got)
		}
	}
}

func TestWarmSessionsAllocateNothing(t *testing.T) {
	_, f, cookie := made(t, "")
	ex := exchange("/app/x", "")
	line := []string{cookie}
	run := func() {
		line[0] = cookie
		ex.Request.Header["Cookie"] = line
		ex.Identity = nil
		if err := f.Request(ex); err != nil || ex.Identity == nil || ex.Request.Header["Cookie"] != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(1000, run); n > 0 && !raceEnabled {
		t.Errorf("a request with a session makes %v allocations", n)
	}
}

func BenchmarkSession(b *testing.B) {
	for name, cookies := range map[string]string{"alone": "", "among others": "a=b; c=d; "} {
		b.Run(name, func(b *testing.B) {
			_, f, cookie := made(b, "")
			ex := exchange("/app/x", "")
			line := []string{""}
			cookie = cookies + cookie
			b.ReportAllocs()
			for b.Loop() {
				line[0] = cookie
				ex.Request.Header["Cookie"] = line
				ex.Identity = nil
				if err := f.Request(ex); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkColdSession(b *testing.B) {
	p, _, cookie := made(b, "")
	text := p.plain.gather(http.Header{"Cookie": {cookie}}, nil)
	b.ReportAllocs()
	for b.Loop() {
		p.codec.opened = newCache[uint64, *opened](1)
		if p.codec.open(text) == nil {
			b.Fatal("it is not opened")
		}
	}
}

func FuzzCookies(f *testing.F) {
	f.Add("a=b; oidc-ab=2x; oidc-ab.1=y; c=d")
	f.Add("oidc-ab-login-1=x;;")
	f.Fuzz(func(t *testing.T, line string) {
		j := newJar("ab", false)
		h := http.Header{"Cookie": {line}}
		j.gather(h, nil)
		j.logins(h)
		j.strip(h)
		for pair := range strings.SplitSeq(h.Get("Cookie"), ";") {
			if j.ours(strings.TrimSpace(pair)) && strings.TrimSpace(pair) != "" {
				t.Errorf("%q: the upstream sees %q", line, pair)
			}
		}
	})
}
