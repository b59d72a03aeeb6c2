package acme_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/internal/redis/redistest"
)

const soon = 50 * time.Millisecond

func TestChallenges(t *testing.T) {
	for _, kind := range []string{"http-01", "tls-alpn-01"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			g := w.gateway(soon, whole(w.acme("[a.example, b.example]", t.TempDir(), "challenges: "+kind, "email: me@a.example")))
			w.reach(g)
			a, b := g.gets("a.example", ""), g.gets("b.example", "")
			if a == b {
				t.Error("one certificate for two names")
			}
			if got := g.serial("other.example"); got != "" {
				t.Errorf("a certificate for a name that has none: %s", got)
			}
			if n := w.orders.Load(); n != 2 {
				t.Errorf("%d orders", n)
			}
			if got := g.metric(`acme_orders_total{domain="a.example",result="ok"}`); got != "1" {
				t.Errorf("orders counted: %q", got)
			}
			if got := g.metric(`acme_certificate_expiry_timestamp_seconds{domain="a.example"}`); got == "0" || got == "" {
				t.Errorf("expiry: %q", got)
			}
		})
	}
}

// hookScript keeps records in a file.
func (w *world) hookScript(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hook")
	script := `#!/bin/sh
set -eu
[ "$1" = -x ] && [ $# = 4 ]
case "$2" in
present) echo "$3 $4" >> '` + w.records + `';;
cleanup) grep -v "^$3 $4\$" '` + w.records + `' > '` + w.records + `.new' || true; mv '` + w.records + `.new' '` + w.records + `';;
esac
`
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestHook(t *testing.T) {
	w := newWorld(t, worldOptions{})
	g := w.gateway(soon, whole(w.acme(`["*.wild.example"]`, t.TempDir(), fmt.Sprintf("dns: {exec: [%q, -x], wait: 1ms}", w.hookScript(t)))))
	g.gets("x.wild.example", "")
	if got := g.serial("x.y.wild.example"); got != "" {
		t.Error("a certificate for a name two labels below")
	}
	eventually(t, "the record is removed", func() bool {
		left, err := os.ReadFile(w.records)
		return err == nil && len(left) == 0
	})
}

func TestHookFails(t *testing.T) {
	w := newWorld(t, worldOptions{})
	file := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(file, []byte("#!/bin/sh\necho no such zone >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	g := w.gateway(time.Hour, whole(w.acme(`[a.example]`, t.TempDir(), fmt.Sprintf("dns: {exec: %q}", file))))
	eventually(t, "the failure is told", func() bool { return strings.Contains(g.log.String(), "no such zone") })
	if log := g.log.String(); !strings.Contains(log, "exit status 3") || !strings.Contains(log, "cannot present the DNS record") {
		t.Error("it is not said what failed")
	}
	slow := filepath.Join(t.TempDir(), "slow")
	if err := os.WriteFile(slow, []byte("#!/bin/sh\nsleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	g.reload(whole(w.acme(`[a.example]`, t.TempDir(), fmt.Sprintf("dns: {exec: %q, timeout: 20ms}", slow))))
	eventually(t, "the slow one is told", func() bool { return strings.Contains(g.log.String(), "it took longer than 20ms") })
}

func TestDomainsOfRoutes(t *testing.T) {
	w := newWorld(t, worldOptions{})
	g := w.gateway(soon, whole(w.acme("[]", t.TempDir())))
	w.reach(g)
	g.gets("routed.example", "")
	g.gets("inner.example", "")
	g.gets("localhost", "") // a private authority can vouch for it
	if n := w.orders.Load(); n != 3 {
		t.Errorf("%d orders", n)
	}
}

func TestRenewal(t *testing.T) {
	w := newWorld(t, worldOptions{validity: 8})
	g := w.gateway(soon, whole(w.acme("[a.example]", t.TempDir())))
	w.reach(g)
	first := g.gets("a.example", "")
	second := g.gets("a.example", first)
	w.down.Store(true) // the last good one goes on serving, even when it has expired
	third := g.serial("a.example")
	eventually(t, "it has expired", func() bool { return strings.Contains(g.log.String(), "it has expired, and goes on serving") })
	if got := g.serial("a.example"); got == "" || got != third && got != second {
		t.Errorf("got %q", got)
	}
	last := g.serial("a.example")
	w.down.Store(false)
	g.gets("a.example", last)
}

func TestAuthorityDownAtStart(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.down.Store(true)
	g := w.gateway(soon, whole(w.acme("[a.example]", t.TempDir())))
	w.reach(g)
	eventually(t, "failures are told and counted", func() bool {
		return strings.Contains(g.log.String(), "cannot get a certificate: there is none for this domain") && g.metric(`acme_failures{domain="a.example"}`) == "2"
	})
	if got := g.serial("a.example"); got != "" {
		t.Error("a certificate from nowhere")
	}
	resp, err := http.Get("http://" + g.plain)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	w.down.Store(false)
	g.gets("a.example", "")
	eventually(t, "no more failures", func() bool { return g.metric(`acme_failures{domain="a.example"}`) == "0" })
}

func TestAuthorityRefuses(t *testing.T) {
	w := newWorld(t, worldOptions{})
	if err := w.db.AddBlockedDomain("blocked.example"); err != nil {
		t.Fatal(err)
	}
	g := w.gateway(time.Hour, whole(w.acme("[blocked.example, a.example]", t.TempDir())))
	w.reach(g)
	g.gets("a.example", "")
	eventually(t, "the refusal is told", func() bool { return strings.Contains(g.log.String(), "rejectedIdentifier") })
	if n := strings.Count(g.log.String(), "the authority refuses"); n != 1 {
		t.Errorf("told %d times", n)
	}
	if got := g.metric(`acme_orders_total{domain="blocked.example",result="failed"}`); got != "1" {
		t.Errorf("counted %q", got)
	}
}

// TestUnreachable has a domain that leads elsewhere.
func TestUnreachable(t *testing.T) {
	w := newWorld(t, worldOptions{})
	g := w.gateway(time.Hour, whole(w.acme("[a.example]", t.TempDir(), "challenges: http-01")))
	w.http.lead("127.0.0.1:1")
	eventually(t, "the reason is told", func() bool { return strings.Contains(g.log.String(), "the authority refuses") })
}

func TestRestart(t *testing.T) {
	w := newWorld(t, worldOptions{})
	storage := t.TempDir()
	text := whole(w.acme("[a.example]", storage))
	g := w.gateway(soon, text)
	w.reach(g)
	serial := g.gets("a.example", "")
	g.Close()
	w.down.Store(true)
	if got := w.gateway(soon, text).serial("a.example"); got != serial {
		t.Errorf("after a restart: %q instead of %q", got, serial)
	}
	if n := w.orders.Load(); n != 1 {
		t.Errorf("%d orders", n)
	}
	err := filepath.Walk(storage, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 && path != storage {
			t.Errorf("%s is open to others: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDamagedStorage(t *testing.T) {
	w := newWorld(t, worldOptions{})
	storage := t.TempDir()
	text := whole(w.acme("[a.example]", storage))
	g := w.gateway(soon, text)
	w.reach(g)
	first := g.gets("a.example", "")
	g.Close()
	files, err := filepath.Glob(filepath.Join(storage, "*", "certificates", "a.example.pem"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], []byte("half of"), 0o600); err != nil {
		t.Fatal(err)
	}
	g = w.gateway(soon, text)
	w.reach(g)
	g.gets("a.example", first)
	if !strings.Contains(g.log.String(), "a stored certificate is got anew") {
		t.Error("it is not told")
	}
}

func TestTwoGateways(t *testing.T) {
	w := newWorld(t, worldOptions{})
	text := whole(w.acme("[a.example, b.example]", t.TempDir()))
	one, two := w.gateway(soon, text), w.gateway(soon, text)
	w.reach(one, two)
	for _, name := range []string{"a.example", "b.example"} {
		if a, b := one.gets(name, ""), two.gets(name, ""); a != b {
			t.Errorf("%s: %s and %s", name, a, b)
		}
	}
	if n := w.orders.Load(); n != 2 {
		t.Errorf("%d orders", n)
	}
}

// TestAnswerForAnother has the authority ask the gateway that did not order.
func TestAnswerForAnother(t *testing.T) {
	for _, kind := range []string{"http-01", "tls-alpn-01"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			text := whole(w.acme("[a.example]", t.TempDir(), "challenges: "+kind))
			w.down.Store(true)
			idle := w.gateway(time.Hour, text)
			w.reach(idle)
			eventually(t, "it has failed", func() bool { return idle.metric(`acme_failures{domain="a.example"}`) == "1" })
			w.down.Store(false)
			w.gateway(soon, text).gets("a.example", "")
		})
	}
}

func TestReloadKeepsWhatRuns(t *testing.T) {
	w := newWorld(t, worldOptions{})
	storage := t.TempDir()
	g := w.gateway(soon, whole(w.acme("[a.example, b.example]", storage)))
	w.reach(g)
	a := g.gets("a.example", "")
	g.gets("b.example", "")
	g.reload(whole(w.acme("[a.example, c.example]", storage)))
	if got := g.serial("a.example"); got != a {
		t.Errorf("another certificate: %s", got)
	}
	if got := g.serial("b.example"); got != "" {
		t.Error("a name that is gone is served")
	}
	g.gets("c.example", "")
	if n := w.orders.Load(); n != 3 {
		t.Errorf("%d orders", n)
	}
	if got := g.metric(`acme_orders_total{domain="b.example",result="ok"}`); got != "" {
		t.Error("a name that is gone is counted")
	}

	// Where certificates are kept changes: the one there is serves until another is there.
	w.down.Store(true)
	g.reload(whole(w.acme("[a.example]", t.TempDir())))
	if got := g.serial("a.example"); got != a {
		t.Errorf("not served meanwhile: %q", got)
	}
	w.down.Store(false)
	g.gets("a.example", a)

	bad := strings.Replace(whole(w.acme("[a.example]", storage)), `address: "127.0.0.1:0"`, `address: "127.0.0.1:1x"`, 1)
	now := g.serial("a.example")
	g.text.Store(bad)
	if _, err := g.Reload(context.Background(), "test"); err == nil {
		t.Error("a wrong configuration was applied")
	}
	if got := g.serial("a.example"); got != now {
		t.Errorf("after a reload that failed: %q", got)
	}
	g.reload("admin: off\nlisten: 127.0.0.1:0\nroutes: [{match: /**, respond: x}]")
	w.gateway(soon, whole(w.acme("[a.example]", storage)))
}

// TestOthersChallenges sees that what is not asked of us goes to routes.
func TestOthersChallenges(t *testing.T) {
	w := newWorld(t, worldOptions{})
	g := w.gateway(soon, whole(w.acme("[a.example]", t.TempDir())))
	w.reach(g)
	g.gets("a.example", "")
	for _, host := range []string{"a.example", "other.example", "../a.example"} {
		for _, path := range []string{"x", "", "../x", strings.Repeat("y", 5000), "%00"} {
			req, err := http.NewRequest("GET", "http://"+g.plain+"/.well-known/acme-challenge/"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if host == "a.example" && path == "x" && string(body) != "from the route" || strings.Contains(string(body), ".pem") {
				t.Errorf("%s %s: %d %s", host, path, resp.StatusCode, body)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestBoundAccount(t *testing.T) {
	w := newWorld(t, worldOptions{eab: true})
	key := base64.RawURLEncoding.EncodeToString([]byte("a secret of thirty-two bytes or so"))
	if err := w.db.AddExternalAccountKeyByID("kid-1", key); err != nil {
		t.Fatal(err)
	}
	storage := t.TempDir()
	g := w.gateway(time.Hour, whole(w.acme("[a.example]", storage)))
	w.reach(g)
	eventually(t, "it is refused without", func() bool { return strings.Contains(g.log.String(), "externalAccountRequired") })
	g.reload(whole(w.acme("[a.example]", storage, "eab: {key_id: kid-1, hmac_key: "+key+"}")))
	g.gets("a.example", "")
	if strings.Contains(g.log.String(), key) {
		t.Error("the key is in the log")
	}
}

func TestTwoGatewaysWithRedis(t *testing.T) {
	w := newWorld(t, worldOptions{})
	store := redistest.New(t, "--requirepass", "sesame")
	text := whole(w.acme("[a.example, b.example]", "redis://:sesame@"+store.Addr))
	one := w.gateway(soon, text)
	eventually(t, "the storage is missed", func() bool {
		return strings.Contains(one.log.String(), "stored certificates cannot be loaded") && one.metric(`acme_failures{domain="a.example"}`) != "0"
	})
	if n := strings.Count(one.log.String(), "stored certificates cannot be loaded"); n != 1 {
		t.Errorf("told %d times", n)
	}
	if n := w.orders.Load(); n != 0 {
		t.Errorf("%d orders for what cannot be kept", n)
	}
	store.Run()
	two := w.gateway(soon, text)
	w.reach(one, two)
	for _, name := range []string{"a.example", "b.example"} {
		if a, b := one.gets(name, ""), two.gets(name, ""); a != b {
			t.Errorf("%s: %s and %s", name, a, b)
		}
	}
	if n := w.orders.Load(); n != 2 {
		t.Errorf("%d orders", n)
	}
	if strings.Contains(one.log.String()+two.log.String(), "sesame") {
		t.Error("the password is in the log")
	}
}

// TestForgottenAccount has an authority that knows nothing of its account any more.
func TestForgottenAccount(t *testing.T) {
	sort := worldOptions{profile: "shortlived", validity: 6 * 24 * 3600}
	w := newWorld(t, sort)
	storage := t.TempDir()
	g := w.gateway(soon, whole(w.acme("[a.example]", storage)))
	w.reach(g)
	a := g.gets("a.example", "")
	w.found(sort)
	g.reload(whole(w.acme("[a.example, b.example]", storage, "profile: shortlived")))
	g.gets("b.example", "")
	if !strings.Contains(g.log.String(), "accountDoesNotExist") {
		t.Error("it is not told")
	}
	if got := g.serial("a.example"); got != a {
		t.Errorf("another certificate: %s", got)
	}
	at, err := strconv.ParseFloat(g.metric(`acme_certificate_expiry_timestamp_seconds{domain="b.example"}`), 64)
	if days := time.Until(time.Unix(int64(at), 0)).Hours() / 24; err != nil || days < 5 || days > 6.1 {
		t.Errorf("it lives for %v days, %v", days, err)
	}
}
