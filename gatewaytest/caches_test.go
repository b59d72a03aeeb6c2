package gatewaytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
)

// drawer is a cache of a foreign policy. What is in it is fixed, and it notes its purges.
type drawer struct {
	name   string
	stored []filter.StoredInfo
	purges []filter.Purge
	fails  bool
}

func (d *drawer) ResponseCache() filter.CacheInfo {
	return filter.CacheInfo{Name: d.name, Store: "memory", Objects: int64(len(d.stored)), Bytes: 10, Limit: 100, PurgeMark: uint64(len(d.purges))}
}

func (d *drawer) Purge(_ context.Context, p filter.Purge) (filter.Purged, error) {
	if d.fails {
		return filter.Purged{}, errors.New("the store is away")
	}
	d.purges = append(d.purges, p)
	return filter.Purged{Seq: uint64(len(d.purges))}, nil
}

func (d *drawer) Look(_ context.Context, url string, n int) ([]filter.StoredInfo, error) {
	if d.fails {
		return nil, errors.New("the store is away")
	}
	return d.find(n, func(s filter.StoredInfo) bool { return s.URL == url }), nil
}

func (d *drawer) List(prefix string, n int) []filter.StoredInfo {
	return d.find(n, func(s filter.StoredInfo) bool { return strings.HasPrefix(s.URL, prefix) })
}

func (d *drawer) find(n int, wanted func(filter.StoredInfo) bool) (found []filter.StoredInfo) {
	for _, s := range d.stored {
		if len(found) < n && wanted(s) {
			found = append(found, s)
		}
	}
	return found
}

// drawerKind is a policy that keeps caches, for tests of what operators see.
func drawerKind(drawers ...*drawer) filter.Kind {
	return filter.Define("drawer", filter.Cache, func(env *filter.Env, _ *struct {
		// On has no meaning.
		On bool `yaml:"on,short"`
	},
	) (*filter.Filter, error) {
		for _, d := range drawers {
			if _, err := filter.Keep(env, d.name, func() (*drawer, error) { return d, nil }); err != nil {
				return nil, err
			}
		}
		return &filter.Filter{}, nil
	})
}

// adminCall asks the admin API of a gateway under test.
func adminCall(t *testing.T, g *gatewaytest.Gateway, method, path, body string, fields ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+g.AdminAddr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if name, value, ok := strings.Cut(f, ": "); ok {
			r.Header.Set(name, value)
		}
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

func TestOperatorsSeeCaches(t *testing.T) {
	shop := &drawer{name: "shop", stored: []filter.StoredInfo{
		{URL: "https://h/a", Key: "GET https://h/a", Where: "memory"},
		{URL: "https://h/a", Key: "GET https://h/a\nvary=accept-language:de", Where: "memory"},
		{URL: "http://h/b?x=1", Key: "GET http://h/b?x=1", Where: "disk"},
	}}
	g := gatewaytest.New(t, "admin: 127.0.0.1:0\ndrawer: true\nroutes: [{match: /**, respond: ok}]", drawerKind(shop, &drawer{name: "api"}))
	_, body := adminCall(t, g, "GET", "/caches", "")
	var all struct{ Caches []filter.CacheInfo }
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatal(err)
	}
	info := func(name string, objects int64) filter.CacheInfo {
		return filter.CacheInfo{Name: name, Store: "memory", Objects: objects, Bytes: 10, Limit: 100}
	}
	if diff := cmp.Diff([]filter.CacheInfo{info("api", 0), info("shop", 3)}, all.Caches); diff != "" {
		t.Error(diff)
	}
	for query, want := range map[string]string{
		"look?url=https://H:443/a":              "shop GET https://h/a, shop GET https://h/a\nvary=accept-language:de",
		"look?url=http://h:8080/a":              "shop GET https://h/a, shop GET https://h/a\nvary=accept-language:de",
		"look?url=https://h/a&n=1":              "shop GET https://h/a",
		"look?url=https://h/a&cache=api":        "",
		"look?url=https://h/b":                  "",
		"look?url=https://h/b%3Fx=1":            "shop GET http://h/b?x=1",
		"objects":                               "shop GET https://h/a, shop GET https://h/a\nvary=accept-language:de, shop GET http://h/b?x=1",
		"objects?n=1":                           "shop GET https://h/a",
		"objects?prefix=https://h/b":            "shop GET http://h/b?x=1",
		"objects?prefix=https://h/b&cache=api":  "",
		"objects?prefix=https://h&cache=shop":   "shop GET https://h/a, shop GET https://h/a\nvary=accept-language:de, shop GET http://h/b?x=1",
		"objects?prefix=https://elsewhere/&n=5": "",
	} {
		status, body := adminCall(t, g, "GET", "/caches/"+query, "")
		var found struct {
			Objects []struct{ Cache, Key string }
		}
		if err := json.Unmarshal([]byte(body), &found); err != nil || status != 200 || found.Objects == nil {
			t.Fatalf("%s: %d %s: %v", query, status, body, err)
		}
		var got []string
		for _, o := range found.Objects {
			got = append(got, o.Cache+" "+o.Key)
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%s: got %q, want %q", query, text, want)
		}
	}
}

