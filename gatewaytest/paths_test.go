package gatewaytest_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// guarded are routes of which one is for staff alone: /admin, but for its one page for all.
func guarded(t *testing.T, paths string, seen chan<- string) *gatewaytest.Gateway {
	t.Helper()
	up := upstream(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("X-Judged") + " " + r.RequestURI })
	return gatewaytest.New(t, `
listen: {address: "127.0.0.1:0", protocols: [http1, h2c], paths: {`+paths+`}}
upstreams: {u: `+up.URL+`}
consumers: {ada: {groups: [staff], keys: [ada-0123456789abcdef]}}
api_key: {}
authenticate: {optional: true}
headers: {request: {set: {X-Judged: "{route}"}}}
routes:
  - {name: public, match: /**, to: u}
  - {name: admin, match: /admin/**, to: u, allow: {groups: [staff]}}
  - {name: help, match: /admin/help, to: u}
  - {name: denied, match: /denied/**, to: u, deny: 'true'}
  - {name: any case, match: '~(?i)^/safe(/.*)?$', to: u, allow: {groups: [staff]}}
  - {name: any end, match: '~(?i)^/win(\.|%20)*(/.*)?$', to: u, allow: {groups: [staff]}}
`)
}

// ask sends a request over a connection that is kept, with a path as it is.
func ask(t *testing.T, g *gatewaytest.Gateway, seen <-chan string, target string) (status int, saw string) {
	t.Helper()
	r, err := http.NewRequest("GET", g.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = "//" + r.URL.Host + target
	resp, err := g.Client.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	select {
	case saw = <-seen:
	default:
	}
	return resp.StatusCode, saw
}

// askRaw sends a request line as it is, and returns the status and what the upstream saw.
func askRaw(t *testing.T, g *gatewaytest.Gateway, seen <-chan string, target string) (status int, saw string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", target); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	select {
	case saw = <-seen:
	default:
	}
	return resp.StatusCode, saw
}

// What a caller without credentials gets, and what the upstream sees, for paths that could be taken for another than they are.
func TestPathsAreJudgedAsTheUpstreamGetsThem(t *testing.T) {
	for name, table := range map[string]struct {
		paths string
		want  map[string]string // by what is asked for: the status, or the route and what the upstream gets
	}{
		"by default": {"", map[string]string{
			"/admin":                      "401",
			"/admin/":                     "401",
			"/admin/secret":               "401",
			"/admin/help":                 "help /admin/help",
			"/admin/help/":                "401",
			"/admin/help/../secret":       "401",
			"/admin/help/%2e%2e/secret":   "401",
			"/admin/help/..%2fsecret":     "400",
			"/admin/help/%2e%2e%2fsecret": "400",
			"/admin/help;/../secret":      "401",
			"/admin/help/..;/secret":      "400",
			"/admin/help%2f..%2fsecret":   "400",
			"/./admin/secret":             "401",
			"/x/../admin/secret":          "401",
			"/x/%2e%2e/admin/secret":      "401",
			"/x/%2E%2E/admin/secret":      "401",
			"/x/.%2e/admin/secret":        "401",
			"/x/..%2fadmin/secret":        "400",
			"/x/..%5cadmin/secret":        "400",
			"/x/..;/admin/secret":         "400",
			"/x/..;a=b/admin/secret":      "400",
			"/x/..%3b/admin/secret":       "400",
			"/x%2f../admin/secret":        "400",
			"/../admin":                   "401",
			"/..":                         "public /",
			"//admin/secret":              "401",
			"///admin///secret":           "401",
			"/%61dmin/secret":             "401",
			"/%61%64%6d%69%6e":            "401",
			"/adm%69n?x=1":                "401",
			"/admin?":                     "401",
			"/admin%3fx":                  "public /admin%3Fx",
			"/admin%23x":                  "public /admin%23x",
			"/\\admin":                    "400",
			"/%5cadmin":                   "400",
			"/x\\..\\admin":               "400",
			"/admin%00":                   "400",
			"/admin%0a":                   "400",
			"/admin\t":                    "400",
			"/%c0%afadmin":                "400",
			"/%c0%ae%c0%ae/admin":         "400",
			"/%u0061dmin":                 "400",
			"/%zz":                        "400",
			"/admin%":                     "400",
			"/%2561dmin":                  "public /%2561dmin",
			"/x/%252e%252e/admin":         "public /x/%252e%252e/admin",
			"/x/%252e%252e%252fadmin":     "public /x/%252e%252e%252fadmin",
			"/admin%2fsecret":             "public /admin%2Fsecret",
			"/admin;x/secret":             "public /admin;x/secret",
			"/admin;/secret":              "public /admin;/secret",
			"/admin%3b/secret":            "public /admin%3B/secret",
			"/admin/secret;x":             "401",
			"/Admin/secret":               "public /Admin/secret",
			"/admin./secret":              "public /admin./secret",
			"/admin.../secret":            "public /admin.../secret",
			"/admin%20/secret":            "public /admin%20/secret",
			"/administrator":              "public /administrator",
			"/denied/x":                   "403",
			"/x/..//denied/./x":           "403",
			"/%64enied":                   "403",
			"/safe":                       "401",
			"/SAFE/x":                     "401",
			"/sAf%65/x":                   "401",
			"/Win./x":                     "401",
			"/win%20/x":                   "401",
			"/win%20.%2e":                 "401",
			"/winx":                       "public /winx",
			"http://h/admin/secret":       "401",
			"http://h//admin/secret":      "401",
			"http://h/x/%2e%2e/admin":     "401",
			"http://h?/admin":             "public /?/admin",
			"admin/secret":                "400",
			"*":                           "400",
		}},
		"strict": {"encoded_slash: reject, semicolon: reject", map[string]string{
			"/admin%2fsecret": "400",
			"/admin;x/secret": "400",
			"/admin%3bx":      "400",
			"/admin/secret;x": "400",
			"/x/..;/admin":    "400",
			"/x/%2e%2e/admin": "401",
			"/x%2f..%2fadmin": "400",
			"/admin/help":     "help /admin/help",
		}},
		"slashes decoded": {"encoded_slash: decode", map[string]string{
			"/admin%2fsecret":           "401",
			"/%2fadmin":                 "401",
			"/x/..%2fadmin":             "401",
			"/x%2f%2e%2e%2fadmin":       "401",
			"/admin/help%2f..%2fsecret": "401",
			"/admin%252fsecret":         "public /admin%252fsecret",
		}},
		"slashes kept apart": {"merge_slashes: false", map[string]string{
			"//admin/secret":      "public //admin/secret",
			"/admin//secret":      "401",
			"/x//../admin/secret": "public /x/admin/secret",
			"/x//../../admin":     "401",
			"/admin/help//../x":   "401",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := make(chan string, 1)
			g := guarded(t, table.paths, seen)
			for target, want := range table.want {
				status, saw := askRaw(t, g, seen, target)
				got := saw
				if status != 200 || saw == "" {
					got = fmt.Sprint(status)
				}
				if got != want {
					t.Errorf("%s: got %q, want %q", target, got, want)
				}
				if status != 200 && saw != "" {
					t.Errorf("%s: refused with %d, and the upstream got %q", target, status, saw)
				}
			}
		})
	}
}

