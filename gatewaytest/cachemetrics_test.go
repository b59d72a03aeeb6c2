package gatewaytest_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// metric is the value of a series as it is read from outside, or "".
func metric(t *testing.T, g *gatewaytest.Gateway, series string) string {
	t.Helper()
	status, body := adminCall(t, g, "GET", "/metrics", "")
	if status != 200 {
		t.Fatalf("/metrics: %d %s", status, body)
	}
	if found := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(series) + " (.*)$").FindStringSubmatch(body); found != nil {
		return found[1]
	}
	return ""
}

// TestMetricsOfCaches follow what caches hold, over reloads, and end with the cache.
func TestMetricsOfCaches(t *testing.T) {
	up, _ := shop(t)
	text := "admin: 127.0.0.1:0\ncaches: {pages: {memory: 1MiB, disk: {path: pages, size: 16MiB}}}\nupstreams: {shop: '" + up + "'}\n"
	routes := "routes: [{match: /**, to: shop, name: shop, cache: {use: pages}}]"
	g := gatewaytest.New(t, text+routes)
	is := func(when, series, want string) {
		t.Helper()
		if got := metric(t, g, series); got != want {
			t.Errorf("%s: %s is %q, want %q", when, series, got, want)
		}
	}
	is("at first", `cardea_cache_limit_bytes{cache="pages",in="memory"}`, "1.048576e+06")
	is("at first", `cardea_cache_limit_bytes{cache="pages",in="disk"}`, "1.6777216e+07")
	for i := range 3 {
		stored(t, g, fmt.Sprint("/", i))
	}
	hits := metric(t, g, `cardea_cache_requests_total{outcome="hit",route="shop"}`)
	if hits == "" || hits == "0" {
		t.Errorf("there are %q hits", hits)
	}
	now := func(when string) {
		t.Helper()
		for _, in := range []string{"memory", "disk"} {
			is(when, `cardea_cache_objects{cache="pages",in="`+in+`"}`, "3")
			if got := metric(t, g, `cardea_cache_stored_bytes{cache="pages",in="`+in+`"}`); got == "" || got == "0" {
				t.Errorf("%s: it takes %q bytes", when, got)
			}
			is(when, `cardea_cache_evictions_total{cache="pages",in="`+in+`"}`, "0")
		}
		is(when, `cardea_cache_store_up{cache="pages"}`, "1")
		is(when, `cardea_cache_requests_total{outcome="hit",route="shop"}`, hits)
		is(when, `cardea_cache_requests_total{outcome="miss",route="shop"}`, "3")
	}
	now("when things are stored")
	text = strings.Replace(text, "1MiB", "2MiB", 1)
	if err := g.SetConfig(text + routes); err != nil {
		t.Fatal(err)
	}
	now("after a reload")
	g.Get("/0")
	is("once the new sizes are in use", `cardea_cache_limit_bytes{cache="pages",in="memory"}`, "2.097152e+06")
	text = strings.Replace(text, "2MiB", "300KiB", 1)
	if err := g.SetConfig(text + routes); err != nil {
		t.Fatal(err)
	}
	for i := range 600 {
		g.Get(fmt.Sprint("/more/", i))
	}
	if got := metric(t, g, `cardea_cache_evictions_total{cache="pages",in="memory"}`); got == "0" || got == "" {
		t.Errorf("%q were let go to make room", got)
	}
	if err := g.SetConfig(text + "routes: [{match: /**, to: shop}]"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return metric(t, g, `cardea_cache_objects{cache="pages",in="memory"}`) == "" })
	is("without the policy", `cardea_cache_store_up{cache="pages"}`, "")
}

// TestCachesOfOneName are told as one: while an exchange of before a reload goes on, there are two.
func TestCachesOfOneName(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		if r.URL.Path == "/slow" {
			close(begun)
			<-end
		}
		fmt.Fprint(w, "x")
	})
	text := "admin: 127.0.0.1:0\nupstreams: {shop: '" + up.URL + "'}\nroutes: [{match: /**, to: shop, cache: {use: pages}}]\n"
	g := gatewaytest.New(t, text+"caches: {pages: {memory: 1MiB}}")
	slow := make(chan string)
	go func() {
		_, body := g.Get("/slow")
		slow <- body
	}()
	<-begun
	if err := g.SetConfig(text + "caches: {pages: {memory: 1MiB, disk: pages}}"); err != nil {
		t.Fatal(err)
	}
	if got := metric(t, g, `cardea_cache_limit_bytes{cache="pages",in="memory"}`); got != "2.097152e+06" {
		t.Errorf("both together may take %q", got)
	}
	close(end)
	if body := <-slow; body != "x" {
		t.Errorf("%q", body)
	}
	waitFor(t, func() bool {
		return metric(t, g, `cardea_cache_limit_bytes{cache="pages",in="memory"}`) == "1.048576e+06"
	})
}

// TestTheStoreOfACacheIsSeenToBeDown in the metrics, and by who purges.
func TestTheStoreOfACacheIsSeenToBeDown(t *testing.T) {
	up, _ := shop(t)
	r := redistest.Start(t)
	g := gatewaytest.New(t, "admin: 127.0.0.1:0\nstore: "+r.URL()+"\ncaches: {default: {shared: true}}\nupstreams: {shop: '"+up+"'}\nroutes: [{match: /**, to: shop, cache: {}}]")
	const series = `cardea_cache_store_up{cache="default"}`
	if got := metric(t, g, series); got != "1" {
		t.Errorf("while it is there: %q", got)
	}
	r.Kill()
	status, body := adminCall(t, g, "POST", "/caches/purge", "all=1")
	if status != 503 || !strings.Contains(body, `Cannot purge the cache \"default\": `) || !strings.Contains(body, "cache_unavailable") {
		t.Errorf("a purge is answered with %d %s", status, body)
	}
	waitFor(t, func() bool { g.Get("/a"); return metric(t, g, series) == "0" })
	r.Run()
	waitFor(t, func() bool { return metric(t, g, series) == "1" })
	if status, body := adminCall(t, g, "POST", "/caches/purge", "all=1"); status != 200 || !strings.Contains(body, `"shared": true`) {
		t.Errorf("a purge is answered with %d %s", status, body)
	}
}
