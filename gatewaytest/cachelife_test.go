package gatewaytest_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// library is a service of pages whose texts follow from their paths.
func library(t *testing.T) (url string, asked *atomic.Int64) {
	asked = &atomic.Int64{}
	return upstream(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprint(w, page(r.URL.Path))
	}).URL, asked
}

// page is the text of a page. Those of the numbers 0, 10, 20, … are long.
func page(path string) string {
	if strings.HasSuffix(path, "0") {
		return strings.Repeat(path+";", 20<<10)
	}
	return strings.Repeat(path+";", 1+len(path)*7)
}

// pages is how many pages are asked for.
const pages = 40

// TestReloadsOfCachesUnderLoad change sizes, names and policies while clients ask. No request fails, and none gets another page.
func TestReloadsOfCachesUnderLoad(t *testing.T) {
	up, asked := library(t)
	config := func(caches, policy string) string {
		return "overload: off\nupstreams: {library: '" + up + "'}\ncaches: {" + caches + "}\nroutes: [{match: /**, to: library, name: library" + policy + "}]"
	}
	const big = "disk: {path: pages, size: 64MiB}"
	use := func(name string) string { return ", cache: {use: " + name + "}" }
	g := gatewaytest.New(t, config("pages: {memory: 2MiB, "+big+"}", use("pages")))
	var served atomic.Int64
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for i := range 6 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for {
				select {
				case <-stop:
					return
				default:
				}
				path := fmt.Sprint("/page/", random.IntN(pages))
				if resp, body := g.Get(path); resp.StatusCode != 200 || body != page(path) {
					t.Errorf("%s: %d, %d bytes, want %d: %.50q", path, resp.StatusCode, len(body), len(page(path)), body)
					return
				}
				served.Add(1)
			}
		})
	}
	steps := []string{
		config("pages: {memory: 4MiB, "+big+"}", use("pages")),
		config("pages: {memory: 64KiB, "+big+"}", use("pages")),
		config("pages: {memory: 2MiB, disk: {path: pages, size: 1MiB}}", use("pages")),
		config("pages: {memory: 2MiB, disk: {path: pages, size: 64MiB, max_object: 1KiB}}", use("pages")),
		config("shelf: {memory: 2MiB, "+big+"}", use("shelf")),
		config("shelf: {memory: 0, "+big+"}", use("shelf")),
		config("", ""),
		config("shelf: {memory: 2MiB, disk: {path: ./pages/, size: 64MiB}}", use("shelf")),
		config("shelf: {memory: 2MiB, disk: elsewhere}", use("shelf")),
		config("shelf: {memory: 2MiB}", use("shelf")),
		config("", ", cache: {}"),
		config("", ""),
		config("pages: {memory: 2MiB, "+big+"}", use("pages")),
	}
	for range 3 {
		for i, step := range steps {
			before := served.Load()
			if err := g.SetConfig(step); err != nil {
				t.Errorf("step %d: %v", i, err)
			}
			waitFor(t, func() bool { return served.Load() > before+100 || t.Failed() })
		}
	}
	close(stop)
	clients.Wait()
	if asked.Load() > served.Load()*3/4 {
		t.Errorf("of %d requests %d were asked of the service", served.Load(), asked.Load())
	}
}

