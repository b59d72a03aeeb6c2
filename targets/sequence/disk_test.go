package sequence_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// onDisk is the configuration of a gateway that keeps what it is about in a directory. Services know requests again.
func (s *shop) onDisk(dir, more string) string {
	return s.config(", unknown: repeat", ", unknown: repeat", "", secret+"      disk: "+dir+"\n"+more)
}

// settled asks until there is an answer that stays.
func settled(t *testing.T, url, key string) (resp *http.Response, body string) {
	t.Helper()
	waitFor(t, func() bool {
		var err error
		if resp, body, err = buy(http.DefaultClient, url, key, items); err != nil {
			t.Error(err)
			return true
		}
		return resp.Header.Get("Retry-After") == ""
	})
	return resp, body
}

// TestKilledWithADisk in the middle of each step, and started again: what it did is undone once, the last step first, and the key says so.
func TestKilledWithADisk(t *testing.T) {
	for step, service := range []string{"orders", "stock", "payments"} {
		for _, how := range []string{"before it is done", "after it is done"} {
			t.Run(service+", "+how, func(t *testing.T) {
				t.Parallel()
				s, dir := newShop(t), t.TempDir()
				text := s.onDisk(dir, "      lease: 2s\n")
				p := startProcess(t, text)
				_, first, err := buy(http.DefaultClient, p.url, "before", items)
				if err != nil {
					t.Fatal(err)
				}
				killed := false
				s.fault = func(name string, r *http.Request, _ string) string {
					if name != service || r.Method != "POST" || killed {
						return ""
					}
					killed = true
					p.kill()
					if strings.HasPrefix(how, "after") {
						return "done, reset"
					}
					return "reset"
				}
				if _, _, err := buy(http.DefaultClient, p.url, "k", items); err == nil {
					t.Fatal("it was answered")
				}
				p.kill() // until it has ended, and has given its directory back
				nothingReadableIn(t, dir, "k")
				next := startProcess(t, text)
				resp, body, err := buy(http.DefaultClient, next.url, "k", items)
				if err != nil || resp.StatusCode != 409 || !strings.Contains(body, "idempotency_conflict") {
					t.Errorf("at first: %v %s %v", resp, body, err)
				}
				resp, body = settled(t, next.url, "k")
				told := []string{"order;state=undone, stock;state=waiting, charge;state=waiting", "order;state=undone, stock;state=undone, charge;state=waiting", "order;state=undone, stock;state=undone, charge;state=undone"}[step]
				if resp.StatusCode != 409 || !strings.Contains(body, "was undone") || resp.Header.Get("Cardea-Sequence") != told {
					t.Errorf("after: %d %s %v", resp.StatusCode, body, resp.Header)
				}
				s.undoneInOrder(t, step)
				if resp, body := settled(t, next.url, "before"); resp.StatusCode != 200 || body != first || resp.Header.Get("Idempotency-Replayed") != "true" {
					t.Errorf("what was done before: %d %s, at first %s", resp.StatusCode, body, first)
				}
				if resp, body, err := buy(http.DefaultClient, next.url, "before", `{"items": ["other"]}`); err != nil || resp.StatusCode != 422 {
					t.Errorf("something else with its key: %v %s %v", resp, body, err)
				}
				s.remains(t, "orders stock payments")
				if log := next.log.String(); !strings.Contains(log, "a sequence was abandoned in the middle, and is undone") || !strings.Contains(log, `steps="order;state=`) || strings.Contains(log, "credential-of") {
					t.Errorf("logged %s", log)
				}
			})
		}
	}
}

// undoneInOrder checks that what was done up to a step was undone by one call each, the last first.
func (s *shop) undoneInOrder(t *testing.T, step int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []string
	for _, c := range s.calls {
		if strings.HasPrefix(c, "DELETE ") {
			got = append(got, strings.Split(strings.Fields(c)[1], "/")[0])
		}
	}
	if want := []string{"orders", "stock orders", "payments stock orders"}[step]; strings.Join(got, " ") != want {
		t.Errorf("undone: %q, wanted %q", got, want)
	}
}