func TestOperatorsPurge(t *testing.T) {
	shop, api := &drawer{name: "shop"}, &drawer{name: "api"}
	g := gatewaytest.New(t, "admin: 127.0.0.1:0\ndrawer: true\nroutes: [{match: /**, respond: ok}]", drawerKind(shop, api))
	form := "Content-Type: application/x-www-form-urlencoded"
	for _, c := range []struct {
		query, body string
		shop, api   filter.Purge
		field       string
	}{
		{"", `{"url": "HTTPS://h:443/a"}`, filter.Purge{URL: "HTTPS://h:443/a"}, filter.Purge{URL: "HTTPS://h:443/a"}, ""},
		{"", `{"prefix": "https://h", "soft": true, "cache": "shop"}`, filter.Purge{Prefix: "https://h", Soft: true}, filter.Purge{}, ""},
		{"", ` {"tag": "a", "all": false}`, filter.Purge{Tag: "a"}, filter.Purge{Tag: "a"}, form},
		{"", "all=true&cache=api", filter.Purge{}, filter.Purge{All: true}, form},
		{"?tag=a&soft=1", "", filter.Purge{Tag: "a", Soft: true}, filter.Purge{Tag: "a", Soft: true}, ""},
		{"?cache=shop", "tag=b", filter.Purge{Tag: "b"}, filter.Purge{}, form},
	} {
		shop.purges, api.purges = nil, nil
		status, body := adminCall(t, g, "POST", "/caches/purge"+c.query, c.body, c.field)
		if status != 200 || !strings.Contains(body, `"ok": true`) {
			t.Errorf("%s %s: %d %s", c.query, c.body, status, body)
		}
		for d, want := range map[*drawer]filter.Purge{shop: c.shop, api: c.api} {
			var expected []filter.Purge
			if want != (filter.Purge{}) {
				expected = []filter.Purge{want}
			}
			if diff := cmp.Diff(expected, d.purges); diff != "" {
				t.Errorf("%s %s, %s: %s", c.query, c.body, d.name, diff)
			}
		}
	}
	if _, body := adminCall(t, g, "POST", "/caches/purge", `{"url": "HTTPS://h:443/a"}`); !strings.Contains(body, `"url": "https://h/a"`) || !strings.Contains(body, `"cache": "api"`) || !strings.Contains(body, `"seq": 2`) {
		t.Errorf("it does not say what was purged: %s", body)
	}
	if log := g.Log(); !strings.Contains(log, `msg="a cache was purged" cache=shop what="all that begins with https://h/" soft=true seq=1 shared=false from=127.0.0.1`) {
		t.Errorf("the log says\n%s", log)
	}
}

