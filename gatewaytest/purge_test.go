package gatewaytest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// shop is a service whose answers are fresh for long, count what was asked, and have tags.
func shop(t *testing.T) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Surrogate-Key", "all-products product"+strings.ReplaceAll(r.URL.Path, "/", "-"))
		w.Header().Set("Cache-Tag", "one,Two")
		fmt.Fprint(w, asked.Add(1))
	})
	return up.URL, asked
}

// order has a gateway purge.
func order(t *testing.T, g *gatewaytest.Gateway, form url.Values) {
	t.Helper()
	if status, body := adminCall(t, g, "POST", "/caches/purge", form.Encode()); status != 200 {
		t.Fatalf("purge of %v: %d %s", form, status, body)
	}
}

// stored gets a path until it is answered with what is stored, and returns that.
func stored(t *testing.T, g *gatewaytest.Gateway, path string, fields ...string) (body string) {
	t.Helper()
	waitFor(t, func() bool {
		resp, got := g.Get(path, fields...)
		body = got
		return strings.Contains(resp.Header.Get("Cache-Status"), "; hit")
	})
	return body
}

func TestPurgesHoldForWhatIsStored(t *testing.T) {
	up, asked := shop(t)
	g := gatewaytest.New(t, "admin: 127.0.0.1:0\nupstreams: {shop: '"+up+"'}\nroutes: [{match: /**, to: shop, cache: {}}]")
	paths := []string{"/p/1", "/p/1?x=1", "/p/2", "/q"}
	for _, c := range []struct {
		form url.Values
		gone string
	}{
		{url.Values{"url": {g.URL + "/p/1"}}, "/p/1"},
		{url.Values{"url": {strings.Replace(g.URL, "http:", "HTTPS:", 1) + "/x/../p//1?x=1"}}, "/p/1?x=1"},
		{url.Values{"url": {g.URL + "/p"}}, ""},
		{url.Values{"prefix": {g.URL + "/p/1"}}, "/p/1 /p/1?x=1"},
		{url.Values{"prefix": {g.URL}}, "/p/1 /p/1?x=1 /p/2 /q"},
		{url.Values{"tag": {"product-p-2"}}, "/p/2"},
		{url.Values{"tag": {"all-products"}}, "/p/1 /p/1?x=1 /p/2 /q"},
		{url.Values{"tag": {"one"}}, "/p/1 /p/1?x=1 /p/2 /q"},
		{url.Values{"tag": {"none"}}, ""},
		{url.Values{"all": {"true"}, "cache": {"default"}}, "/p/1 /p/1?x=1 /p/2 /q"},
	} {
		for _, path := range paths {
			stored(t, g, path)
		}
		order(t, g, c.form)
		var gone []string
		for _, path := range paths {
			before := asked.Load()
			if g.Get(path); asked.Load() > before {
				gone = append(gone, path)
			}
		}
		if got := strings.Join(gone, " "); got != c.gone {
			t.Errorf("after %v, %q are asked for anew, want %q", c.form, got, c.gone)
		}
	}
	if _, body := adminCall(t, g, "GET", "/caches/look?url="+g.URL+"/p/2", ""); !strings.Contains(body, `"state": "fresh"`) || !strings.Contains(body, `"product-p-2"`) {
		t.Errorf("it shows %s", body)
	}
}

func TestASoftPurgeServesWhatIsStale(t *testing.T) {
	up, asked := shop(t)
	g := gatewaytest.New(t, "admin: 127.0.0.1:0\nupstreams: {shop: '"+up+"'}\nroutes: [{match: /**, to: shop, cache: {stale_while_revalidate: 1m}}]")
	if body := stored(t, g, "/a"); body != "1" {
		t.Fatalf("it is stored as %s", body)
	}
	order(t, g, url.Values{"url": {g.URL + "/a"}, "soft": {"true"}})
	if resp, body := g.Get("/a"); body != "1" {
		t.Errorf("it is answered with %s, %v", body, resp.Header["Cache-Status"])
	}
	waitFor(t, func() bool { return asked.Load() >= 2 })
	waitFor(t, func() bool { _, body := g.Get("/a"); return body != "1" })
}