// TestWhatIsKeptOverReloads serves afterwards, without the service.
func TestWhatIsKeptOverReloads(t *testing.T) {
	up, asked := library(t)
	config := func(caches, policy string) string {
		return "overload: off\nupstreams: {library: '" + up + "'}\ncaches: {" + caches + "}\nroutes: [{match: /**, to: library, name: library" + policy + "}]"
	}
	for _, c := range []struct {
		name, before, between, after string
	}{
		{"the memory's size", config("p: {memory: 16MiB}", ", cache: {use: p}"), config("p: {memory: 32MiB}", ", cache: {use: p}"), config("p: {memory: 8MiB}", ", cache: {use: p}")},
		{
			"the disk's size", config("p: {memory: 0, disk: d}", ", cache: {use: p}"), config("p: {memory: 0, disk: {path: d, size: 64MiB}}", ", cache: {use: p}"),
			config("p: {memory: 0, disk: {path: d, size: 128MiB}}", ", cache: {use: p}"),
		},
		{
			"the name of one with a disk", config("p: {disk: d}", ", cache: {use: p}"), config("q: {disk: d}", ", cache: {use: q}"),
			config("default: {disk: ./d}", ", cache: {}"),
		},
		{"the policy of one with a disk", config("p: {disk: d}", ", cache: {use: p}"), config("p: {disk: d}", ""), config("p: {disk: d}", ", cache: {use: p}")},
		{"another policy beside it", config("p: 16MiB", ", cache: {use: p}"), config("p: 16MiB", ", cache: {use: p, ttl: 1m}, guard: {}"), config("p: 16MiB", ", cache: {use: p}")},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := gatewaytest.New(t, c.before)
			for n := range pages {
				stored(t, g, fmt.Sprint("/page/", n))
			}
			before := asked.Load()
			for _, config := range []string{c.between, c.after} {
				if err := g.SetConfig(config); err != nil {
					t.Fatal(err)
				}
			}
			for n := range pages {
				path := fmt.Sprint("/page/", n)
				if resp, body := g.Get(path); resp.StatusCode != 200 || body != page(path) || !strings.Contains(resp.Header.Get("Cache-Status"), "; hit") {
					t.Errorf("%s: %d, %d bytes, %s", path, resp.StatusCode, len(body), resp.Header.Get("Cache-Status"))
				}
			}
			if n := asked.Load() - before; n != 0 {
				t.Errorf("%d pages are asked for anew", n)
			}
		})
	}
}

// TestADirectoryIsForOneGateway alone; a second one does not start with it, nor reload to it, and says where it is written.
func TestADirectoryIsForOneGateway(t *testing.T) {
	dir := t.TempDir()
	text := "upstreams: {shop: 'http://127.0.0.1:1'}\ncaches: {pages: {disk: '" + dir + "'}}\nroutes: [{match: /a, to: shop, cache: {use: pages}}, {match: /b, to: shop, cache: {use: pages}}]"
	const want = "cardea.yaml:2:24: caches.pages.disk: cannot use the directory "
	first := gatewaytest.New(t, text)
	if _, err := gatewaytest.Start(t, text); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), "cannot use") != 1 {
		t.Errorf("a second gateway says %v", err)
	}
	second := gatewaytest.New(t, strings.Replace(text, dir, dir+"-2", 1))
	if err := second.SetConfig(text); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("a reload says %v", err)
	}
	if err := first.SetConfig("routes: [{match: /, respond: ok}]"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return second.SetConfig(text) == nil }) // once the first has let go of it
	for _, spelled := range []string{dir + "/", strings.Replace(dir, "/", "//", 1), dir + "/x/.."} {
		if err := second.SetConfig(strings.Replace(text, dir, spelled, 1)); err != nil {
			t.Errorf("spelled %s, it is its own: %v", spelled, err)
		}
	}
}

// TestACacheIsPutBackAtOnce while what it was before is being closed.
func TestACacheIsPutBackAtOnce(t *testing.T) {
	up, _ := library(t)
	const without = "overload: off\nroutes: [{match: /**, respond: nothing}]"
	with := "overload: off\nupstreams: {library: '" + up + "'}\ncaches: {p: {disk: d}}\nroutes: [{match: /**, to: library, cache: {use: p}}]"
	g := gatewaytest.New(t, with)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					g.Get(fmt.Sprint("/page/", n%pages))
				}
			}
		})
	}
	for range 60 {
		for _, config := range []string{without, with} {
			if err := g.SetConfig(config); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	clients.Wait()
}
