package authenticate_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/filters/authenticate"
	"cardea.dev/cardea/gatewaytest"
)

func TestExamplesOfTheManual(t *testing.T) {
	filtertest.Examples[authenticate.Config](t, "authenticate", 3)
}

const config = `
consumers:
  acme: {keys: [acme-key-0123456789]}
  guest: {tags: {plan: free}}
`

func TestOptional(t *testing.T) {
	g := gatewaytest.New(t, config+`
api_key: {}
headers: {response: {set: {X-Who: "{identity} {identity.method}"}}}
routes:
  - {match: /must, respond: ok}
  - {match: /may, respond: ok, authenticate: {optional: true}}
  - {match: /guest, respond: ok, authenticate: {anonymous: guest}}
  - {match: /open, respond: ok, api_key: off}
`)
	for path, want := range map[string][2]string{
		"/must": {"401", "acme api_key"}, "/may": {"", "acme api_key"}, "/guest": {"guest anonymous", "acme api_key"}, "/open": {"", ""},
	} {
		resp, _ := g.Get(path)
		without := who(resp)
		if resp.StatusCode == 401 {
			without = "401"
			if resp.Header.Get("Www-Authenticate") != "ApiKey" {
				t.Errorf("%s: challenge %q", path, resp.Header.Get("Www-Authenticate"))
			}
		}
		resp, _ = g.Get(path, "X-API-Key: acme-key-0123456789")
		with := who(resp)
		if without != want[0] || with != want[1] {
			t.Errorf("%s: %q without, %q with a key", path, without, with)
		}
		if resp, _ := g.Get(path, "X-API-Key: wrong"); path != "/open" && resp.StatusCode != 401 {
			t.Errorf("%s with a wrong key: %s", path, resp.Status)
		}
	}
}

// who is what a response says of the caller.
func who(resp *http.Response) string { return resp.Header.Get("X-Who") }

func TestGuardedDoor(t *testing.T) {
	g := gatewaytest.New(t, config+`
guard: 3/min
api_key: {}
routes:
  - {match: /**, respond: hello}
`)
	for range 3 {
		if resp, _ := g.Get("/", "X-API-Key: wrong"); resp.StatusCode != 401 {
			t.Fatal(resp.Status)
		}
	}
	if resp, _ := g.Get("/", "X-API-Key: acme-key-0123456789"); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after three wrong keys: %s", resp.Status)
	}
	if err := g.SetConfig(config + "guard: 3/min\nroutes: [{match: /**, respond: hi}]"); err != nil {
		t.Fatal(err)
	}
	if resp, _ := g.Get("/"); resp.StatusCode != 429 {
		t.Errorf("after a reload: %s", resp.Status)
	}
}

func TestRefusedConfig(t *testing.T) {
	for _, text := range []string{"some", "{anonymous: nobody}", "{optinal: true}"} {
		if _, err := authenticate.Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func TestExplain(t *testing.T) {
	f, err := authenticate.Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, "{require: any, optional: true}"))
	if err != nil {
		t.Fatal(err)
	}
	want := filter.Verdict{Action: filter.Passes, Note: "one authentication policy must accept the request, if it has any credentials"}
	if got := f.Explain(nil); got != want {
		t.Errorf("%+v", got)
	}
}

// TestKeysInQueriesAreNotLogged has keys in a parameter whose name says nothing.
func TestKeysInQueriesAreNotLogged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	g := gatewaytest.New(t, config+`
log: `+file+`
api_key: query.K
routes: [{match: /**, respond: ok}]
`)
	for _, query := range []string{"a=1&K=acme-key-0123456789", "%4b=acme-key-0123456789&a=2", "K=acme-key-wrong"} {
		g.Get("/?" + query)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	g.Shutdown(ctx)
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") != 3 || strings.Contains(string(text), "acme-key") || !strings.Contains(string(text), "a=1&K=***") {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestFailuresAreCountedByReason counts what is found, by route and policy.
func TestFailuresAreCountedByReason(t *testing.T) {
	g := gatewaytest.New(t, config+`
guard: 2/min
routes: [{name: r, match: /**, respond: ok, api_key: {}}]
`)
	for _, key := range []string{"", "acme-key-0123456789", "wrong", "wrong", "acme-key-0123456789"} {
		g.Get("/", "X-API-Key: "+key)
	}
	w := httptest.NewRecorder()
	g.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`cardea_authentications_total{policy="api_key",result="absent",route="r"} 1`,
		`cardea_authentications_total{policy="api_key",result="accepted",route="r"} 1`,
		`cardea_authentications_total{policy="api_key",result="api_key_invalid",route="r"} 2`,
		`cardea_guard_blocks_total{route="r"} 1`, `cardea_guard_refusals_total{route="r"} 1`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
}
