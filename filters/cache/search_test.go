package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/cache"
	"cardea.dev/cardea/internal/cache/rules"
)

// cacheOf is the cache of a route.
func cacheOf(p *route) *cache.Cache {
	for _, v := range p.env.Keeper.(filtertest.Keeper) {
		if c, ok := v.(*cache.Cache); ok {
			return c
		}
	}
	return nil
}

const noA = `No-Vary-Search: params=("a")`

// TestNoVarySearch: what says that parts of the query make no difference answers requests that differ by them.
func TestNoVarySearch(t *testing.T) {
	for _, c := range []struct {
		name, field, first, second string
		hit                        bool
	}{
		{"a parameter", `params=("a")`, "/x?a=1&b=2", "/x?b=2&a=3", true},
		{"which is not there", `params=("a")`, "/x?a=1", "/x", true},
		{"which was not there", `params=("a")`, "/x", "/x?a=1", true},
		{"an empty query", `params=("a")`, "/x?a=1", "/x?", true},
		{"escaped", `params=("a")`, "/x?a=1&b=%7E", "/x?%61=1&b=~", true},
		{"another one", `params=("a")`, "/x?a=1&b=2", "/x?a=1&b=3", false},
		{"another path", `params=("a")`, "/x?a=1", "/y?a=2", false},
		{"all", "params", "/x?a=1", "/x?b=2", true},
		{"all but one", `params, except=("b")`, "/x?a=1&b=2", "/x?b=2", true},
		{"that one", `params, except=("b")`, "/x?a=1&b=2", "/x?a=1", false},
		{"the order", "key-order", "/x?a=1&b=2", "/x?b=2&a=1", true},
		{"of one name", "key-order", "/x?a=1&a=2", "/x?a=2&a=1", false},
		{"no dictionary", `params=("a`, "/x?a=1", "/x?a=2", false},
		{"an exception of nothing", `except=("a")`, "/x?a=1", "/x?a=2", false},
		{"too many names", `params=(` + strings.Repeat(`"b" `, 130) + `"a")`, "/x?a=1", "/x?a=2", false},
		{"too long", `params=("a` + strings.Repeat("b", 5000) + `" "a")`, "/x?a=1", "/x?a=2", false},
	} {
		in(t, c.name, "{}", numbered(ten, "No-Vary-Search: "+c.field), func(p *route) {
			p.get("miss 200 1", c.first)
			p.get("hit 200 1", c.first)
			if c.hit {
				p.get("hit 200 1", c.second)
				return
			}
			p.get("miss 200 2", c.second)
			p.get("hit 200 2", c.second)
		})
	}
}

// byQuery answers with the number of the request. What it says of the query stands in the field X-Says of the request, as it would change from version to version of a service.
func byQuery(n int64, r *http.Request) (*http.Response, error) {
	resp := respond(200, fmt.Sprint(n), ten, `Etag: "`+fmt.Sprint(n)+`"`)
	if says := r.Header["X-Says"]; says != nil {
		resp.Header["No-Vary-Search"] = says
	}
	return resp, nil
}

