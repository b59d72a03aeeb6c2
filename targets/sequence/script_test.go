package sequence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/journal"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/redis/redistest"
)

// party is a gateway that asks the store by hand.
type party struct {
	t *testing.T
	*shared
}

func newParty(t *testing.T, url, digest string, secrets ...config.Secret) *party {
	t.Helper()
	server, err := redis.New(url)
	if err != nil {
		t.Fatal(err)
	}
	st := newRemote(server, slog.New(slog.NewTextHandler(io.Discard, nil)), func() {})
	t.Cleanup(func() { _, _ = st.Close(), server.Close() })
	return newPartyAt(t, st, digest, secrets...)
}

// stores runs a test with each store. A party comes to the same one whatever its steps and secrets.
func stores(t *testing.T, test func(t *testing.T, party func(digest string, secrets ...config.Secret) *party)) {
	t.Run("remote", func(t *testing.T) {
		r := redistest.Start(t)
		test(t, func(digest string, secrets ...config.Secret) *party { return newParty(t, r.URL(), digest, secrets...) })
	})
	t.Run("disk", func(t *testing.T) {
		d := newDisk(t, t.TempDir())
		test(t, func(digest string, secrets ...config.Secret) *party { return newPartyAt(t, d, digest, secrets...) })
	})
}

