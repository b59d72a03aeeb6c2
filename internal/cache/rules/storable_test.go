package rules

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"cardea.dev/cardea/internal/stored"
)

// ask is a request, what came of it and when.
type ask struct {
	settings   Settings
	method     string
	request    []string
	authorized bool
	status     int
	response   []string
	delay      time.Duration // between the request and the response
}

func (a ask) storable() (stored.Terms, Why) {
	r := get(a.request...)
	if a.method != "" {
		r.Method = a.method
	}
	q := ParseRequest(r)
	if a.status == 0 {
		a.status = 200
	}
	return Storable(&a.settings, r, &q, a.authorized, &http.Response{StatusCode: a.status, Header: header(a.response...)}, now.Add(-a.delay), now)
}

func cc(value string, more ...string) []string {
	return append([]string{"Cache-Control", value}, more...)
}

func minute(int) (time.Duration, bool) { return time.Minute, true }

func TestStorable(t *testing.T) {
	tag := []string{"Etag", `"a"`}
	for _, c := range []struct {
		section string
		ask     ask
		why     Why
	}{
		{"3", ask{response: cc("max-age=9")}, ""},
		{"3", ask{response: cc("s-maxage=9")}, ""},
		{"3", ask{response: []string{"Expires", at(time.Minute)}}, ""},
		{"3", ask{response: tag}, ""},
		{"3", ask{response: nil}, WhyNoLifetime},
		{"3", ask{method: "POST", response: cc("max-age=9")}, WhyMethod},
		{"3", ask{method: "HEAD", response: cc("max-age=9")}, WhyMethod},
		{"3", ask{settings: Settings{Methods: []string{"POST"}}, method: "POST", response: cc("max-age=9")}, ""},
		{"9110 9.3.3", ask{settings: Settings{Methods: []string{"POST"}, Heuristic: 0.1}, method: "POST", response: []string{"Last-Modified", at(-time.Hour)}}, WhyNoLifetime},
		// Any final status with a lifetime; without one those of 9110 15.1, and what is public.
		{"3", ask{status: 299, response: cc("max-age=9")}, ""},
		{"3", ask{status: 599, response: cc("max-age=9")}, ""},
		{"3", ask{status: 302, response: cc("max-age=9")}, ""},
		{"3", ask{status: 302, response: tag}, WhyStatus},
		{"3", ask{status: 103, response: cc("max-age=9")}, WhyStatus},
		{"3", ask{status: 600, response: cc("max-age=9")}, WhyStatus},
		{"4.2.2", ask{settings: Settings{Heuristic: 0.1}, status: 404, response: []string{"Last-Modified", at(-time.Hour)}}, ""},
		{"4.2.2", ask{settings: Settings{Heuristic: 0.1}, status: 302, response: []string{"Last-Modified", at(-time.Hour)}}, WhyStatus},
		{"4.2.2", ask{settings: Settings{Heuristic: 0.1}, status: 302, response: cc("public", "Last-Modified", at(-time.Hour))}, ""},
		// Parts and what is about one request's conditions.
		{"3.3", ask{status: 206, response: cc("max-age=9", "Content-Range", "bytes 0-1/9")}, WhyPartial},
		{"3.3", ask{status: 206, response: cc("max-age=9, must-understand")}, WhyPartial},
		{"3.3", ask{response: cc("max-age=9", "Content-Range", "bytes 0-1/9")}, WhyPartial},
		{"3", ask{status: 304, response: cc("max-age=9")}, WhyStatus},
		{"3", ask{status: 412, response: cc("max-age=9, public")}, WhyStatus},
		{"3", ask{status: 416, response: cc("max-age=9, public")}, WhyStatus},
		{"3", ask{settings: Settings{TTL: minute}, status: 417}, WhyStatus},
		{"6585 3", ask{status: 428, response: cc("max-age=9, public")}, WhyStatus},
		{"6585 4", ask{status: 429, response: cc("max-age=9, public")}, WhyStatus},
		{"6585 5", ask{status: 431, response: cc("max-age=9, public")}, WhyStatus},
		{"6585 6", ask{status: 511, response: cc("max-age=9, public")}, WhyStatus},
		// no-store, private.
		{"5.2.2.5", ask{response: cc("no-store, max-age=9, public")}, WhyNoStore},
		{"5.2.2.5", ask{settings: Settings{TTL: minute, Override: true}, response: cc("NO-STORE")}, WhyNoStore},
		{"5.2.2.5", ask{settings: Settings{Private: true}, response: cc("no-store, max-age=9")}, WhyNoStore},
		{"5.2.2.7", ask{response: cc("private, max-age=9, public, s-maxage=9")}, WhyPrivate},
		{"5.2.2.7", ask{settings: Settings{TTL: minute, Override: true}, response: cc("private")}, WhyPrivate},
		{"5.2.2.7", ask{settings: Settings{Private: true}, response: cc("private, max-age=9")}, ""},
		{"5.2.2.7", ask{response: cc(`private="x-a", max-age=9`)}, ""},
		{"5.2.2.7", ask{response: cc(`private="vary", max-age=9`)}, WhyPrivate},
		{"5.2.1.5", ask{request: cc("no-store"), response: cc("max-age=9")}, WhyRequestNoStore},
		{"5.2.1.5", ask{settings: Settings{IgnoreRequest: true}, request: cc("no-store"), response: cc("max-age=9")}, ""},
		// must-understand.
		{"5.2.2.3", ask{response: cc("no-store, must-understand, max-age=9")}, ""},
		{"5.2.2.3", ask{status: 404, response: cc("no-store, must-understand, max-age=9")}, ""},
		{"5.2.2.3", ask{status: 299, response: cc("no-store, must-understand, max-age=9")}, WhyMustUnderstand},
		{"5.2.2.3", ask{status: 418, response: cc("must-understand, max-age=9")}, WhyMustUnderstand},
		{"5.2.2.3", ask{status: 599, response: cc("must-understand, max-age=9")}, WhyMustUnderstand},
		{"5.2.2.3", ask{response: cc("no-store, must-understand, private, max-age=9")}, WhyPrivate},
		// Authorization.
		{"3.5", ask{authorized: true, response: cc("max-age=9")}, WhyAuthorization},
		{"3.5", ask{authorized: true, response: cc("max-age=9, proxy-revalidate")}, WhyAuthorization},
		{"3.5", ask{authorized: true, response: cc("max-age=9, public")}, ""},
		{"3.5", ask{authorized: true, response: cc("max-age=9, must-revalidate")}, ""},
		{"3.5", ask{authorized: true, response: cc("s-maxage=9")}, ""},
		{"3.5", ask{authorized: true, settings: Settings{Private: true}, response: cc("max-age=9")}, ""},
		{"3.5", ask{authorized: true, settings: Settings{TTL: minute, Override: true}, response: nil}, WhyAuthorization},
		// no-cache needs something to validate by.
		{"5.2.2.4", ask{response: cc("no-cache, max-age=9")}, WhyUnvalidated},
		{"5.2.2.4", ask{response: cc("no-cache, max-age=9", tag...)}, ""},
		{"5.2.2.4", ask{response: cc("max-age=0", "Last-Modified", at(-time.Hour))}, ""},
		{"5.2.2.4", ask{response: cc("max-age=0")}, WhyNoLifetime},
		{"5.2.2.4", ask{response: cc("max-age=0, stale-if-error=9")}, ""},
		{"5.2.2.4", ask{response: cc("max-age=9", "Age", "9")}, WhyNoLifetime},
		// Cookies.
		{"7.3", ask{response: cc("max-age=9", "Set-Cookie", "a=b")}, WhySetCookie},
		{"7.3", ask{response: cc("public, max-age=9", "Set-Cookie2", "a=b")}, WhySetCookie},
		{"7.3", ask{settings: Settings{Private: true}, response: cc("max-age=9", "Set-Cookie", "a=b")}, WhySetCookie},
		{"7.3", ask{settings: Settings{StripCookies: true}, response: cc("max-age=9", "Set-Cookie", "a=b")}, ""},
		{"7.3", ask{response: cc(`max-age=9, no-cache="Set-Cookie"`, "Set-Cookie", "a=b")}, ""},
		{"7.3", ask{response: cc(`max-age=9, private=set-cookie`, "Set-Cookie", "a=b")}, ""},
		{"7.3", ask{response: cc("max-age=9", "Set-Cookie", "a=b", "Connection", "set-cookie")}, WhySetCookie},
		// Vary: * is of use only for validation by a strong tag.
		{"4.1", ask{response: cc("max-age=9", "Vary", "*")}, WhyVary},
		{"4.1", ask{response: cc("max-age=9", "Vary", "Accept, *", "Etag", `W/"a"`)}, WhyVary},
		{"4.1", ask{response: cc("max-age=9", "Vary", "a b")}, WhyVary},
		{"4.1", ask{response: cc("max-age=9", "Vary", "*", "Etag", `"a"`)}, ""},
		// RFC 9213.
		{"9213 2.2", ask{response: cc("no-store", "CDN-Cache-Control", "max-age=9")}, ""},
		{"9213 2.2", ask{response: cc("max-age=9", "CDN-Cache-Control", "no-store")}, WhyNoStore},
		{"9213 2.2", ask{response: cc("max-age=9", "CDN-Cache-Control", "no-store, &")}, ""},
		{"9213 2.2", ask{response: cc("max-age=9", "CDN-Cache-Control", "")}, ""},
		{"9213 2.2", ask{response: []string{"Expires", at(time.Hour), "CDN-Cache-Control", "foo"}}, WhyNoLifetime},
		{"9213 2.1", ask{settings: Settings{Targets: []string{"Cardea-Cache-Control", "CDN-Cache-Control"}}, response: []string{"Cardea-Cache-Control", "max-age=9", "CDN-Cache-Control", "no-store"}}, ""},
		{"9213 2.1", ask{settings: Settings{Targets: []string{}}, response: cc("max-age=9", "CDN-Cache-Control", "no-store")}, ""},
		// The operator's lifetimes.
		{"ttl", ask{settings: Settings{TTL: minute}}, ""},
		{"ttl", ask{settings: Settings{TTL: minute}, response: cc("no-cache")}, WhyUnvalidated},
		{"ttl", ask{settings: Settings{TTL: minute, Override: true}, response: cc("no-cache, max-age=0")}, ""},
		{"ttl", ask{settings: Settings{TTL: minute}, status: 502}, ""},
	} {
		if _, why := c.ask.storable(); why != c.why {
			t.Errorf("%s: %+v: %q, want %q", c.section, c.ask, why, c.why)
		}
	}
}