// pieces are what the paths of the next test are made of.
func pieces() []string {
	return []string{"/", "//", "admin", "%61dmin", "Admin", "help", "x", "..", ".", "%2e", "%2E%2e", ".%2e", "%2f", "%5c", ";", ";a=b", "%3b", "%252e", "%25", "...", "%20", "%c3%a9", "~", "secret"}
}

// What the upstream has got, asked for again, is judged by the same route and comes out the same: there is no second reading of a path. And
// who reads it by RFC 3986 finds nothing below /admin that was not judged there.
func TestPathsAreJudgedOnce(t *testing.T) {
	seen := make(chan string, 1)
	g := guarded(t, "", seen)
	random := rand.New(rand.NewPCG(1, 2))
	passed := 0
	for range 3000 {
		target := "/"
		for range 1 + random.IntN(8) {
			target += pieces()[random.IntN(len(pieces()))]
		}
		status, saw := ask(t, g, seen, target)
		if status != 200 {
			continue
		}
		passed++
		route, uri, _ := strings.Cut(saw, " ")
		if _, again := ask(t, g, seen, uri); again != saw {
			t.Errorf("%s: the upstream got %q, and that comes out as %q", target, saw, again)
		}
		if p := resolved(t, uri); route == "public" && (p == "/admin" || strings.HasPrefix(p, "/admin/")) {
			t.Errorf("%s: judged as %s, and the upstream got %s, which is %s", target, route, uri, p)
		}
	}
	if passed < 300 {
		t.Errorf("only %d paths passed", passed)
	}
}

// resolved is a path as a server reads it that follows RFC 3986: segments are told apart, then dot segments resolved, in which %2E is a dot.
func resolved(t *testing.T, uri string) string {
	t.Helper()
	var out []string
	for _, segment := range strings.Split(uri, "/")[1:] {
		s, err := url.PathUnescape(segment)
		if err != nil {
			t.Fatal(err)
		}
		switch s {
		case "", ".":
		case "..":
			out = out[:max(0, len(out)-1)]
		default:
			out = append(out, segment)
		}
	}
	return "/" + strings.Join(out, "/")
}