// TestNoVarySearchIsEachResponsesOwn: no response answers by what another one has said.
func TestNoVarySearchIsEachResponsesOwn(t *testing.T) {
	const noB, none = `X-Says: params=("b")`, "X-Says: params=("
	a := "X-Says: params=(\"a\")"
	in(t, "one that has said nothing", "{}", byQuery, func(p *route) {
		p.get("miss 200 1", "/x?b=2")
		p.get("miss 200 2", "/x?a=1&b=3", a)
		p.get("miss 200 3", "/x?a=9&b=2", a)
	})
	in(t, "one that has said something else", "{}", byQuery, func(p *route) {
		p.get("miss 200 1", "/x?b=2&c=3", `X-Says: params=("c")`) // it stands at ?b=2
		p.get("miss 200 2", "/x?a=1&b=7", a)
		p.get("miss 200 3", "/x?a=5&b=2", a)
	})
	in(t, "the latest counts", "{}", byQuery, func(p *route) {
		p.get("miss 200 1", "/x?a=1&b=1", a)
		p.get("hit 200 1", "/x?a=2&b=1")
		p.get("miss 200 2", "/x?a=1&b=2", noB)
		p.get("hit 200 2", "/x?a=1&b=3")
		p.get("miss 200 3", "/x?a=3&b=1", a)
	})
	in(t, "one that says nothing any more", "{}", byQuery, func(p *route) {
		p.get("miss 200 1", "/x?a=1", a)
		p.get("miss 200 2", "/x?a=1&c=1")
		p.get("miss 200 3", "/x?a=2")
		p.get("hit 200 3", "/x?a=2")
	})
	in(t, "one that cannot be read any more", "{}", byQuery, func(p *route) {
		p.get("miss 200 1", "/x?a=1", a)
		p.get("miss 200 2", "/x?a=1&c=1", none)
		p.get("miss 200 3", "/x?a=2")
	})
	in(t, "a newer one goes before the query's own that is stale", "{}", byQuery, func(p *route) {
		p.get("miss 200 1", "/x?a=1")
		pause(11)
		p.get("miss 200 2", "/x?a=2", a)
		p.get("hit 200 2", "/x?a=1")
	})
	in(t, "a 304 that says something else is not used", "{}", func(n int64, r *http.Request) (*http.Response, error) {
		if r.Header["If-None-Match"] != nil {
			return respond(304, "", ten, `Etag: "1"`, "No-Vary-Search: params"), nil
		}
		return byQuery(n, r)
	}, func(p *route) {
		p.get("miss 200 1", "/x?a=1&b=1", a)
		pause(11)
		p.get("miss 200 3", "/x?a=2&b=1", a)
		p.get("hit 200 3", "/x?a=3&b=1")
		p.get("miss 200 4", "/x?a=3&b=2", a)
	})
	in(t, "a rule that changes with each answer", "{}", byQuery, func(p *route) {
		for i := range 200 {
			p.get(fmt.Sprintf("miss 200 %d", i+1), fmt.Sprintf("/x?b=%d", i), fmt.Sprintf(`X-Says: params=("p%d")`, i))
		}
		p.get("hit 200 1", "/x?b=0")
		if n := cacheOf(p).ResponseCache().Objects; n != 201 {
			p.t.Errorf("%d objects", n)
		}
	})
}

// TestNoVarySearchWithAllElse: it goes with all else that tells requests apart.
func TestNoVarySearchWithAllElse(t *testing.T) {
	in(t, "variants", "{}", func(n int64, r *http.Request) (*http.Response, error) {
		return respond(200, r.Header.Get("Accept-Language"), ten, "Vary: Accept-Language", noA), nil
	}, func(p *route) {
		p.get("miss 200 de", "/x?a=1", "Accept-Language: de")
		p.get("miss 200 en", "/x?a=2", "Accept-Language: en")
		p.get("hit 200 de", "/x?a=3", "Accept-Language: de")
		p.get("hit 200 en", "/x?a=4", "Accept-Language: en")
		p.get("hit 200 en", "/x", "Accept-Language: en")
	})
	in(t, "callers", "{per: identity}", numbered("Cache-Control: private, max-age=10", noA), func(p *route) {
		p.get("miss 200 1", "/x?a=1", "ada")
		p.get("hit 200 1", "/x?a=2", "ada")
		p.get("miss 200 2", "/x?a=1", "bob")
		p.get("hit 200 2", "/x?a=3", "bob")
	})
	in(t, "the operator's rules", "{key: {query: {ignore: [utm_*]}, headers: [x-tenant]}}", numbered(ten, noA), func(p *route) {
		p.get("miss 200 1", "/x?a=1&utm_source=z&b=1")
		p.get("hit 200 1", "/x?utm_campaign=y&b=1")
		p.get("miss 200 2", "/x?b=1", "X-Tenant: b")
		p.get("miss 200 3", "/x?b=2")
	})
	in(t, "validation", "{}", func(n int64, r *http.Request) (*http.Response, error) {
		if r.Header.Get("If-None-Match") == `"1"` {
			return respond(304, "", ten, `Etag: "1"`), nil
		}
		return respond(200, fmt.Sprint(n), ten, `Etag: "1"`, noA), nil
	}, func(p *route) {
		p.get("miss 200 1", "/x?a=1")
		pause(11)
		p.get("revalidated 200 1", "/x?a=2")
		p.get("hit 200 1", "/x?a=3")
	})
	in(t, "an error leaves the rule", "{}", func(n int64, r *http.Request) (*http.Response, error) {
		if r.URL.RawQuery == "bad" {
			return respond(404, "no", ten), nil
		}
		return respond(200, fmt.Sprint(n), ten, noA), nil
	}, func(p *route) {
		p.get("miss 200 1", "/x?a=1")
		p.get("miss 404 no", "/x?bad")
		p.get("hit 200 1", "/x?a=2")
	})
}