func TestLifetime(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		section  string
		ask      ask
		lifetime time.Duration
		age      time.Duration
		flags    stored.Flags
	}{
		// 4.2.1: the order of what counts.
		{"4.2.1", ask{response: cc("max-age=9, s-maxage=5", "Expires", at(100*s))}, 5 * s, 0, stored.MustRevalidate},
		{"4.2.1", ask{response: cc("s-maxage=50, max-age=9")}, 50 * s, 0, stored.MustRevalidate},
		{"5.3", ask{response: cc("max-age=9", "Expires", at(-100*s))}, 9 * s, 0, 0},
		{"5.3", ask{response: cc("max-age=9", "Expires", "0")}, 9 * s, 0, 0},
		{"4.2.1", ask{response: []string{"Expires", at(100 * s), "Date", at(0)}}, 100 * s, 0, 0},
		{"4.2.1", ask{response: []string{"Expires", at(100 * s), "Date", at(-10 * s)}}, 110 * s, 10 * s, 0},
		{"4.2.1", ask{response: []string{"Expires", at(100 * s), "Date", at(10 * s)}}, 90 * s, 0, 0},
		{"4.2.1", ask{response: []string{"Expires", at(100 * s), "Date", "yesterday"}}, 100 * s, 0, 0},
		{"5.3", ask{response: []string{"Expires", "Sunday, 01-Mar-26 12:01:00 GMT"}}, 60 * s, 0, 0},
		{"5.3", ask{response: []string{"Expires", "Sun Mar  1 12:01:00 2026"}}, 60 * s, 0, 0},
		{"5.3", ask{response: []string{"Expires", "Fri, 31 Dec 9999 23:59:59 GMT"}}, MaxDelta, 0, 0},
		{"5.3", ask{response: []string{"Expires", "0", "Etag", `"a"`}}, 0, 0, 0},
		{"4.2.1", ask{response: []string{"Expires", at(100 * s), "Expires", at(50 * s)}}, 50 * s, 0, 0},
		{"4.2.1", ask{response: []string{"Expires", at(100 * s), "Expires", "0", "Etag", `"a"`}}, 0, 0, 0},
		{"4.2.1", ask{response: cc("max-age=x", "Expires", at(100*s), "Etag", `"a"`)}, 0, 0, 0},
		{"4.2.1", ask{response: cc("max-age=100, no-cache", "Etag", `"a"`)}, 100 * s, 0, stored.NoCache},
		{"1.2.2", ask{response: cc("max-age=99999999999")}, MaxDelta, 0, 0},
		// 4.2.3: ages.
		{"4.2.3", ask{response: cc("max-age=99", "Age", "7"), delay: 3 * s}, 99 * s, 10 * s, 0},
		{"4.2.3", ask{response: cc("max-age=99", "Age", "7", "Date", at(-20*s)), delay: 3 * s}, 99 * s, 20 * s, 0},
		{"4.2.3", ask{response: cc("max-age=99", "Date", at(20*s)), delay: 3 * s}, 99 * s, 3 * s, 0},
		{"6.6.1", ask{response: cc("max-age=99", "Date", at(-5*s), "Date", at(-9*s))}, 99 * s, 9 * s, 0},
		{"5.1", ask{response: cc("max-age=99", "Age", "7, 9")}, 99 * s, 7 * s, 0},
		{"5.1", ask{response: cc("max-age=99", "Age", "7", "Age", "9")}, 99 * s, 7 * s, 0},
		{"5.1", ask{response: cc("max-age=99", "Age", "0", "Age", "98")}, 99 * s, 0, 0},
		{"5.1", ask{response: cc("max-age=99", "Age", "x")}, 99 * s, 0, 0},
		{"5.1", ask{response: cc("max-age=99", "Age", "-7")}, 99 * s, 0, 0},
		{"5.1", ask{response: cc("max-age=99", "Age", "7.5")}, 99 * s, 0, 0},
		{"5.1", ask{response: cc("max-age=99", "Age", `"7"`)}, 99 * s, 0, 0},
		{"5.1", ask{response: cc("max-age=99", "Age", "7;a=b")}, 99 * s, 0, 0},
		{"5.1", ask{response: cc("max-age=99", "Age", "x, 7")}, 99 * s, 0, 0},
		{"5.1", ask{response: cc("max-age=99", "Age", "99999999999999999999", "Etag", `"a"`)}, 99 * s, MaxDelta, 0},
		// 4.2.2: heuristics.
		{"4.2.2", ask{settings: Settings{Heuristic: 0.1}, response: []string{"Last-Modified", at(-1000 * s)}}, 100 * s, 0, stored.Heuristic},
		{"4.2.2", ask{settings: Settings{Heuristic: 0.1}, response: []string{"Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT"}}, MaxHeuristic, 0, stored.Heuristic},
		{"4.2.2", ask{settings: Settings{Heuristic: 0.1}, response: []string{"Last-Modified", at(1000 * s)}}, 0, 0, stored.Heuristic},
		{"4.2.2", ask{settings: Settings{Heuristic: 0.1}, response: cc("max-age=5", "Last-Modified", at(-1000*s))}, 5 * s, 0, 0},
		{"4.2.2", ask{settings: Settings{Heuristic: 0.1}, response: []string{"Expires", at(5 * s), "Last-Modified", at(-1000 * s)}}, 5 * s, 0, 0},
		{"4.2.2", ask{settings: Settings{Heuristic: 0.1}, response: []string{"Expires", "0", "Last-Modified", at(-1000 * s)}}, 0, 0, 0},
		{"4.2.2", ask{response: []string{"Last-Modified", at(-1000 * s)}}, 0, 0, stored.Heuristic},
		// 5.2.2.
		{"5.2.2.2", ask{response: cc("max-age=5, must-revalidate")}, 5 * s, 0, stored.MustRevalidate},
		{"5.2.2.8", ask{response: cc("max-age=5, proxy-revalidate")}, 5 * s, 0, stored.MustRevalidate},
		{"8246", ask{response: cc("max-age=5, immutable")}, 5 * s, 0, stored.Immutable},
		// RFC 9213.
		{"9213 2.2", ask{response: cc("max-age=5, must-revalidate", "Expires", at(9*s), "CDN-Cache-Control", "max-age=7")}, 7 * s, 0, 0},
		// The operator.
		{"ttl", ask{settings: Settings{TTL: minute}}, 60 * s, 0, 0},
		{"ttl", ask{settings: Settings{TTL: minute}, response: []string{"Age", "30"}}, 90 * s, 30 * s, 0},
		{"ttl", ask{settings: Settings{TTL: minute}, response: cc("max-age=5")}, 5 * s, 0, 0},
		{"ttl", ask{settings: Settings{TTL: minute, Override: true}, response: cc("max-age=5, no-cache")}, 60 * s, 0, 0},
		{"ttl", ask{settings: Settings{TTL: minute}, status: 503}, 60 * s, 0, stored.Negative},
		{"ttl", ask{settings: Settings{MaxTTL: 3 * s}, response: cc("max-age=5")}, 3 * s, 0, 0},
		{"ttl", ask{settings: Settings{TTL: minute, MaxTTL: 3 * s}}, 3 * s, 0, 0},
	} {
		got, why := c.ask.storable()
		if why != "" || got.Lifetime != c.lifetime || got.InitialAge != c.age || got.Flags != c.flags {
			t.Errorf("%s: %+v: %+v %q, want %v, age %v, flags %b", c.section, c.ask, got, why, c.lifetime, c.age, c.flags)
		}
	}
}