// nothingReadableIn looks for what must not stand in a directory.
func nothingReadableIn(t *testing.T, dir, key string) {
	t.Helper()
	all := []byte{}
	for _, name := range journals(t, dir) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	for _, text := range []string{"credential-of-the-client", `"` + key + `"`, "latch", "items", `"id"`, "Bearer"} {
		if bytes.Contains(all, []byte(text)) {
			t.Errorf("%q is in the directory", text)
		}
	}
	if len(all) == 0 {
		t.Error("the directory is empty")
	}
}

func journals(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestKilledWhileItUndoes, what has no key: the next one undoes the rest.
func TestKilledWhileItUndoes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	text := s.onDisk(t.TempDir(), "      lease: 2s\n")
	running, died := make(chan *process, 1), make(chan bool, 2)
	s.fault = func(name string, r *http.Request, _ string) string {
		if len(died) == 0 && name == "payments" && r.Method == "POST" || len(died) == 1 && name == "stock" && r.Method == "DELETE" {
			(<-running).kill()
			died <- true
			return "done, reset"
		}
		return ""
	}
	p := startProcess(t, text)
	running <- p
	if _, err := http.Post(p.url+"/buy", "application/json", strings.NewReader(items)); err == nil {
		t.Fatal("it was answered")
	}
	p.kill() // until it has ended, and has given its directory back
	p = startProcess(t, text)
	running <- p
	waitFor(t, func() bool { return len(died) == 2 })
	p.kill()
	p = startProcess(t, text)
	waitFor(t, func() bool { return strings.Contains(p.log.String(), "an abandoned sequence has ended") })
	s.remains(t, "")
	p.kill()
	p = startProcess(t, text)
	if resp, body := settled(t, p.url, "another"); resp.StatusCode != 200 {
		t.Errorf("then %d %s", resp.StatusCode, body)
	}
	if log := p.log.String(); strings.Contains(log, "abandoned") {
		t.Errorf("it is undone once more: %s", log)
	}
}

// TestRandomDeathsWithADisk of one gateway, with services that fail: in the end each order is there with its reservation and its charge, or none of the three; and
// what a client was told is so.
func TestRandomDeathsWithADisk(t *testing.T) {
	s := newShop(t)
	text := s.onDisk(t.TempDir(), "      lease: 1s\n      store_timeout: 500ms\n")
	s.fault = func(_ string, r *http.Request, _ string) string {
		time.Sleep(rand.N(30 * time.Millisecond)) // deaths come in the middle
		if r.Method == "POST" && rand.N(12) == 0 {
			return []string{"reset", "done, reset", "500", "done, 500", "409", "garbage"}[rand.N(6)]
		}
		return ""
	}
	f := &farm{all: []*process{startProcess(t, text)}}
	client := &http.Client{Timeout: 30 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	const workers, each = 10, 15
	ends := make(chan bought, workers*each)
	var work, death sync.WaitGroup
	for w := range workers {
		work.Go(func() {
			for i := range each {
				ends <- s.insist(t, f, client, fmt.Sprintf("%d-%d", w, i))
			}
		})
	}
	stop := make(chan struct{})
	death.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100*time.Millisecond + rand.N(600*time.Millisecond)):
			}
			f.any().kill()
			next := startProcess(t, text)
			f.mu.Lock()
			f.all[0] = next
			f.mu.Unlock()
		}
	})
	work.Wait()
	close(stop)
	death.Wait()
	close(ends)
	s.heal()
	waitFor(t, func() bool { return s.whole() })
	s.agrees(t, f, client, ends)
}

// whole says whether there is nothing by halves.
func (s *shop) whole() bool {
	return len(s.live("orders")) == len(s.live("stock")) && len(s.live("stock")) == len(s.live("payments"))
}

