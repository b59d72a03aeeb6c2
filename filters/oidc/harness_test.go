package oidc_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filters/oidc"
	"cardea.dev/cardea/gatewaytest"
)

const secret = "0123456789abcdef0123456789abcdef"

// idp is a provider that runs as a process of its own.
type idp struct {
	t      *testing.T
	issuer string
	cmd    *exec.Cmd
	addr   string
}

// startIDP starts a provider. It ends with the test.
func startIDP(t *testing.T) *idp {
	t.Helper()
	p := &idp{t: t, addr: "127.0.0.1:0"}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *idp) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Getenv("CARDEA_TEST_PROVIDER"), "-addr", p.addr)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.t.Fatalf("the provider does not start: %v", err)
	}
	p.issuer = strings.TrimSpace(line)
	p.addr = strings.Trim(strings.TrimPrefix(p.issuer, "http:"), "/")
}

func (p *idp) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// control turns one of the provider's switches.
func (p *idp) control(path, contentType, body string) string {
	p.t.Helper()
	resp, err := http.Post(p.issuer+"control/"+path, contentType, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		p.t.Fatalf("%s: %d %v", path, resp.StatusCode, err)
	}
	return string(text)
}

// register tells the provider the client's URLs.
func (p *idp) register(redirects, landings string) {
	p.t.Helper()
	p.control("client", "application/x-www-form-urlencoded", url.Values{"redirect": {redirects}, "landing": {landings}}.Encode())
}

// refreshes is how many refresh tokens were used.
func (p *idp) refreshes() string {
	p.t.Helper()
	resp, err := http.Get(p.issuer + "control/refreshes")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return string(text)
}

// seen is what the upstream got.
type seen struct {
	URL    string
	Header http.Header
}

// upstream is a service that says what it got.
func upstream(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(seen{r.URL.String(), r.Header})
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// clock is a clock that can be put forward.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// site is a gateway with the policy, its provider and its upstream.
type site struct {
	*gatewaytest.Gateway
	t     *testing.T
	idp   *idp
	clock *clock
	text  string
}

// newSite starts all three. Settings are further ones of the policy, in YAML's flow style.
func newSite(t *testing.T, settings string) *site {
	t.Helper()
	s := &site{t: t, idp: startIDP(t), clock: &clock{}}
	s.text = fmt.Sprintf(`
upstreams: {app: %q}
routes:
  - match: /app/**
    to: app
    headers: {request: {set: {X-User: "{identity}"}}}
    login: {issuer: %q, client_id: app, client_secret: secret, scopes: [openid, profile, email, offline_access], %%s}
`, upstream(t), s.idp.issuer)
	s.Gateway = gatewaytest.New(t, fmt.Sprintf(s.text, settings), s.kind())
	s.idp.register(s.URL+"/app/.oidc/callback", s.URL+"/app/bye")
	return s
}

func (s *site) kind() filter.Kind { return oidc.KindAt("login", s.clock.now) }

// browser is what a person uses: it keeps cookies and follows redirects.
type browser struct {
	t *testing.T
	*http.Client
	jar *cookiejar.Jar
}

func newBrowser(t *testing.T) *browser {
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, &http.Client{Jar: jar, Transport: transport}, jar}
}

// page is what a browser shows.
type page struct {
	*http.Response
	text string
}

// visit goes to a page, as a person does.
func (b *browser) visit(address string) *page {
	b.t.Helper()
	r, err := http.NewRequest("GET", address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send(r)
}

func (b *browser) send(r *http.Request) *page {
	b.t.Helper()
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "text/html,application/xhtml+xml")
	}
	resp, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &page{resp, string(text)}
}

// still makes the browser follow no redirects.
func (b *browser) still() *browser {
	c := *b.Client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{b.t, &c, b.jar}
}

var loginID = regexp.MustCompile(`name="id" value="([^"]+)"`)

// submit fills the provider's form in.
func (b *browser) submit(form *page) *page {
	b.t.Helper()
	id := loginID.FindStringSubmatch(form.text)
	if id == nil {
		b.t.Fatalf("the browser is not at the login, but at %s: %d\n%s", form.Request.URL, form.StatusCode, form.text)
	}
	body := url.Values{"id": {id[1]}, "username": {"test-user@127.0.0.1"}, "password": {"verysecure"}}.Encode()
	r, err := http.NewRequest("POST", form.Request.URL.Scheme+"://"+form.Request.URL.Host+"/login/username", strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(r)
}

// login goes to a page and logs in on the way.
func (b *browser) login(address string) *page {
	b.t.Helper()
	p := b.submit(b.visit(address))
	if p.StatusCode != 200 || p.Request.URL.String() != address {
		b.t.Fatalf("the login ends at %s: %d\n%s", p.Request.URL, p.StatusCode, p.text)
	}
	return p
}

// seen is what the upstream got.
func (p *page) seen(t *testing.T) seen {
	t.Helper()
	var s seen
	if err := json.Unmarshal([]byte(p.text), &s); err != nil {
		t.Fatalf("the page is not the upstream's: %d %s\n%s", p.StatusCode, p.Request.URL, p.text)
	}
	return s
}

// in says whether a page is the upstream's, and not the login.
func (p *page) in() bool { return p.StatusCode == 200 && strings.HasPrefix(p.text, "{\"URL\"") }

// cookies are the browser's cookies at the gateway.
func (b *browser) cookies(g *gatewaytest.Gateway) []*http.Cookie {
	u, _ := url.Parse(g.URL)
	return b.jar.Cookies(u)
}

// second starts another gateway for a site.
func second(t *testing.T, text string, s *site) *gatewaytest.Gateway {
	t.Helper()
	return gatewaytest.New(t, text, s.kind())
}
