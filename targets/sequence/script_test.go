package sequence

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/redis/redistest"
)

// party is a gateway that asks the scripts by hand.
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
	p := &party{t, &shared{place: placeOf("x"), digest: digest, timeout: 5 * time.Second, lease: time.Minute, abandoned: prometheus.NewGauge(prometheus.GaugeOpts{Name: "x"})}}
	if p.sealer, err = newSealer(secrets); err != nil {
		t.Fatal(err)
	}
	p.store = newStore(server, slog.New(slog.NewTextHandler(io.Discard, nil)), func() {})
	t.Cleanup(func() { _, _ = p.store.Close(), server.Close() })
	return p
}

// run runs a script, and returns the first words of its answer.
func (p *party) run(script *rueidis.Lua, keys []string, args ...string) string {
	p.t.Helper()
	answer, err := p.store.ask(p.t.Context(), script, keys, args...)
	if err != nil {
		return err.Error()
	}
	return strings.Join(answer[:min(len(answer), 2)], " ")
}

func (p *party) claimed(id, token, head string) string {
	p.t.Helper()
	return p.run(p.store.scripts.claim, p.keys(id), token, "print", "60000", "600000", p.digest, head, id, "a;state=waiting", p.sealedBy())
}

func (p *party) finished(id, token, how, answer string) string {
	p.t.Helper()
	return p.run(p.store.scripts.finish, p.keys(id), token, how, "600000", "a;state=done", answer, id)
}

func (p *party) took(id, token string) string {
	p.t.Helper()
	return p.run(p.store.scripts.take, p.keys(id), p.rights(token, "60000", p.digest, id, "600000", "100")...)
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
	r := redistest.Start(t)
	p := newParty(t, r.URL(), "steps", "secret")
	p.want("begin", p.claimed("id", "one", "head"), "new")
	p.want("end", p.finished("id", "one", "complete", ""), "ok")
	p.want("another", p.claimed("id", "two", ""), "again")
	p.want("the end, told once more", p.finished("id", "one", "complete", ""), "ok")
	p.want("not told in time", p.finished("id", "two", "nothing", ""), "ok")
	p.want("a third", p.claimed("id", "three", "head"), "again")
	p.want("the end of the first, told much later", p.finished("id", "one", "complete", ""), "ok")
	p.want("somebody else", p.finished("id", "four", "complete", ""), "gone")
	p.want("the end of the third", p.finished("id", "three", "complete", "answer"), "ok")
	p.want("a fourth", p.claimed("id", "four", "head"), "kept answer")
}

// TestLateNotes of the journal: an earlier one, that comes after a later one, changes nothing.
func TestLateNotes(t *testing.T) {
	r := redistest.Start(t)
	p := newParty(t, r.URL(), "steps", "secret")
	p.want("begin", p.claimed("id", "one", "head"), "new")
	for _, note := range []string{"1 n0 first", "0", "2 n0 second", "1 n0 first", "2 n1 third"} {
		p.want(note, p.run(p.store.scripts.note, []string{p.record("id")}, append([]string{"one", "60000", "600000"}, strings.Fields(note)...)...), "ok")
	}
	if got := strings.Fields(r.Must("HMGET", p.record("id"), "n0", "n1")); !strings.Contains(fmt.Sprint(got), "second") || !strings.Contains(fmt.Sprint(got), "third") {
		t.Errorf("the journal has %q", got)
	}
}

// TestTakingTwice: the answer to the first time was lost.
func TestTakingTwice(t *testing.T) {
	r := redistest.Start(t)
	p := newParty(t, r.URL(), "steps", "secret")
	for id, head := range map[string]string{"with": "head", "without": ""} {
		p.want(id, p.claimed(id, "one", head), "new")
		p.want("its end", p.run(p.store.scripts.yield, p.keys(id), "one", id), "ok")
	}
	for range 2 {
		if got := p.took("with", "two"); !strings.HasPrefix(got, "taken") {
			t.Errorf("with a journal: %q", got)
		}
		p.want("without a journal", p.took("without", "two"), "lost a;state=waiting")
	}
	p.want("another takes it", p.took("with", "three"), "none")
	p.want("another takes it", p.took("without", "three"), "none")
	p.want("the gateway was alive", p.finished("without", "one", "complete", ""), "ok")
	p.want("the gateway was alive", p.finished("with", "one", "complete", ""), "gone")
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
	p.want("a note", p.run(p.store.scripts.note, []string{p.record("id")}, "one", "60000", "600000", "1", "n0", "x"), "ok")
	p.want("a renewal", p.run(p.store.scripts.note, []string{p.record("id")}, "one", "60000", "600000", "0"), "ok")
	p.want("the end", p.finished("id", "one", "complete", "answer"), "ok")
}

// TestNothingIsBegunByHalves where the set is none: no record is left, which would refuse the next request.
func TestNothingIsBegunByHalves(t *testing.T) {
	r := redistest.Start(t)
	p := newParty(t, r.URL(), "steps", "secret")
	r.Must("SET", p.index(), "x")
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
	r.Must("ZADD", mine.index(), "0", "poison")
	abandon := func(p *party, id string) {
		p.want(id, p.claimed(id, "one", "head"), "new")
		r.Must("HSET", p.record(id), "l", fmt.Sprint(time.Now().Add(-time.Second).UnixMilli())) // the lease has ended right now
		r.Must("ZADD", p.index(), "0", id)
	}
	for i := range 2 * lookedAt {
		abandon([]*party{others, rotated}[i%2], fmt.Sprintf("a%d", i))
	}
	abandon(newParty(t, r.URL(), "steps", "old"), "z")
	listed := func(p *party) string {
		found, err := p.store.ask(t.Context(), p.store.scripts.list, []string{p.index()}, p.rights(fmt.Sprint(lookedAt), "60000", p.digest, "", "", "")...)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s %d %s", found[0], len(found)-1, found[len(found)-1])
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
		p.want("a note", p.run(p.store.scripts.note, []string{p.record("id")}, "one", "60000", "600000", "1", "n0", "x"), "ok")
		p.want("give up", p.run(p.store.scripts.yield, p.keys("id"), "one", "id"), "ok")
		p.want("list", p.run(p.store.scripts.list, []string{p.index()}, p.rights("100", "60000", p.digest, "", "", "")...), "1 id")
		if got := p.took("id", "two"); !strings.HasPrefix(got, "taken") {
			t.Errorf("take: %q", got)
		}
		p.want("end", p.finished("id", "two", "nothing", ""), "ok")
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