// TestNoVarySearchAndPurges: a purge of any URL that a response answers is one of it.
func TestNoVarySearchAndPurges(t *testing.T) {
	for _, url := range []string{"http://h/x?b=2", "http://h/x?a=1&b=2", "https://h/x?a=77&b=2", "http://h/x"} {
		for _, soft := range []bool{false, true} {
			in(t, fmt.Sprint(url, soft), "{}", numbered(ten, noA), func(p *route) {
				p.get("miss 200 1", "/x?a=1&b=2")
				p.get("miss 200 2", "/xx?a=1&b=2")
				if _, err := cacheOf(p).Purge(t.Context(), filter.Purge{URL: url, Soft: soft}); err != nil {
					p.t.Error(err)
				}
				p.get("miss 200 3", "/x?a=5&b=2")
				p.get("hit 200 3", "/x?b=2")
				p.get("hit 200 2", "/xx?a=1&b=2")
			})
		}
	}
	in(t, "by what changes it", "{}", numbered(ten, noA), func(p *route) {
		p.get("miss 200 1", "/x?a=1&b=2")
		p.run(p.exchange("POST", "/x?a=2&b=2"))
		p.get("miss 200 3", "/x?a=1&b=2")
	})
	in(t, "in the middle of a fetch", "{}", numbered(ten, noA), func(p *route) {
		p.get("miss 200 1", "/x?a=1")
		pause(11)
		p.takes = time.Second
		var all sync.WaitGroup
		all.Go(func() { p.get("miss 200 2", "/x?a=2") })
		synctest.Wait()
		_, _ = cacheOf(p).Purge(t.Context(), filter.Purge{URL: "http://h/x?a=3"})
		all.Wait()
		p.get("miss 200 3", "/x?a=4")
	})
	in(t, "looking", "{}", numbered(ten, noA), func(p *route) {
		p.get("miss 200 1", "/x?a=1&b=2")
		p.get("miss 200 2", "/x?a=1&b=3")
		for url, want := range map[string]int{"http://h/x?b=2": 1, "http://h/x?a=9&b=2": 1, "http://h/x": 0, "http://h/x?b=2&c=1": 0} {
			found, err := cacheOf(p).Look(context.Background(), url, 9)
			if err != nil || len(found) != want || want == 1 && found[0].URL != "http://h/x?b=2" {
				p.t.Errorf("%s: %v, %v", url, found, err)
			}
		}
	})
}

// TestNoVarySearchAsksOnce: those who wait for one answer are those whom it is for.
func TestNoVarySearchAsksOnce(t *testing.T) {
	run := func(p *route) (miss, shared int64) {
		var m, s atomic.Int64
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				switch got := p.run(p.exchange("GET", fmt.Sprintf("/x?a=%d", i))); strings.Fields(got)[0] {
				case "miss":
					m.Add(1)
				case "shared", "hit":
					s.Add(1)
				default:
					p.t.Errorf("got %q", got)
				}
			})
		}
		all.Wait()
		return m.Load(), s.Load()
	}
	in(t, "what makes no difference", "{}", numbered(ten, noA), func(p *route) {
		p.get("miss 200 1", "/x?a=1")
		pause(11)
		p.takes = time.Second
		if miss, shared := run(p); miss != 1 || shared != 49 || p.asked.Load() != 2 {
			p.t.Errorf("%d, %d, asked %d times", miss, shared, p.asked.Load())
		}
	})
	in(t, "what makes one now", "{}", func(n int64, r *http.Request) (*http.Response, error) {
		if n == 1 {
			return respond(200, "1", ten, noA), nil
		}
		return respond(200, r.URL.RawQuery, ten), nil
	}, func(p *route) {
		p.get("miss 200 1", "/x?a=1")
		pause(11)
		p.takes = time.Second
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				if got := p.run(p.exchange("GET", fmt.Sprintf("/x?a=%d", i))); got != fmt.Sprintf("miss 200 a=%d", i) {
					p.t.Errorf("a=%d: got %q", i, got)
				}
			})
		}
		all.Wait()
	})
	in(t, "in the background", "{stale_while_revalidate: 1m}", numbered(ten, noA), func(p *route) {
		p.get("miss 200 1", "/x?a=1")
		pause(11)
		p.takes = time.Second
		for i := range 50 {
			p.get("stale 200 1", fmt.Sprintf("/x?a=%d", i))
		}
		pause(2)
		p.get("hit 200 2", "/x?a=99")
		if n := p.asked.Load(); n != 2 {
			p.t.Errorf("asked %d times", n)
		}
	})
}