func TestStaleTerms(t *testing.T) {
	const s = time.Second
	given := Settings{Grace: 8 * s, WhileRevalidate: 7 * s}
	for _, c := range []struct {
		section         string
		settings        Settings
		control         string
		while, ifFailed time.Duration
	}{
		{"5861 3", Settings{}, "max-age=1, stale-while-revalidate=5", 5 * s, 0},
		{"5861 4", Settings{}, "max-age=1, stale-if-error=5", 0, 5 * s},
		{"grace", given, "max-age=1", 7 * s, 8 * s},
		{"grace", given, "max-age=1, stale-while-revalidate=0, stale-if-error=0", 0, 0},
		{"grace", given, "max-age=1, stale-while-revalidate=x", 7 * s, 8 * s},
		{"4.2.4", given, "max-age=1, must-revalidate, stale-if-error=5", 0, 0},
		{"4.2.4", given, "max-age=1, proxy-revalidate, stale-while-revalidate=5", 0, 0},
		{"4.2.4", given, "s-maxage=1, stale-while-revalidate=5", 0, 0},
		{"4.2.4", given, "no-cache, stale-while-revalidate=5", 0, 0},
	} {
		got, why := ask{settings: c.settings, response: cc(c.control, "Etag", `"a"`)}.storable()
		if why != "" || got.WhileRevalidate != c.while || got.IfError != c.ifFailed {
			t.Errorf("%s: %s: %+v %q", c.section, c.control, got, why)
		}
	}
}

