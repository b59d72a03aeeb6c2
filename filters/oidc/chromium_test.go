package oidc_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// chromium is a real browser without a window, driven by the DevTools protocol.
type chromium struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
	id   int
}

// startChromium starts a browser. It ends with the test.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("the test needs chromium: run scripts/deps chromium")
	}
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
		"--remote-debugging-port=0", "--user-data-dir="+dir, "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+dir)
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &chromium{t: t, ctx: ctx}
	read := make(chan struct{})
	t.Cleanup(func() {
		if c.conn != nil {
			_, _ = c.try("", "Browser.close", nil)
			_ = c.conn.CloseNow()
		}
		cancel()
		<-read
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	address := make(chan string, 1)
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(errs); lines.Scan(); {
			if _, found, ok := strings.Cut(lines.Text(), "DevTools listening on "); ok {
				address <- found
			}
		}
	}()
	select {
	case at := <-address:
		if c.conn, _, err = websocket.Dial(ctx, at, nil); err != nil {
			t.Fatal(err)
		}
		c.conn.SetReadLimit(16 << 20)
	case <-ctx.Done():
		t.Fatal("chromium does not start")
	}
	return c
}

// try sends a command and waits for its answer.
func (c *chromium) try(session, method string, params any) (json.RawMessage, error) {
	c.id++
	message := map[string]any{"id": c.id, "method": method, "params": params}
	if params == nil {
		message["params"] = map[string]any{}
	}
	if session != "" {
		message["sessionId"] = session
	}
	text, _ := json.Marshal(message)
	if err := c.conn.Write(c.ctx, websocket.MessageText, text); err != nil {
		return nil, err
	}
	for {
		_, text, err := c.conn.Read(c.ctx)
		if err != nil {
			return nil, err
		}
		var answer struct {
			ID     int             `json:"id"`
			Result json.RawMessage `json:"result"`
			Error  *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return nil, err
		}
		if answer.ID != c.id {
			continue // an event
		}
		if answer.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, answer.Error.Message)
		}
		return answer.Result, nil
	}
}

// tab is a tab of the browser.
type tab struct {
	*chromium
	session string
}