func TestBadQuestionsAboutCaches(t *testing.T) {
	shop := &drawer{name: "shop"}
	g := gatewaytest.New(t, "admin: 127.0.0.1:0\ndrawer: true\nroutes: [{match: /**, respond: ok}]", drawerKind(shop, &drawer{name: "away", fails: true}))
	for _, c := range []struct {
		method, path, body string
		fields             []string
		status             int
		want               string
	}{
		{"POST", "purge", "", nil, 400, "expected one of url, prefix, tag and all"},
		{"POST", "purge", "{}", nil, 400, "nothing to purge is given"},
		{"POST", "purge", `{"url": "https://h/", "tag": "a"}`, nil, 400, "tag and url are given"},
		{"POST", "purge", `{"tga": "a"}`, nil, 400, `did you mean \"tag\"?`},
		{"POST", "purge", `{"tag": "a"`, nil, 400, "the JSON cannot be read"},
		{"POST", "purge", `{"tag": "a"} {"tag": "b"}`, nil, 400, "the JSON cannot be read"},
		{"POST", "purge", `{"tag": ["a"]}`, nil, 400, "tag is of type array, expected string"},
		{"POST", "purge", `{"all": "yes"}`, nil, 400, "all is of type string, expected bool"},
		{"POST", "purge?all=yes", "", nil, 400, `all is \"yes\", expected true or false`},
		{"POST", "purge?tag=a&tag=b", "", nil, 400, "tag is given 2 times"},
		{"POST", "purge", "tag=%zz", nil, 400, "neither a JSON object nor a form"},
		{"POST", "purge", `{"url": "/a"}`, nil, 400, "no whole URL"},
		{"POST", "purge", `{"prefix": "ftp://h/"}`, nil, 400, "no whole URL"},
		{"POST", "purge", `{"tag": "a", "cache": "shpo"}`, nil, 404, `There is no cache \"shpo\". Did you mean \"shop\"?`},
		{"POST", "purge", `{"tag": "a"}`, nil, 503, `Cannot purge the cache \"away\": the store is away`},
		{"POST", "purge", `{"tag": "a"}`, []string{"Sec-Fetch-Site: cross-site"}, 403, ""},
		{"GET", "purge?tag=a", "", nil, 405, ""},
		{"GET", "look", "", nil, 400, "url=https://host/path is wanted"},
		{"GET", "look?url=h/a", "", nil, 400, "no whole URL"},
		{"GET", "look?url=https://h/&n=0", "", nil, 400, "n is from 1 to 1000"},
		{"GET", "look?url=https://h/&cache=shp", "", nil, 404, `Did you mean \"shop\"?`},
		{"GET", "look?url=https://h/", "", nil, 503, "Cannot look into the cache"},
		{"GET", "objects?n=1001", "", nil, 400, "n is from 1 to 1000"},
		{"GET", "objects?prefix=h", "", nil, 400, "no whole URL"},
		{"GET", "objects?cache=x", "", nil, 404, "unknown_cache"},
	} {
		if status, body := adminCall(t, g, c.method, "/caches/"+c.path, c.body, c.fields...); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %.60s %.30s: got %d %s, want %d %s", c.method, c.path, c.body, status, body, c.status, c.want)
		}
	}
	if diff := cmp.Diff([]filter.Purge{{Tag: "a"}}, shop.purges); diff != "" {
		t.Errorf("where one cache is away the other is purged, and by nothing else: %s", diff)
	}
	empty := gatewaytest.New(t, "admin: {address: 127.0.0.1:0, token: 0123456789abcdef0123}\nroutes: [{match: /**, respond: ok}]")
	token := "Authorization: Bearer 0123456789abcdef0123"
	if status, body := adminCall(t, empty, "POST", "/caches/purge", `{"all": true}`, token); status != 404 || !strings.Contains(body, "no route has the policy") {
		t.Errorf("without a cache: %d %s", status, body)
	}
	if status, body := adminCall(t, empty, "GET", "/caches", "", token); status != 200 || !strings.Contains(body, `"caches": []`) {
		t.Errorf("without a cache: %d %s", status, body)
	}
	for _, path := range []string{"GET /caches", "GET /caches/look?url=https://h/", "GET /caches/objects", "POST /caches/purge?all=true"} {
		method, path, _ := strings.Cut(path, " ")
		if status, _ := adminCall(t, empty, method, path, ""); status != 401 {
			t.Errorf("%s without the token: %d", fmt.Sprint(method, " ", path), status)
		}
	}
}
