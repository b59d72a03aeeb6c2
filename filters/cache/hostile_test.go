package cache

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cardea.dev/cardea/filter"
)

// TestHeadFillsNothing: what a HEAD has asked for anew is the answer to a GET.
func TestHeadFillsNothing(t *testing.T) {
	serve := func(n int64, r *http.Request) (*http.Response, error) {
		resp := respond(200, fmt.Sprint(n), ten)
		resp.ContentLength = -1
		if r.Method == http.MethodHead {
			resp.Body = http.NoBody
		}
		return resp, nil
	}
	in(t, "refreshed", "{stale_while_revalidate: 30s}", serve, func(p *route) {
		p.get("miss 200 1", "/x")
		pause(15)
		if got := p.run(p.exchange("HEAD", "/x")); got != "stale 200 " {
			p.t.Errorf("HEAD: %s", got)
		}
		synctest.Wait()
		p.get("hit 200 2", "/x")
	})
	in(t, "refreshed early", "{refresh_early: 50%}", serve, func(p *route) {
		p.get("miss 200 1", "/x")
		pause(7)
		p.takes = time.Second
		if got := p.run(p.exchange("HEAD", "/x")); got != "hit 200 " {
			p.t.Errorf("HEAD: %s", got)
		}
		synctest.Wait()
		p.get("shared 200 2", "/x", "Cache-Control: no-cache")
	})
}

// TestFieldsOfOneClientReachNoOther though many wait for the same answer.
func TestFieldsOfOneClientReachNoOther(t *testing.T) {
	for name, fields := range map[string][]string{
		"no-cache":    {`Cache-Control: max-age=10, no-cache="Set-Cookie, X-User"`},
		"private":     {`Cache-Control: max-age=10, private="set-cookie,x-user"`},
		"credentials": {`Cache-Control: public, max-age=10, private="set-cookie,x-user"`},
	} {
		in(t, name, "{}", func(n int64, r *http.Request) (*http.Response, error) {
			return respond(200, "1", append(fields, "Set-Cookie: sid=1", "X-User: ada")...), nil
		}, func(p *route) {
			p.takes = time.Second
			var all sync.WaitGroup
			var mu sync.Mutex
			told := 0
			for range 10 {
				all.Go(func() {
					ex := p.exchange("GET", "/x")
					if name == "credentials" {
						ex.Request.Header.Set("Authorization", "x")
					}
					defer p.Finish(ex)
					if err := p.Request(ex); err != nil {
						p.t.Error(err)
						return
					}
					_ = p.Response(ex)
					body, _ := io.ReadAll(ex.Response.Body)
					_ = ex.Response.Body.Close()
					h := ex.Response.Header
					mu.Lock()
					defer mu.Unlock()
					if h["Set-Cookie"] != nil || h["X-User"] != nil {
						told++
					}
					if string(body) != "1" || h.Get("Cache-Control") == "" {
						p.t.Errorf("%q %v", body, h)
					}
				})
			}
			all.Wait()
			if told != 1 || p.asked.Load() != 1 {
				p.t.Errorf("%d got the fields, the service was asked %d times", told, p.asked.Load())
			}
		})
	}
}

// TestHeadsOfOneClientRenewNothing: what a HEAD's answer says to one client is not what others get.
func TestHeadsOfOneClientRenewNothing(t *testing.T) {
	for name, more := range map[string]string{"a cookie": "Set-Cookie: sid=1", "private": "Cache-Control: private", "no-store": "Cache-Control: no-store"} {
		in(t, name, "{ttl: 10s}", func(n int64, r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodHead {
				return respond(200, "", "X-User: ada", more, "Content-Length: 1"), nil
			}
			return respond(200, "1", "X-User: nobody", "Content-Length: 1", `Etag: "1"`), nil
		}, func(p *route) {
			p.get("miss 200 1", "/x")
			if got := p.run(p.exchange("HEAD", "/x", "Cache-Control: no-cache")); got != "miss alone" {
				p.t.Errorf("HEAD: %s", got)
			}
			ex := p.exchange("GET", "/x")
			defer p.Finish(ex)
			if err := p.Request(ex); err != nil || ex.Response == nil {
				p.t.Fatal(err)
			}
			if user := ex.Response.Header.Get("X-User"); user != "nobody" {
				p.t.Errorf("the user is %s", user)
			}
			_ = ex.Response.Body.Close()
		})
	}
}

