package quota_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
)

const site = `
consumers:
  acme: {tags: {plan: gold}, keys: [key-of-acme-0123456789]}
  tiny: {tags: {plan: free}, keys: [key-of-tiny-0123456789]}
routes:
  - match: /api/**
    respond: ok
    api_key: {}
    quota: {quotas: %s per identity, file: %s, overrides: [{tags: {plan: gold}, amount: 3}]}
  - {match: /free, respond: ok, quota: off}
`

func get(t *testing.T, g *gatewaytest.Gateway, path, key string, want int) *http.Response {
	t.Helper()
	var fields []string
	if key != "" {
		fields = append(fields, "X-API-Key: "+key)
	}
	resp, body := g.Get(path, fields...)
	if resp.StatusCode != want {
		t.Errorf("%s with %s: got %d %s", path, key, resp.StatusCode, body)
	}
	if want == 429 && !strings.Contains(body, `"quota_exceeded"`) {
		t.Error(body)
	}
	return resp
}

// TestUsageSurvives: a restart, a reload, and another amount.
func TestUsageSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quota.state")
	run := func(name string, f func(t *testing.T, g *gatewaytest.Gateway)) {
		t.Run(name, func(t *testing.T) { f(t, gatewaytest.New(t, fmt.Sprintf(site, "1/year", path))) })
	}
	const acme, tiny = "key-of-acme-0123456789", "key-of-tiny-0123456789"
	run("first", func(t *testing.T, g *gatewaytest.Gateway) {
		get(t, g, "/api/", "wrong", 401)
		resp := get(t, g, "/api/", acme, 200)
		if got := resp.Header.Get("RateLimit"); !strings.HasPrefix(got, `"year";r=2;t=`) {
			t.Errorf("got %q", got)
		}
		get(t, g, "/api/", tiny, 200)
		resp = get(t, g, "/api/", tiny, 429)
		if resp.Header.Get("Retry-After") == "" || !strings.HasPrefix(resp.Header.Get("RateLimit"), `"year";r=0;t=`) || resp.Header.Get("RateLimit-Policy") == "" {
			t.Errorf("got %v", resp.Header)
		}
		get(t, g, "/free", "", 200)
		get(t, g, "/free", "", 200)
	})
	run("after a restart", func(t *testing.T, g *gatewaytest.Gateway) {
		get(t, g, "/api/", tiny, 429)
		get(t, g, "/api/", acme, 200)
		if err := g.SetConfig(fmt.Sprintf(site, "2/year", path)); err != nil {
			t.Fatal(err)
		}
		get(t, g, "/api/", tiny, 200)
		get(t, g, "/api/", tiny, 429)
		if err := g.SetConfig(fmt.Sprintf(site, "1/year", path) + "nonsense: 1\n"); err == nil {
			t.Error("no error")
		}
		get(t, g, "/api/", tiny, 429)
		get(t, g, "/api/", acme, 200)
		get(t, g, "/api/", acme, 429)
	})
	run("another gateway", func(t *testing.T, _ *gatewaytest.Gateway) {
		_, err := gatewaytest.Start(t, fmt.Sprintf(site, "1/year", path))
		if err == nil || !strings.Contains(err.Error(), "another gateway counts in it") || !strings.Contains(err.Error(), "cardea.yaml:") {
			t.Errorf("got %v", err)
		}
	})
}

// TestReloadsUnderLoad: none of them loses or forgives a request.
func TestReloadsUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quota.state")
	text := func(round int) string {
		return fmt.Sprintf("quota: {quotas: 500/year per all, file: %s, name: q}\nroutes: [{match: /**, respond: 'round %d'}]", path, round)
	}
	g := gatewaytest.New(t, text(0))
	var passed, refused atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 150 {
				switch resp, _ := g.Get("/"); resp.StatusCode {
				case 200:
					passed.Add(1)
				case 429:
					refused.Add(1)
				}
			}
		})
	}
	for i := range 10 {
		if err := g.SetConfig(text(i)); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if passed.Load() != 500 || refused.Load() != 100 {
		t.Errorf("%d passed, %d were refused", passed.Load(), refused.Load())
	}
}

// TestInheritedQuotas: routes that inherit a quota share it; one that has its own counts for itself.
func TestInheritedQuotas(t *testing.T) {
	g := gatewaytest.New(t, `
quota: {quotas: 2/day, file: off}
routes:
  - {match: /a, respond: a}
  - {match: /b, respond: b}
  - {match: /c, respond: c, quota: {quotas: 1/day, file: off}}
`)
	for i, path := range []string{"/a", "/b", "/c"} {
		get(t, g, path, "", 200)
		if i > 0 {
			get(t, g, path, "", 429)
		}
	}
	var names []string
	g.Keeper.Each(func(v any) {
		if l, ok := v.(filter.Limiter); ok {
			names = append(names, l.Limiter().Name)
		}
	})
	if len(names) != 2 {
		t.Errorf("got %q", names)
	}
}

func TestBytesThatWereSent(t *testing.T) {
	g := gatewaytest.New(t, `
quota: {quotas: 2KiB/day, cost_response: bytes, file: off}
routes: [{match: /**, respond: {body: `+strings.Repeat("x", 1000)+`}}]
`)
	for _, want := range []int{200, 200, 200, 429} {
		resp := get(t, g, "/", "", want)
		if got := resp.Header.Get("RateLimit-Policy"); !strings.HasPrefix(got, `"day";q=2048;qu="content-bytes";w=86400`) {
			t.Errorf("got %q", got)
		}
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("some other text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{other: "it is no file of quotas", filepath.Join(other, "x"): "cannot make the folder", "/proc/quota": "cannot use /proc/quota"} {
		_, err := gatewaytest.Start(t, "quota: {quotas: 1/day, file: "+path+"}\nroutes: [{match: /**, respond: ok}]")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "quota.file") || !strings.Contains(err.Error(), "file: off") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// TestWhatANearlyUsedUpQuotaSays: it is told once, in a line.
func TestWhatANearlyUsedUpQuotaSays(t *testing.T) {
	g := gatewaytest.New(t, "quota: {quotas: 10/day, warn_at: 50%, file: off}\nroutes: [{match: /**, respond: ok}]")
	for i := range 10 {
		resp := get(t, g, "/", "", 200)
		if warned := resp.Header.Get("Quota-Warning") != ""; warned != (i >= 4) {
			t.Errorf("%d: warned %v", i, warned)
		}
	}
	if n := strings.Count(g.Log(), "a quota is nearly used up"); n != 1 {
		t.Errorf("%d lines", n)
	}
}