// TestNoVarySearchIsSound plays random requests, to a service whose rules change at random, and purges: what is answered is always a response to a query that makes no difference by
// its own rule, and never one that was purged.
func TestNoVarySearchIsSound(t *testing.T) {
	rule := []string{"", `params=("a")`, `params=("b" "c")`, "params", `params, except=("a")`, "key-order", `key-order, params=("c")`, "params=(", `No-Vary-Search: params=("a b")`}
	answer := func(r *rand.Rand) func(int64, *http.Request) (*http.Response, error) {
		return func(n int64, req *http.Request) (*http.Response, error) {
			if req.Header["If-None-Match"] != nil && r.IntN(2) == 0 {
				resp := respond(304, "", ten)
				if r.IntN(4) == 0 {
					resp.Header.Set("No-Vary-Search", rule[r.IntN(len(rule))])
				}
				return resp, nil
			}
			says := rule[r.IntN(len(rule))]
			fields := []string{ten, fmt.Sprintf(`Etag: "%d"`, n)}
			if says != "" {
				fields = append(fields, "No-Vary-Search: "+says)
			}
			if r.IntN(5) == 0 {
				fields = append(fields, "Vary: X-A")
			}
			return respond(200, fmt.Sprintf("%d|%s|%s", n, says, req.URL.RawQuery), fields...), nil
		}
	}
	query := func(r *rand.Rand) string {
		pairs := make([]string, r.IntN(4))
		for i := range pairs {
			pairs[i] = []string{"a=1", "a=2", "b=1", "b", "c=1", "%61=1", "a+b=1", "", "a=%31"}[r.IntN(9)]
		}
		return strings.Join(pairs, "&")
	}
	hits := 0
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		in(t, fmt.Sprint(seed), "{}", answer(r), func(p *route) {
			purged := map[string]int64{} // the last request before each purge
			for range 400 {
				q := query(r)
				switch r.IntN(12) {
				case 0:
					pause(r.IntN(8))
				case 1:
					purged[q] = p.asked.Load()
					_, _ = cacheOf(p).Purge(t.Context(), filter.Purge{URL: strings.TrimSuffix("http://h/x?"+q, "?")})
				}
				got := p.run(p.exchange("GET", strings.TrimSuffix("/x?"+q, "?"), fmt.Sprintf("X-A: %d", r.IntN(2))))
				var n int64
				word, text, _ := strings.Cut(got, " 200 ")
				number, text, _ := strings.Cut(text, "|")
				says, of, _ := strings.Cut(text, "|")
				if _, err := fmt.Sscan(number, &n); err != nil {
					p.t.Fatalf("%s: got %q", q, got)
				}
				by := rules.ParseNoVarySearch([]string{says})
				if q != of && rules.NormalQuery(q, by) != rules.NormalQuery(of, by) {
					p.t.Fatalf("%s: got %q", q, got)
				}
				if word == "hit" && q != of {
					hits++
				}
				for other, last := range purged {
					if n <= last && (other == of || rules.NormalQuery(other, by) == rules.NormalQuery(of, by)) {
						p.t.Fatalf("%s: got %q, which was purged as %s", q, got, other)
					}
				}
			}
		})
	}
	if hits < 200 {
		t.Errorf("only %d were answered by what is stored for another query", hits)
	}
}

func BenchmarkHitByNoVarySearch(b *testing.B) {
	p := newRoute(b, "{}", numbered("Cache-Control: max-age=3600", `No-Vary-Search: params=("utm_source" "utm_medium" "gclid")`))
	defer p.end()
	p.get("miss 200 1", "/x?page=1")
	ex := p.exchange("GET", "/x?utm_source=news&page=1&gclid=abc")
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Request(ex); err != nil || ex.Response == nil {
			b.Fatal("no hit")
		}
		_ = ex.Response.Body.Close()
		ex.Response.Body.(interface{ Recycle() }).Recycle()
		ex.Response = nil
	}
}