// TestAPurgeInTheMiddleOfAFetch holds for what is being fetched, whose beginning those who asked before have already.
func TestAPurgeInTheMiddleOfAFetch(t *testing.T) {
	var asked atomic.Int64
	begun, end := make(chan struct{}), make(chan struct{})
	up := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Surrogate-Key", "a")
		n := asked.Add(1)
		fmt.Fprint(w, n)
		if n == 1 {
			_ = http.NewResponseController(w).Flush()
			close(begun)
			<-end
		}
	})
	g := gatewaytest.New(t, "admin: 127.0.0.1:0\nupstreams: {shop: '"+up.URL+"'}\nroutes: [{match: /**, to: shop, cache: {}}]")
	first := make(chan string)
	go func() {
		_, body := g.Get("/a")
		first <- body
	}()
	<-begun
	order(t, g, url.Values{"tag": {"a"}})
	if _, body := g.Get("/a"); body != "2" {
		t.Errorf("whoever asks after the purge, while the old answer still comes, gets %s", body)
	}
	close(end)
	if body := <-first; body != "1" {
		t.Errorf("the first gets %s", body)
	}
	if body := stored(t, g, "/a"); body == "1" {
		t.Error("afterwards one gets what was purged")
	}
}

// TestAPurgeOutlivesARestart where the answers do.
func TestAPurgeOutlivesARestart(t *testing.T) {
	up, asked := shop(t)
	dir := t.TempDir()
	text := "admin: 127.0.0.1:0\ncaches: {default: {disk: '" + dir + "'}}\nupstreams: {shop: '" + up + "'}\nroutes: [{match: '{host: a.test, path: /**}', to: shop, cache: {}}]"
	text = strings.Replace(text, "'{host: a.test, path: /**}'", "{host: a.test, path: /**}", 1)
	host := "Host: a.test"
	g := gatewaytest.New(t, text)
	kept := stored(t, g, "/kept", host)
	stored(t, g, "/purged", host)
	order(t, g, url.Values{"url": {"http://a.test/purged"}})
	g.Shutdown(t.Context())
	before := asked.Load()
	g = gatewaytest.New(t, text)
	if _, body := g.Get("/kept", host); body != kept {
		t.Errorf("what was stored is not after a restart: %s", body)
	}
	if _, body := g.Get("/purged", host); body != fmt.Sprint(before+1) {
		t.Errorf("what was purged is back after a restart: %s", body)
	}
}

// TestGatewaysThatShareAStorePurgeTogether also what they have in their own memories.
func TestGatewaysThatShareAStorePurgeTogether(t *testing.T) {
	up, asked := shop(t)
	r := redistest.Start(t)
	text := "admin: 127.0.0.1:0\nstore: " + r.URL() + "\ncaches: {default: {shared: true}}\nupstreams: {shop: '" + up + "'}\nroutes: [{match: {host: a.test, path: /**}, to: shop, cache: {}}]"
	host := "Host: a.test"
	one, two := gatewaytest.New(t, text), gatewaytest.New(t, text)
	for i, form := range []url.Values{{"url": {"http://a.test/a"}}, {"prefix": {"https://a.test/"}}, {"tag": {"product-a"}}, {"all": {"1"}}} {
		stored(t, one, "/a", host)
		old := stored(t, two, "/a", host)
		before := asked.Load()
		status, body := adminCall(t, one, "POST", "/caches/purge", form.Encode())
		if status != 200 || !strings.Contains(body, `"shared": true`) {
			t.Fatalf("%d: %d %s", i, status, body)
		}
		if one.Get("/a", host); asked.Load() == before {
			t.Errorf("%d: the gateway that was asked answers with what was purged", i)
		}
		waitFor(t, func() bool { _, body := two.Get("/a", host); return body != old })
	}
}