// TestADamagedDirectory is refused, and says where; what was cut off at the end is left away.
func TestADamagedDirectory(t *testing.T) {
	s, dir := newShop(t), t.TempDir()
	text := s.onDisk(dir, "")
	g := gatewaytest.New(t, text)
	g.Do("POST", "/buy", items, "Idempotency-Key: a")
	g.Do("POST", "/buy", items, "Idempotency-Key: b")
	if _, err := gatewaytest.Start(t, text); err == nil || !strings.Contains(err.Error(), "another gateway uses it") || !strings.Contains(err.Error(), "disk:") {
		t.Errorf("a second gateway: %v", err)
	}
	g.Shutdown(t.Context())
	name := journals(t, dir)[0]
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)/2] ^= 1
	for what, test := range map[string]struct {
		content []byte
		want    string
	}{"damaged": {damaged, "is damaged at byte"}, "of something else": {[]byte("listen: :8080\nroutes: []\n"), "is no journal"}} {
		if err := os.WriteFile(name, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := gatewaytest.Start(t, text); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.WriteFile(name, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	h := gatewaytest.New(t, text)
	if !strings.Contains(h.Log(), "was not written whole") {
		t.Errorf("logged %s", h.Log())
	}
	if resp, body := h.Do("POST", "/buy", items, "Idempotency-Key: a"); resp.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

// heal ends what fails.
func (s *shop) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = nil
}

// TestAnotherSecret for what was abandoned: the gateway does not give it up, and says what is lacking.
func TestAnotherSecret(t *testing.T) {
	t.Parallel()
	s, dir := newShop(t), t.TempDir()
	text := s.onDisk(dir, "      lease: 1s\n      store_timeout: 900ms\n")
	p := startProcess(t, text)
	s.dieInStock(t, p)
	p.kill() // until it has ended, and has given its directory back
	s.heal()
	other := strings.Replace(text, secret, strings.Replace(secret, "0123", "3210", 1), 1)
	if _, err := gatewaytest.Start(t, other); err == nil || !strings.Contains(err.Error(), "1 sequences of the route that were abandoned in "+dir+" are sealed with another secret") || strings.Contains(err.Error(), "3210456789") {
		t.Errorf("got %v", err)
	}
	both := strings.Replace(text, secret, "      secret: [3210456789abcdef0123456789abcdef, 0123456789abcdef0123456789abcdef]\n", 1)
	g := gatewaytest.New(t, both)
	if resp, body := settled(t, g.URL, "k"); resp.StatusCode != 409 || !strings.Contains(body, "was undone") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	s.remains(t, "")
	g.Shutdown(t.Context())
	g = gatewaytest.New(t, other)
	if resp, body := settled(t, g.URL, "k"); resp.StatusCode != 409 || !strings.Contains(body, "was undone") {
		t.Errorf("with the new one alone: %d %s", resp.StatusCode, body)
	}
}

// TestOtherStepsOnDisk cannot undo what others did: after a while it is given up, and told of.
func TestOtherStepsOnDisk(t *testing.T) {
	t.Parallel()
	s, dir := newShop(t), t.TempDir()
	text := s.onDisk(dir, "      lease: 1s\n      store_timeout: 900ms\n")
	p := startProcess(t, text)
	s.dieInStock(t, p)
	p.kill() // until it has ended, and has given its directory back
	g := gatewaytest.New(t, strings.Replace(text, "DELETE stock", "PUT stock", 1))
	waitFor(t, func() bool { return abandoned(t, g) == 1 })
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k"); resp.StatusCode != 409 || !strings.Contains(body, "idempotency_conflict") {
		t.Errorf("meanwhile: %d %s", resp.StatusCode, body)
	}
	waitFor(t, func() bool { return strings.Contains(g.Log(), "a sequence was abandoned, and cannot be undone") })
	resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k", "Authorization: Bearer credential-of-the-client")
	if resp.StatusCode != 409 || !strings.Contains(body, "sequence_unknown") || resp.Header.Get("Cardea-Sequence") != "order;state=done, stock;state=unknown, charge;state=waiting" {
		t.Errorf("got %d %s %v", resp.StatusCode, body, resp.Header)
	}
}

// TestReloadsWithADisk: sequences that are under way come to their end, and what is known of keys stays, whether the directory is called by another name, or is taken
// away and given back.
func TestReloadsWithADisk(t *testing.T) {
	s, dir := newShop(t), t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	text := s.onDisk(dir, "")
	g := gatewaytest.New(t, text)
	reached, goOn := make(chan bool), make(chan bool)
	s.fault = func(name string, r *http.Request, _ string) string {
		if name == "payments" {
			reached <- true
			<-goOn
		}
		return ""
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k"); resp.StatusCode != 200 {
			t.Errorf("got %d %s", resp.StatusCode, body)
		}
	})
	<-reached
	if err := g.SetConfig(s.onDisk(link, "      lease: 20s\n")); err != nil {
		t.Fatal(err)
	}
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k"); resp.StatusCode != 409 || !strings.Contains(body, "under way") {
		t.Errorf("meanwhile: %d %s", resp.StatusCode, body)
	}
	goOn <- true
	wg.Wait()
	s.heal()
	for _, next := range []string{text, s.config("", "", "", ""), text} {
		if err := g.SetConfig(next); err != nil {
			t.Fatal(err)
		}
		if resp, _ := g.Do("POST", "/buy", items, "Idempotency-Key: k"); resp.StatusCode != 200 || strings.Contains(next, "disk") != (resp.Header.Get("Idempotency-Replayed") == "true") {
			t.Errorf("got %d %v", resp.StatusCode, resp.Header)
		}
	}
}