// TestQueriesByPost are kept by their bodies.
func TestQueriesByPost(t *testing.T) {
	in(t, "bodies", "{methods: [POST], ttl: 10s, max_body: 8}", func(n int64, r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		return respond(200, fmt.Sprintf("%d %s", n, body)), err
	}, func(p *route) {
		post := func(want, body string, said ...string) {
			p.t.Helper()
			ex := p.exchange("POST", "/x", said...)
			ex.Request.Body, ex.Request.ContentLength = io.NopCloser(strings.NewReader(body)), -1
			if got := p.run(ex); got != want {
				p.t.Errorf("%q: got %q, wanted %q", body, got, want)
			}
		}
		post("miss 200 1 a", "a")
		post("hit 200 1 a", "a")
		post("miss 200 2 b", "b")
		post("hit 200 1 a", "a")
		post("miss 200 3 a", "a", "Content-Type: text/plain")
		post("miss 200 4 a", "a", "Content-Encoding: x")
		p.get("miss 200 5 ", "/x")
		post("bypass alone", "123456789")
		post("hit 200 1 a", "a")
	})
}

// TestParametersThatServicesReadInOtherWays than the cache count.
func TestParametersThatServicesReadInOtherWays(t *testing.T) {
	in(t, "ignore", "{ttl: 10s, key: {query: {ignore: [utm_*, gclid]}}}", numbered(), func(p *route) {
		p.get("miss 200 1", "/x?page=1")
		p.get("hit 200 1", "/x?page=1&utm_source=a")
		p.get("hit 200 1", "/x?utm_source=a&&page=1&gclid")
		p.get("miss 200 2", "/x?page=1&utm_source=a;page=2")
		p.get("miss 200 3", "/x?utm_source=a;page=2&page=1")
		p.get("miss 200 4", "/x?page=1&UTM_source=a")
		p.get("miss 200 5", "/x?page=1&gclid[]=a")
	})
	in(t, "only", "{ttl: 10s, key: {query: {only: [page, f_*]}}}", numbered(), func(p *route) {
		p.get("miss 200 1", "/x?page=1")
		p.get("hit 200 1", "/x?page=1&other=2")
		p.get("hit 200 1", "/x?page=1&pages=2&%zz=1&apage=3")
		for i, query := range []string{"page[]=2", "page[0]=2", "page%5B%5D=2", "Page=2", "%20page=2", "+page=2", "page%00x=2", "a;page=2", "f.x=2", "F+x=1", "page+=2"} {
			p.get(fmt.Sprintf("miss 200 %d", i+2), "/x?page=1&"+query)
		}
		p.get("hit 200 1", "/x?page=1")
	})
}

// TestStatusesOfOneRequest are nobody else's.
func TestStatusesOfOneRequest(t *testing.T) {
	for _, status := range []int{400, 401, 407, 408, 412, 413, 416, 417, 421, 425, 426, 428, 429, 431, 511} {
		in(t, fmt.Sprint(status), "{ttl: {1xx: 1s, 4xx: 10s, 5xx: 10s}}", func(n int64, r *http.Request) (*http.Response, error) {
			if n == 1 {
				return respond(status, "bad"), nil
			}
			return respond(200, "fine", ten), nil
		}, func(p *route) {
			p.get(fmt.Sprintf("miss %d bad", status), "/x")
			if got := p.run(p.exchange("GET", "/x")); strings.Contains(got, "bad") {
				p.t.Error(got)
			}
		})
	}
}