func TestStoredFields(t *testing.T) {
	h := header("Cache-Control", `max-age=9, no-cache="x-once", private="x-mine, content-type"`, "X-Once", "1", "X-Mine", "1", "Content-Type", "text/plain",
		"Connection", "x-hop, Etag, content-type", "X-Hop", "1", "Etag", `"a"`, "Keep-Alive", "timeout=5", "Proxy-Authenticate", "Basic", "Proxy-Authentication-Info", "x",
		"Proxy-Authorization", "x", "Te", "x", "Trailer", "x", "Transfer-Encoding", "chunked", "Upgrade", "x", "Age", "5", "Content-Length", "7", "Set-Cookie", "a=b",
		"X-Unknown", "1", "X-Unknown", "2", "Last-Modified", at(0))
	got := Stored(&Settings{}, h, now)
	want := header("Cache-Control", h.Get("Cache-Control"), "Content-Type", "text/plain", "Set-Cookie", "a=b", "X-Unknown", "1", "X-Unknown", "2", "Last-Modified", at(0), "Date", at(0))
	if len(got) != len(want) {
		t.Errorf("fields %v, want %v", got, want)
	}
	for name := range want {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s: %v, want %v", name, got[name], want[name])
		}
	}
	if got := Stored(&Settings{StripCookies: true, Private: true}, h, now); got.Get("Set-Cookie") != "" || got.Get("X-Mine") == "" {
		t.Errorf("stripped: %v", got)
	}
	// RFC 9110, section 6.6.1: a date that is wrong, or several, are made one.
	for _, dates := range [][]string{{"Date", "x"}, {}, {"Date", at(0), "Date", at(time.Hour)}} {
		if got := Stored(&Settings{}, header(dates...), now)["Date"]; !slices.Equal(got, []string{at(0)}) {
			t.Errorf("%v: %v", dates, got)
		}
	}
}

func TestStoredTrailer(t *testing.T) {
	got := StoredTrailer(header("Server-Timing", "a", "Content-Digest", "b", "Cache-Control", "no-store", "Etag", `"x"`, "Content-Length", "5", "Set-Cookie", "a=b", "Connection", "x", "Vary", "*"))
	if len(got) != 2 || got.Get("Server-Timing") != "a" || got.Get("Content-Digest") != "b" {
		t.Errorf("kept %v", got)
	}
	if got := StoredTrailer(nil); got != nil {
		t.Errorf("kept %v of nothing", got)
	}
}
