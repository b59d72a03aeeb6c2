package gatewaytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// tally is a limiter of a foreign policy. Its keys are fixed.
type tally struct {
	name  string
	used  map[string]int64
	fails bool
}

func (c *tally) Limiter() filter.LimiterInfo {
	return filter.LimiterInfo{Name: c.name, Policy: "tally", Limit: "10", Per: "all", Store: "memory", Keys: int64(len(c.used))}
}

func (c *tally) Top(int) []filter.KeyUsage {
	var all []filter.KeyUsage
	for key, used := range c.used {
		k := filter.KeyUsage{Key: key, Used: used, Limit: 10}
		if key == "free" {
			k.Limit = 0 // none
		}
		all = append(all, k)
	}
	return all
}

func (c *tally) Reset(_ context.Context, key string) (bool, error) {
	if c.fails {
		return false, errors.New("the store is away")
	}
	_, had := c.used[key]
	delete(c.used, key)
	return had, nil
}

// tallyKind is a policy that keeps limiters, for tests of what operators see.
func tallyKind() filter.Kind {
	return filter.Define("tally", filter.Limit, func(env *filter.Env, _ *struct {
		// On has no meaning.
		On bool `yaml:"on,short"`
	},
	) (*filter.Filter, error) {
		for _, c := range []*tally{
			{name: "tally b", used: map[string]int64{"half": 5, "full": 10, "free": 99}}, {name: "tally a", used: map[string]int64{"one": 1}}, {name: "tally away", fails: true},
		} {
			if _, err := filter.Keep(env, c.name, func() (*tally, error) { return c, nil }); err != nil {
				return nil, err
			}
		}
		return &filter.Filter{}, nil
	})
}

func TestOperatorsSeeLimits(t *testing.T) {
	g := gatewaytest.New(t, "admin: 127.0.0.1:0\ntally: true\nroutes: [{match: /**, respond: ok}]", tallyKind())
	call := func(method, path, body string, fields ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+g.AdminAddr()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			r.Header.Set(name, value)
		}
		resp, err := g.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	_, body := call("GET", "/limits", "")
	var all struct{ Limits []filter.LimiterInfo }
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatal(err)
	}
	info := func(name string, keys int64) filter.LimiterInfo {
		return filter.LimiterInfo{Name: name, Policy: "tally", Limit: "10", Per: "all", Store: "memory", Keys: keys}
	}
	if diff := cmp.Diff([]filter.LimiterInfo{info("tally a", 1), info("tally away", 0), info("tally b", 3)}, all.Limits); diff != "" {
		t.Error(diff)
	}
	top := func(query string) string {
		t.Helper()
		_, body := call("GET", "/limits/top"+query, "")
		var top struct {
			Top []struct {
				Name, Key   string
				Used, Limit int64
			}
		}
		if err := json.Unmarshal([]byte(body), &top); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		var keys []string
		for _, k := range top.Top {
			keys = append(keys, k.Name+" "+k.Key)
		}
		return strings.Join(keys, ", ")
	}
	for query, want := range map[string]string{
		"": "tally b full, tally b half, tally a one, tally b free", "?n=1": "tally b full", "?limit=tally+a": "tally a one", "?limit=tally+away": "", "?n=1&limit=tally+b": "tally b full",
	} {
		if got := top(query); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	form, fromElsewhere := "Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: cross-site"
	for _, c := range []struct {
		method, path, body string
		fields             []string
		status             int
		want               string
	}{
		{"GET", "/limits/top?n=0", "", nil, 400, "n is from 1 to 1000"},
		{"GET", "/limits/top?n=x", "", nil, 400, "n is from 1 to 1000"},
		{"GET", "/limits/top?limit=tally+c", "", nil, 404, `Did you mean \"tally a\"?`},
		{"POST", "/limits/reset", "", nil, 400, "both limit and key are wanted"},
		{"POST", "/limits/reset?limit=tally+a", "", nil, 400, "both limit and key are wanted"},
		{"POST", "/limits/reset", "%zz", []string{form}, 400, "cannot be read"},
		{"POST", "/limits/reset?limit=tally+x&key=one", "", nil, 404, "unknown_limit"},
		{"POST", "/limits/reset?limit=tally+b&key=ful", "", nil, 404, `Did you mean \"full\"?`},
		{"POST", "/limits/reset?limit=tally+away&key=one", "", nil, 503, "the store is away"},
		{"POST", "/limits/reset?limit=tally+b&key=full", "", []string{fromElsewhere}, 403, ""},
		{"GET", "/limits/reset?limit=tally+b&key=full", "", nil, 405, ""},
		{"POST", "/limits/reset?limit=tally+b&key=full", "", nil, 200, `"ok": true`},
		{"POST", "/limits/reset", url.Values{"limit": {"tally a"}, "key": {"one"}}.Encode(), []string{form}, 200, `"key": "one"`},
	} {
		if status, body := call(c.method, c.path, c.body, c.fields...); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %.60s %.30s: got %d %s, want %d %s", c.method, c.path, c.body, status, body, c.status, c.want)
		}
	}
	if got := top(""); got != "tally b half, tally b free" {
		t.Errorf("afterwards there are %s", got)
	}
	if log := g.Log(); strings.Count(log, `msg="a limit was reset"`) != 2 || !strings.Contains(log, `limit="tally b" key=full from=127.0.0.1`) {
		t.Errorf("the log says\n%s", log)
	}
}

// TestLimitsSayWhereTheyAre: in the same words, whatever policy they are of.
func TestLimitsSayWhereTheyAre(t *testing.T) {
	r := redistest.Start(t)
	g := gatewaytest.New(t, fmt.Sprintf(`
admin: 127.0.0.1:0
store: %s
routes:
  - {match: /a, respond: a, rate_limit: 1/min per all, quota: 1/day per all}
  - {match: /b, respond: b, rate_limit: {limits: 1/min per all, mode: approximate}}
  - {match: /c, respond: c, rate_limit: {limits: 1/min per all, store: local}, quota: {quotas: 1/day per all, store: local, file: off}}
`, r.URL()))
	resp, err := g.Client.Get("http://" + g.AdminAddr() + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all struct{ Limits []filter.LimiterInfo }
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, l := range all.Limits {
		got[l.Policy+" "+l.Scope] = l.Store
	}
	want := map[string]string{
		"rate_limit /a": "redis exact", "quota /a": "redis exact", "rate_limit /b": "redis approximate", "rate_limit /c": "memory", "quota /c": "memory",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