// open opens a tab at a page.
func (c *chromium) open(address string) *tab {
	c.t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	c.must("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		ID string `json:"sessionId"`
	}
	c.must("", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	b := &tab{c, attached.ID}
	b.must(b.session, "Page.enable", nil, nil)
	b.navigate(address)
	return b
}

func (b *tab) navigate(address string) {
	b.t.Helper()
	b.must(b.session, "Page.navigate", map[string]any{"url": address}, nil)
}

func (c *chromium) must(session, method string, params, result any) {
	c.t.Helper()
	raw, err := c.try(session, method, params)
	if err != nil {
		c.t.Fatal(err)
	}
	if result != nil {
		if err := json.Unmarshal(raw, result); err != nil {
			c.t.Fatal(err)
		}
	}
}

// eval runs a script in the page. It returns "" while there is none, as between two.
func (b *tab) eval(script string) string {
	raw, err := b.try(b.session, "Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true})
	if err != nil {
		if b.ctx.Err() != nil {
			b.t.Fatal(err)
		}
		return ""
	}
	var out struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprint(out.Result.Value)
}

// wait waits until a script gives true.
func (b *tab) wait(what, script string) {
	b.t.Helper()
	for end := time.Now().Add(20 * time.Second); b.eval("(() => Boolean("+script+"))()") != "true"; {
		if time.Now().After(end) {
			b.t.Fatalf("%s: the browser is at %s\n%s", what, b.eval("location.href"), b.eval("document.documentElement.outerHTML"))
		}
	}
}

// fill fills the provider's form in.
func (b *tab) fill() {
	b.t.Helper()
	b.wait("the login", `document.readyState == "complete" && document.querySelector("#password")`)
	b.eval(`document.querySelector("#username").value = "test-user@127.0.0.1"; document.querySelector("#password").value = "verysecure"; document.querySelector("form").submit()`)
}

// shows waits until the tab is at a page of the upstream's.
func (b *tab) shows(address string) {
	b.t.Helper()
	b.wait("the page "+address, fmt.Sprintf(`document.readyState == "complete" && location.href == %q && document.body.innerText.includes("\"URL\"")`, address))
}

// cookies are the names of the browser's cookies, in order.
func (b *tab) cookies() []string {
	b.t.Helper()
	var out struct {
		Cookies []struct {
			Name string `json:"name"`
		} `json:"cookies"`
	}
	b.must(b.session, "Network.getCookies", nil, &out)
	var names []string
	for _, c := range out.Cookies {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// certificate makes a certificate for localhost, and its key, as files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestARealBrowserByHTTPS(t *testing.T) {
	s := newSite(t, "secret: "+secret)
	cert, key := certificate(t)
	text := fmt.Sprintf("listen: [{address: '127.0.0.1:0', tls: {cert: %q, key: %q}}]\n", cert, key) + fmt.Sprintf(s.text, "secret: "+secret+", after_logout: /app/bye") +
		"  - {match: /app/bye, respond: See you.}\n"
	s.Gateway = second(t, text, s)
	base := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	s.idp.register(base+"/app/.oidc/callback", base+"/app/bye")
	b := startChromium(t).open(base + "/app/x")
	b.fill()
	b.shows(base + "/app/x")
	if got := b.cookies(); len(got) != 1 || !strings.HasPrefix(got[0], "__Host-oidc-") || strings.Contains(got[0], "login") {
		t.Errorf("the browser has %q", got)
	}
	b.navigate(base + "/app/.oidc/logout")
	b.wait("the page after the logout", `document.body.innerText.includes("See you.")`)
	if got := b.cookies(); len(got) != 0 {
		t.Errorf("after the logout the browser has %q", got)
	}
}

func TestARealBrowser(t *testing.T) {
	s := newSite(t, "secret: "+secret+", after_logout: /app/bye")
	c := startChromium(t)
	one, two := c.open(s.URL+"/app/reports?year=2026#top"), c.open(s.URL+"/app/two")
	two.fill()
	two.shows(s.URL + "/app/two")
	one.fill() // its login had begun before the other ended
	one.wait("the deep link", `location.href.includes("/app/reports?year=2026") && document.body.innerText.includes("id1")`)
	if text := one.eval("document.body.innerText"); strings.Contains(text, "oidc-") {
		t.Errorf("the upstream gets the session: %s", text)
	}
	if script := one.eval("document.cookie"); script != "" {
		t.Errorf("scripts see %q", script)
	}
	if got := one.eval(`fetch("/app/data").then(r => String(r.status))`); got != "200" {
		t.Errorf("a script of the page gets %s", got)
	}

	three := c.open(s.URL + "/app/three") // logged in already
	three.shows(s.URL + "/app/three")

	s.clock.forward(4*time.Minute + 45*time.Second)
	if got := one.eval(`Promise.all(Array.from({length: 12}, (_, i) => fetch("/app/data?" + i))).then(all => all.map(r => r.status).join())`); got != strings.Repeat("200,", 11)+"200" {
		t.Errorf("a page's requests get %s", got)
	}
	if n := s.idp.refreshes(); n != "1" {
		t.Errorf("%s refresh tokens were used", n)
	}

	if status, body := s.backchannel(s.logoutToken(`"sub":"id1"`)); status != 200 {
		t.Fatalf("got %d %s", status, body)
	}
	if got := one.eval(`fetch("/app/data").then(r => r.status + " " + r.headers.get("www-authenticate"))`); !strings.HasPrefix(got, "401 Cookie") {
		t.Errorf("after the back-channel logout a script gets %s", got)
	}
	two.navigate(s.URL + "/app/again")
	two.fill()
	two.shows(s.URL + "/app/again")
	two.navigate(s.URL + "/app/.oidc/logout")
	two.wait("the provider's login, for the page after the logout is behind the policy", `document.querySelector("#password")`)
}