// TestClocksThatAreSet make nothing live longer than twice its time.
func TestClocksThatAreSet(t *testing.T) {
	var shift time.Duration
	var mu sync.Mutex
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Round(0).Add(shift)
	}
	set := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		shift = d
	}
	for name, jump := range map[string]time.Duration{"a year back": -365 * 24 * time.Hour, "an hour back": -time.Hour, "a year on": 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set(0)
				p := newRoute(t, "{}", numbered(ten))
				defer p.end()
				var c Config
				c.Default()
				policy, err := newPolicy(p.env, &c, now)
				if err != nil {
					t.Fatal(err)
				}
				p.Filter = &filter.Filter{Request: policy.request, Response: policy.response, Finish: policy.finish, Close: policy.close}
				p.get("miss 200 1", "/x")
				p.get("hit 200 1", "/x")
				set(jump)
				p.get("miss 200 2", "/x")
				p.get("hit 200 2", "/x")
				pause(11)
				p.get("miss 200 3", "/x")
				set(0)
				p.get("miss 200 4", "/x")
				p.get("hit 200 4", "/x")
			})
		})
	}
}

// TestCredentialsBesideTheCaller: where a key says which program calls, and Authorization for whom, the answer is for both.
func TestCredentialsBesideTheCaller(t *testing.T) {
	in(t, "a user's token", "{per: identity}", numbered("Cache-Control: private, max-age=10"), func(p *route) {
		app := func(want string, method, authorization string) {
			p.t.Helper()
			ex := p.exchange("GET", "/x")
			ex.Identity = &filter.Identity{Consumer: "app", Method: method}
			if authorization != "" {
				ex.Request.Header.Set("Authorization", authorization)
			}
			if got := p.run(ex); got != want {
				p.t.Errorf("%s %s: got %q, wanted %q", method, authorization, got, want)
			}
		}
		app("miss 200 1", "api_key", "Bearer ada")
		app("hit 200 1", "api_key", "Bearer ada")
		app("miss 200 2", "api_key", "Bearer bob")
		app("miss 200 3", "api_key", "")
		app("miss 200 4", "jwt", "Bearer one")
		app("hit 200 4", "jwt", "Bearer another")
		app("miss 200 5", "jwt", "Basic x")
	})
}

// TestEncodingsReachWhoReadsThem though the service forgets to say that it looks at what a client reads.
func TestEncodingsReachWhoReadsThem(t *testing.T) {
	in(t, "no Vary", "{ttl: 10s}", func(n int64, r *http.Request) (*http.Response, error) {
		switch {
		case r.Header.Get("If-None-Match") != "":
			return respond(304, "", `Etag: "gzip"`, "Vary: Origin"), nil
		case strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"):
			return respond(200, "gzip", "Content-Encoding: gzip", `Etag: "gzip"`, "Vary: Origin"), nil
		}
		return respond(200, "plain", "Vary: Origin"), nil
	}, func(p *route) {
		p.get("miss 200 gzip", "/x", "Accept-Encoding: gzip")
		p.get("hit 200 gzip", "/x", "Accept-Encoding: gzip;q=1.0")
		p.get("revalidated 200 gzip", "/x", "Accept-Encoding: gzip", "Cache-Control: no-cache")
		p.get("miss 200 plain", "/x")
		p.get("hit 200 plain", "/x")
		p.get("hit 200 plain", "/x", "Accept-Encoding: gzip") // the service says that it is for all
	})
}

// TestOneOddRequestStopsNoStoring of what all others get.
func TestOneOddRequestStopsNoStoring(t *testing.T) {
	serve := func(n int64, r *http.Request) (*http.Response, error) {
		switch r.Header.Get("X-Evil") {
		case "cookie":
			return respond(200, fmt.Sprint(n), ten, "Set-Cookie: a=b"), nil
		case "no-store":
			return respond(200, fmt.Sprint(n), "Cache-Control: no-store"), nil
		}
		return respond(200, fmt.Sprint(n), ten), nil
	}
	for _, evil := range []string{"cookie", "no-store"} {
		in(t, evil, "{}", serve, func(p *route) {
			p.get("miss 200 1", "/x", "X-Evil: "+evil)
			p.get("miss alone", "/x", "X-Evil: "+evil)
			p.get("miss alone", "/x")
			p.get("miss 200 4", "/x")
			p.get("hit 200 4", "/x")
		})
	}
	in(t, "store_when", "{store_when: 'response.header[\"x-ok\"] == \"1\"'}", serve, func(p *route) {
		p.get("miss 200 1", "/x")
		p.get("miss alone", "/x")
		p.get("miss alone", "/x")
	})
}