// TestSequencesShareADirectory of one gateway, by their routes.
func TestSequencesShareADirectory(t *testing.T) {
	s, dir := newShop(t), t.TempDir()
	text := s.onDisk(dir, "")
	i := strings.Index(text, "  - match: /buy")
	g := gatewaytest.New(t, text+strings.Replace(text[i:], "/buy", "/order", 1))
	orders := map[string]bool{}
	for range 2 {
		for _, path := range []string{"/buy", "/order"} {
			resp, body := g.Do("POST", path, items, "Idempotency-Key: k")
			var answer struct{ Order struct{ ID string } }
			if err := json.Unmarshal([]byte(body), &answer); err != nil || resp.StatusCode != 200 {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			orders[answer.Order.ID] = true
		}
	}
	if len(orders) != 2 || s.count("POST") != "2 2 2" {
		t.Errorf("there are %v, by %s", orders, s.count("POST"))
	}
}

// TestSettingsOfTheDisk that do not go together.
func TestSettingsOfTheDisk(t *testing.T) {
	s, file := newShop(t), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for more, want := range map[string]string{
		"      disk: x\n": "say with which `secret`",
		"      disk: x\n      store: redis://r\n" + secret: "either on a disk or in a `store`",
		"      disk: off\n" + secret:                       "write ./off",
		"      disk: " + file + "\n" + secret:              "cannot make the directory " + file,
		"      disk: /proc\n" + secret:                     "cannot be written here",
	} {
		if _, err := gatewaytest.Start(t, s.config("", "", "", more)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("%s: %v", more, err)
		}
	}
}

// BenchmarkDisk is as BenchmarkShared, with a directory: one after the other, and many at once.
func BenchmarkDisk(b *testing.B) {
	s := newShop(b)
	g := gatewaytest.New(b, s.onDisk(b.TempDir(), ""))
	do := func(key string) {
		req, _ := http.NewRequest("POST", g.URL+"/buy", strings.NewReader(items))
		req.Header.Set("Idempotency-Key", key)
		resp, err := g.Client.Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Error(resp, err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	b.Run("alone", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			do(fmt.Sprint("a", b.N, n))
		}
	})
	b.Run("together", func(b *testing.B) {
		b.SetParallelism(16)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				do(fmt.Sprint("b", rand.Uint64()))
			}
		})
	})
}