func newDisk(t *testing.T, dir string) *disk {
	t.Helper()
	d, err := openDisk(dir, slog.New(slog.NewTextHandler(t.Output(), nil)), func() {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func newPartyAt(t *testing.T, st store, digest string, secrets ...config.Secret) *party {
	t.Helper()
	sealer, err := newSealer(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return &party{t: t, shared: &shared{
		store: st, place: placeOf("x"), digest: digest, timeout: 5 * time.Second, lease: time.Minute, sealer: sealer, lacks: "their store cannot be reached", abandoned: prometheus.NewGauge(prometheus.GaugeOpts{Name: "x"}),
	}}
}

// said is an answer of the store, or its error.
func said(err error, words ...string) string {
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

func (p *party) claimed(id, token, head string) string {
	word, text, err := p.store.claim(p.t.Context(), p.shared, &claim{id: id, token: token, fingerprint: "print", progress: "a;state=waiting", head: head})
	return said(err, word, text)
}

func (p *party) noted(id, token string, version int, fields ...string) string {
	word, err := p.store.note(p.t.Context(), p.shared, id, token, version, fields...)
	return said(err, word)
}

func (p *party) finished(id, token string, how ending, answer string) string {
	word, err := p.store.finish(p.t.Context(), p.shared, &finish{id, token, how, 10 * time.Minute, "a;state=done", answer})
	return said(err, word)
}

func (p *party) yielded(id, token string) {
	p.t.Helper()
	if err := p.store.yield(p.t.Context(), p.shared, id, token); err != nil {
		p.t.Error(err)
	}
}

func (p *party) took(id, token string) string {
	word, fields, err := p.store.take(p.t.Context(), p.shared, id, token)
	progress := fields["p"]
	if word == "taken" && fields["h"] != "" {
		progress += fmt.Sprintf(" h=%s n0=%s n1=%s", fields["h"], fields["n0"], fields["n1"])
	}
	return said(err, word, progress)
}

func (p *party) listed() string {
	abandoned, ids, err := p.store.list(p.t.Context(), p.shared, lookedAt)
	return said(err, fmt.Sprint(abandoned), strings.Join(ids, " "))
}

func (p *party) want(what, got, want string) {
	p.t.Helper()
	if got != want {
		p.t.Errorf("%s: got %q, wanted %q", what, got, want)
	}
}

// TestCompleteStays: the gateway that was not told that the store knows asks again, while somebody has asked with the same key; and asking once more that comes to
// nothing does not have the store forget.
func TestCompleteStays(t *testing.T) {
	stores(t, func(t *testing.T, party func(digest string, secrets ...config.Secret) *party) {
		p := party("steps", "secret")
		p.want("begin", p.claimed("id", "one", "head"), "new")
		p.want("end", p.finished("id", "one", complete, ""), "ok")
		p.want("another", p.claimed("id", "two", ""), "again")
		p.want("the end, told once more", p.finished("id", "one", complete, ""), "ok")
		p.want("not told in time", p.finished("id", "two", nothing, ""), "ok")
		p.want("a third", p.claimed("id", "three", "head"), "again")
		p.want("the end of the first, told much later", p.finished("id", "one", complete, ""), "ok")
		p.want("somebody else", p.finished("id", "four", complete, ""), "gone")
		p.want("the end of the third", p.finished("id", "three", complete, "answer"), "ok")
		p.want("a fourth", p.claimed("id", "four", "head"), "kept answer")
	})
}

// TestLateNotes of the journal: an earlier one, that comes after a later one, changes nothing.
func TestLateNotes(t *testing.T) {
	stores(t, func(t *testing.T, party func(digest string, secrets ...config.Secret) *party) {
		p := party("steps", "secret")
		p.want("begin", p.claimed("id", "one", "head"), "new")
		for _, note := range []struct {
			version int
			fields  []string
		}{{1, []string{"n0", "first"}}, {0, nil}, {2, []string{"n0", "second"}}, {1, []string{"n0", "first"}}, {2, []string{"n1", "third"}}} {
			p.want(fmt.Sprint(note), p.noted("id", "one", note.version, note.fields...), "ok")
		}
		p.yielded("id", "one")
		p.want("what is known", p.took("id", "two"), "taken a;state=waiting h=head n0=second n1=third")
		p.want("a note of the one before", p.noted("id", "one", 3, "n0", "fourth"), "gone")
	})
}

// TestTakingTwice: the answer to the first time was lost.
func TestTakingTwice(t *testing.T) {
	stores(t, func(t *testing.T, party func(digest string, secrets ...config.Secret) *party) {
		p := party("steps", "secret")
		for id, head := range map[string]string{"with": "head", "without": ""} {
			p.want(id, p.claimed(id, "one", head), "new")
			p.yielded(id, "one")
		}
		for range 2 {
			if got := p.took("with", "two"); !strings.HasPrefix(got, "taken") {
				t.Errorf("with a journal: %q", got)
			}
			p.want("without a journal", p.took("without", "two"), "lost a;state=waiting")
		}
		p.want("another takes it", p.took("with", "three"), "none")
		p.want("another takes it", p.took("without", "three"), "none")
		p.want("the gateway was alive", p.finished("without", "one", complete, ""), "ok")
		p.want("the gateway was alive", p.finished("with", "one", complete, ""), "gone")
	})
}

// TestYielding leaves what a gateway cannot undo any more, since it has other steps now, to one that can.
func TestYielding(t *testing.T) {
	stores(t, func(t *testing.T, party func(digest string, secrets ...config.Secret) *party) {
		before, after := party("steps", "secret"), party("other steps", "secret")
		before.want("begin", before.claimed("id", "one", "head"), "new")
		before.yielded("id", "one")
		after.want("what it sees", after.listed(), "1")
		after.want("what it takes", after.took("id", "two"), "none")
		before.want("what the other sees", before.listed(), "1 id")
		before.want("what the other takes", before.took("id", "three"), "taken a;state=waiting h=head n0= n1=")
	})
}

// TestLongAbandoned is forgotten on a disk, too, after a week without a sign of life; what is still renewed is not.
func TestLongAbandoned(t *testing.T) {
	d := newDisk(t, t.TempDir())
	p := newPartyAt(t, d, "steps", "secret")
	for _, id := range []string{"alive", "dead"} {
		p.want(id, p.claimed(id, "one", "head"), "new")
		if _, err := ask(t.Context(), d, func(tx *journal.Tx[record]) bool {
			old := tx.Get(p.record(id)).Head
			old.Seen = time.Now().Add(-abandonedLife - time.Minute).Unix()
			tx.Add(p.record(id), old, time.Time{})
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	p.yielded("dead", "one")
	p.want("list", p.listed(), "0")
	p.want("dead", p.noted("dead", "one", 0), "gone")
	p.want("alive", p.noted("alive", "one", 0), "ok")
}

// TestASlowDisk: who has not waited for it has begun nothing.
func TestASlowDisk(t *testing.T) {
	d := newDisk(t, t.TempDir())
	late := 0
	d.failed = func() { late++ }
	p := newPartyAt(t, d, "steps", "secret")
	goOn, slow := make(chan bool), make(chan bool)
	go func() {
		_, _ = ask(context.Background(), d, func(*journal.Tx[record]) bool { slow <- true; return <-goOn })
	}()
	<-slow
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if word, _, err := d.claim(ctx, p.shared, &claim{id: "id", token: "one", fingerprint: "print"}); word != "" || !errors.Is(err, context.DeadlineExceeded) || late != 1 {
		t.Errorf("got %q %v, and %d failures", word, err, late)
	}
	goOn <- true
	p.want("another", p.claimed("id", "two", "head"), "new")
}

// TestUnreadable: what is under a damaged file of a disk is an error, and is taken by nobody.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	d := newDisk(t, dir)
	p := newPartyAt(t, d, "steps", "secret")
	p.want("begin", p.claimed("id", "one", "head"), "new")
	p.yielded("id", "one")
	names, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if err := os.Truncate(names[0], 20); err != nil {
		t.Fatal(err)
	}
	if got := p.took("id", "two"); !strings.Contains(got, "cannot read the journal") {
		t.Errorf("got %q", got)
	}
	p.want("list", p.listed(), "1 id")
}

// TestAFullStore takes nothing new, and lets what runs come to its end.
func TestAFullStore(t *testing.T) {
	r := redistest.Start(t)
	p := newParty(t, r.URL(), "steps", "secret")
	p.want("begin", p.claimed("id", "one", "head"), "new")
	r.Must("CONFIG", "SET", "maxmemory", "1")
	if got := p.claimed("other", "two", "head"); !strings.Contains(got, "OOM") {
		t.Errorf("begins: %q", got)
	}
	if keys := r.Must("KEYS", "*other"); strings.Contains(keys, "other") {
		t.Errorf("there is %q", keys)
	}
	p.want("a note", p.noted("id", "one", 1, "n0", "x"), "ok")
	p.want("a renewal", p.noted("id", "one", 0), "ok")
	p.want("the end", p.finished("id", "one", complete, "answer"), "ok")
}

// TestNothingIsBegunByHalves where the set is none: no record is left, which would refuse the next request.
func TestNothingIsBegunByHalves(t *testing.T) {
	r := redistest.Start(t)
	p := newParty(t, r.URL(), "steps", "secret")
	r.Must("SET", index(p.shared), "x")
	if got := p.claimed("id", "one", "head"); !strings.Contains(got, "WRONGTYPE") {
		t.Errorf("got %q", got)
	}
	if exists := r.Must("EXISTS", p.record("id")); !strings.Contains(exists, "0") {
		t.Errorf("there is a record: %q", exists)
	}
}

// TestWhatIsForOthers: journals of other steps, or of another secret, are left to gateways that have them, however many there are, and are counted.
func TestWhatIsForOthers(t *testing.T) {
	r := redistest.Start(t)
	mine, others, rotated := newParty(t, r.URL(), "steps", "secret", "old"), newParty(t, r.URL(), "other steps", "secret"), newParty(t, r.URL(), "steps", "new")
	r.Must("SET", mine.record("poison"), "no hash")
	r.Must("ZADD", index(mine.shared), "0", "poison")
	abandon := func(p *party, id string) {
		p.want(id, p.claimed(id, "one", "head"), "new")
		r.Must("HSET", p.record(id), "l", fmt.Sprint(time.Now().Add(-time.Second).UnixMilli())) // the lease has ended right now
		r.Must("ZADD", index(p.shared), "0", id)
	}
	for i := range 2 * lookedAt {
		abandon([]*party{others, rotated}[i%2], fmt.Sprintf("a%d", i))
	}
	abandon(newParty(t, r.URL(), "steps", "old"), "z")
	listed := func(p *party) string {
		words := strings.Fields(p.listed())
		return fmt.Sprintf("%s %d %s", words[0], len(words)-1, words[len(words)-1])
	}
	mine.want("mine", listed(mine), "201 2 z")
	if got := listed(others); !strings.HasPrefix(got, "201 100 a") {
		t.Errorf("others: %q", got)
	}
	mine.want("taking one of other steps", mine.took("a0", "two"), "none")
	mine.want("taking one of another secret", mine.took("a1", "two"), "none")
	if got := mine.took("z", "two"); !strings.HasPrefix(got, "taken") {
		t.Errorf("mine: %q", got)
	}
}

// TestScriptsInACluster: all that they look at is in one place.
func TestScriptsInACluster(t *testing.T) {
	t.Parallel()
	url, _ := redistest.Cluster(t)
	p := newParty(t, url, "steps", "secret")
	for range 2 {
		p.want("begin", p.claimed("id", "one", "head"), "new")
		p.want("a note", p.noted("id", "one", 1, "n0", "x"), "ok")
		p.yielded("id", "one")
		p.want("list", p.listed(), "1 id")
		if got := p.took("id", "two"); !strings.HasPrefix(got, "taken") {
			t.Errorf("take: %q", got)
		}
		p.want("end", p.finished("id", "two", nothing, ""), "ok")
	}
}

// TestPanicsOfRecoveries end in an error: one sequence must not end all gateways.
func TestPanicsOfRecoveries(t *testing.T) {
	r := redistest.Start(t)
	p := newParty(t, r.URL(), "steps", "secret")
	id := strings.Repeat("0", 64)
	sealed, err := p.pack(&head{Method: "POST", URL: "/"}, id, "h")
	if err != nil {
		t.Fatal(err)
	}
	s := &sequence{shared: p.shared, log: slog.New(slog.NewTextHandler(io.Discard, nil))} // it lacks all that it needs
	if err := p.undo(s, &hold{of: p.shared, id: id}, map[string]string{"h": sealed}); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("got %v", err)
	}
	if err := p.undo(s, &hold{of: p.shared, id: id}, map[string]string{"h": sealed[1:]}); !errors.Is(err, errSealed) {
		t.Errorf("got %v", err)
	}
}

// TestExplainWithoutTheStore says what requests would get.
func TestExplainWithoutTheStore(t *testing.T) {
	r := redistest.Start(t)
	p := newParty(t, r.URL(), "steps")
	r.Kill()
	if got := p.claimed("id", "one", ""); !strings.Contains(got, "cannot be reached") {
		t.Fatalf("got %q", got)
	}
	for local, want := range map[bool]string{false: "keys are shared, but their store cannot be reached: refused with 503", true: "it goes on without"} {
		p.local = local
		s := &sequence{shared: p.shared, shares: "keys are shared"}
		if got := s.Explain(exchange(filtertest.NewEnv(t, "x"), "POST", "")); !strings.Contains(got, want) {
			t.Errorf("got %q", got)
		}
	}
}
