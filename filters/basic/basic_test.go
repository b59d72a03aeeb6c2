package basic

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// hashed is a cheap hash.
func hashed(t testing.TB, pass string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(pass), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func basicField(name, pass string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+pass))
}

// built is a policy, and the filter that it is behind.
func built(t testing.TB, env *filter.Env, text string) *filter.Filter {
	t.Helper()
	f, err := Kind().Build(env, filtertest.Parse(t, "basic: "+text).Field("basic"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func exchange(fields ...string) *filter.Exchange {
	r := httptest.NewRequest("GET", "/", nil)
	if len(fields) > 0 {
		r.Header["Authorization"] = fields
	}
	ex := &filter.Exchange{Request: r, Client: netip.MustParseAddr("192.0.2.1"), Start: time.Now()}
	ex.Prepare(4)
	return ex
}

// found says what a request gets.
func found(f *filter.Filter, ex *filter.Exchange) string {
	if err := f.Request(ex); err != nil {
		e := filter.AsError(err)
		return fmt.Sprintf("%s: %v", e.Code, e.Cause)
	}
	return ex.Identity.String()
}

func TestWhoIsAccepted(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	env.Consumers = filtertest.Consumers(t, fmt.Sprintf(`{acme: {password: %q, groups: [partners]}, nopass: {}}`, hashed(t, "rockets")))
	file := "# operators\n\nbob:" + hashed(t, "built it") + "\r\nada:" + hashed(t, "not hers") + "\n"
	if err := os.WriteFile(filepath.Join(env.Dir, "users"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	f := built(t, env, fmt.Sprintf(`{file: users, users: {ada: %q, "zoë": %q}, consumers: true, groups: {admins: [ada], staff: [ada, bob]}}`,
		hashed(t, "love:lace"), hashed(t, "ключ")))
	for _, c := range []struct{ want, field string }{
		{"subject ada, groups admins, staff", basicField("ada", "love:lace")},
		{"subject ada, groups admins, staff", strings.Replace(basicField("ada", "love:lace"), "Basic", "bASIC ", 1)},
		{"subject bob, groups staff", basicField("bob", "built it")},
		{"subject zoë", basicField("zoë", "ключ")},
		{"subject acme, consumer acme, groups partners", basicField("acme", "rockets")},
		{"password_invalid: the password of ada is wrong", basicField("ada", "not hers")}, // the file comes after
		{"password_invalid: the password of ada is wrong", basicField("ada", "")},
		{`password_invalid: there is no consumer "nopass" with a password`, basicField("nopass", "")},
		{`password_invalid: there is no consumer "Ada" with a password`, basicField("Ada", "love:lace")},
		{`password_invalid: there is no consumer "" with a password`, basicField("", "x")},
		{"password_invalid: there is no colon between a user name and a password", "Basic YWRh"},
		{"password_invalid: what is after Basic is not base64", "Basic *"},
		{"password_invalid: what is after Basic is not base64", "Basic YWRhOmI"},
		{"password_invalid: what is after Basic is not base64", "Basic YWRhOmI= x"},
		{"password_invalid: there is nothing after Basic", "Basic"},
		{"password_invalid: there is nothing after Basic", "Basic "},
		{"password_invalid: the user name or the password has control characters", basicField("ada", "love:lace\x00")},
		{"password_invalid: the user name or the password has control characters", basicField("a\nda", "x")},
		{"password_invalid: the user name or the password is not UTF-8", basicField("ada", "\xff")},
		{"password_invalid: the user name has 3 bytes and the password 1025, and no more than 1024 are taken", basicField("ada", strings.Repeat("x", 1025))},
		{"password_invalid: the credentials have 133340 characters, which is too many", basicField("ada", strings.Repeat("x", 100000))},
		{"credentials_missing: basic: the request has no credentials for it", "Bearer " + strings.Repeat("x", 40)},
		{"credentials_missing: basic: the request has no credentials for it", "Basically x"},
	} {
		for range 2 { // the second time it is remembered
			ex := exchange(c.field)
			if got := found(f, ex); got != c.want {
				t.Errorf("%.80s: got %s, want %s", c.field, got, c.want)
			}
			if left := ex.Request.Header.Get("Authorization"); strings.HasPrefix(strings.ToLower(left), "basic ") {
				t.Errorf("%.80s: the upstream would get it", c.field)
			}
		}
	}
	two := exchange(basicField("bob", "built it"), "Bearer x")
	if got := found(f, two); !strings.Contains(got, "several fields") {
		t.Error(got)
	}
	if got := found(f, exchange()); !strings.HasPrefix(got, "credentials_missing") {
		t.Error(got)
	}
}

func TestChallenge(t *testing.T) {
	f := built(t, filtertest.NewEnv(t, "r"), `{realm: 'The "A\B" team'}`)
	err := filter.AsError(f.Request(exchange()))
	if got, want := err.Header.Get("Www-Authenticate"), `Basic realm="The \"A\\B\" team", charset="UTF-8"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOnlyThoseThatAreNamed(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	env.Consumers = filtertest.Consumers(t, fmt.Sprintf(`{acme: {password: %q}}`, hashed(t, "rockets")))
	ada := fmt.Sprintf("{users: {ada: %q}}", hashed(t, "x"))
	if got := found(built(t, env, ada), exchange(basicField("acme", "rockets"))); got != `password_invalid: there is no user "acme"` {
		t.Error(got)
	}
	env = filtertest.NewEnv(t, "r")
	env.Consumers = filtertest.Consumers(t, fmt.Sprintf(`{acme: {password: %q}}`, hashed(t, "rockets")))
	f := built(t, env, "{forward: true}")
	ex := exchange(basicField("acme", "rockets"))
	if got := found(f, ex); got != "subject acme, consumer acme" || ex.Request.Header.Get("Authorization") == "" {
		t.Error(got, ex.Request.Header)
	}
}

func TestFileIsReadAgain(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	name := filepath.Join(env.Dir, "users")
	write := func(pass string) {
		if err := os.WriteFile(name, []byte("ada:"+hashed(t, pass)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	now := time.Now()
	p := &policy{checks: newChecks(), remember: time.Hour, now: func() time.Time { return now }}
	if err := p.gather(env, &Config{File: "users"}); err != nil {
		t.Fatal(err)
	}
	ask := func(pass string) bool {
		id, err := p.authenticate(exchange(basicField("ada", pass)))
		return id != nil && err == nil
	}
	if first, again := ask("one"), ask("one"); !first || !again || ask("two") {
		t.Error("the first password is not the one")
	}
	write("two")
	now = now.Add(2 * time.Second)
	if ask("one") || !ask("two") { // though "one" is remembered
		t.Error("the changed password does not count")
	}
}

func TestWrongConfigurations(t *testing.T) {
	good := "$2b$05$fQwBnKDXkrzPWzhMMbNuYO/gTrnqfYhEY/cZYcAf1VxfTwPjTgDEm"
	for text, want := range map[string]string{
		"none":                             "no such file",
		"apr":                              "apr:2: user bob: this is an APR1 (MD5) hash",
		"sha":                              "sha:1: user bob: this is an SHA-1 hash",
		"plain":                            "plain:1: expected USER:HASH",
		"twice":                            "twice:2: the user ada is there twice",
		"{users: {ada: secret-password}}":  "user ada: this is not the hash of a password",
		"{users: {'a:b': '" + good + "'}}": "has a colon",
		"{consumers: false}":               "nobody has a password",
		"{groups: {a: [b]}}":               "groups of their own",
		"{remember: 2h}":                   "0 to 1h",
		"{realm: \"a\\nb\"}":               "control characters",
	} {
		env := filtertest.NewEnv(t, "r")
		env.Dir = t.TempDir()
		for name, content := range map[string]string{
			"apr": "ada:" + good + "\nbob:$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00\n", "sha": "bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "plain": "ada",
			"twice": "ada:" + good + "\nada:" + good,
		} {
			if err := os.WriteFile(filepath.Join(env.Dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Kind().Build(env, filtertest.Parse(t, "basic: "+text).Field("basic"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "secret-password") || strings.Contains(err.Error(), "lZL6V")) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestExplainKeepsNothing(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	f := built(t, env, fmt.Sprintf("{users: {ada: %q}}", hashed(t, "x")))
	kept, _ := filter.Keep(env, "basic:checks", func() (*checks, error) { return nil, errors.New("there are none") })
	ex := exchange(basicField("ada", "x"))
	ex.Dry = true
	if v := f.Explain(ex); v.Action != filter.Passes || v.Note != "accepted: subject ada" || len(kept.known) != 0 {
		t.Errorf("got %v, and %d are remembered", v, len(kept.known))
	}
	for range cap(kept.places) {
		kept.places <- struct{}{}
	}
	ex = exchange(basicField("ada", "x"))
	ex.Dry = true
	if v := f.Explain(ex); v.Action != filter.Unknown {
		t.Errorf("got %v while nothing could be checked", v)
	}
}

func TestRememberedAreBounded(t *testing.T) {
	c := newChecks()
	now := time.Now()
	for i := range maxKnown + 100 {
		c.remember(fingerprint{byte(i), byte(i >> 8), byte(i >> 16)}, now, time.Minute)
	}
	if len(c.known) > maxKnown {
		t.Errorf("%d are remembered", len(c.known))
	}
	last := fingerprint{1, 2, 3, 4}
	c.remember(last, now, time.Minute)
	if !c.remembers(last, now) || c.remembers(last, now.Add(time.Minute)) || c.remembers(fingerprint{9, 9, 9, 9}, now) {
		t.Error("it remembers wrongly")
	}
}

func TestFingerprintsDiffer(t *testing.T) {
	c := newChecks()
	seen := map[fingerprint]string{}
	for _, parts := range [][3]string{{"a", "bc", "d"}, {"ab", "c", "d"}, {"a", "b", "cd"}, {"", "abcd", ""}, {"a", "bc", "e"}} {
		s := c.scratch.Get().(*scratch)
		f := s.print([]byte(parts[0]), []byte(parts[1]), parts[2])
		if other, ok := seen[f]; ok {
			t.Errorf("%q is as %s", parts, other)
		}
		seen[f] = fmt.Sprint(parts)
		if again := s.print([]byte(parts[0]), []byte(parts[1]), parts[2]); again != f {
			t.Error("it is another one the second time")
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecks()
		for range cap(c.places) {
			c.places <- struct{}{} // checks that never end
		}
		for addresses, want := range map[int]map[filter.Code]int{
			5:   {filter.TooManyFailures: 200 - 5*maxEach, filter.AuthUnavailable: 5 * maxEach},
			200: {filter.AuthUnavailable: 200},
		} {
			var mu sync.Mutex
			counts, atOnce := map[filter.Code]int{}, 0
			var all sync.WaitGroup
			began := time.Now()
			for i := range 200 {
				all.Go(func() {
					err := c.enter(context.Background(), netip.AddrFrom4([4]byte{192, 0, 2, byte(i % addresses)}))
					mu.Lock()
					defer mu.Unlock()
					counts[filter.AsError(err).Code]++
					if time.Since(began) == 0 {
						atOnce++
					}
				})
			}
			all.Wait()
			if diff := cmp.Diff(want, counts); diff != "" {
				t.Errorf("%d addresses: (-want +got)\n%s", addresses, diff)
			}
			if waited := 200 - atOnce; waited != min(maxQueue, addresses*maxEach) || time.Since(began) != maxWait || len(c.queued) != 0 || c.total != 0 {
				t.Errorf("%d waited for %s, and %d still do from %v", waited, time.Since(began), c.total, c.queued)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := filter.AsError(c.enter(ctx, netip.Addr{})); err.Code != filter.ClientClosed {
			t.Errorf("a client that has left: %v", err)
		}
		<-c.places
		if err := c.enter(context.Background(), netip.Addr{}); err != nil {
			t.Error(err)
		}
	})
}

// TestUnknownUsersCostTheSame counts on bcrypt's cost: a look-up alone takes microseconds.
func TestUnknownUsersCostTheSame(t *testing.T) {
	h, err := bcrypt.GenerateFromPassword([]byte("x"), 9)
	if err != nil {
		t.Fatal(err)
	}
	f := built(t, filtertest.NewEnv(t, "r"), fmt.Sprintf("{users: {ada: %q}}", h))
	took := func(name string) time.Duration {
		best := time.Hour
		for range 5 {
			began := time.Now()
			_ = f.Request(exchange(basicField(name, "wrong")))
			best = min(best, time.Since(began))
		}
		return best
	}
	known, unknown := took("ada"), took("eve")
	if unknown < known/3 || known < unknown/3 {
		t.Errorf("a known user takes %s and an unknown one %s", known, unknown)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("YWRhOmI=")
	f.Add("Og==")
	c := newChecks()
	f.Fuzz(func(t *testing.T, encoded string) {
		if _, _, err := credentials([]string{"Basic " + encoded}); err != nil {
			return
		}
		s := c.scratch.Get().(*scratch)
		name, pass, err := s.decode(strings.Trim(encoded, " "))
		if err == nil && (strings.ContainsAny(string(name), ":\x00\r\n") || strings.ContainsAny(string(pass), "\x00\r\n")) {
			t.Errorf("%q gives %q and %q", encoded, name, pass)
		}
		c.scratch.Put(s)
	})
}

// again is a request whose password is remembered.
func again(t testing.TB) func() {
	f := built(t, filtertest.NewEnv(t, "r"), fmt.Sprintf("{users: {ada: %q}}", hashed(t, "love:lace")))
	ex := exchange()
	values := []string{basicField("ada", "love:lace")}
	return func() {
		ex.Identity = nil
		ex.Request.Header["Authorization"] = values
		if err := f.Request(ex); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkRemembered(b *testing.B) {
	run := again(b)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

func BenchmarkAbsent(b *testing.B) {
	ex := exchange()
	ex.Request.Header = http.Header{}
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = credentials(ex.Request.Header["Authorization"])
	}
}
