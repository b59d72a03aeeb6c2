package guard

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "guard", 2) }

// clock is a time that tests set.
type clock struct{ now time.Time }

// newGuard builds the policy with a clock of its own.
func newGuard(t testing.TB, text string) (*guard, *clock) {
	t.Helper()
	c := new(Config)
	if err := filtertest.Parse(t, text).Decode(c); err != nil {
		t.Fatal(err)
	}
	var g *guard
	at := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	g, err := newPolicy(filtertest.NewEnv(t, "r"), c)
	if err != nil {
		t.Fatal(err)
	}
	g.now = func() time.Time { return at.now }
	return g, at
}

// try makes a request that is refused for a reason, unless the guard turns it away.
func try(g *guard, addr string, why error) error {
	ex := &filter.Exchange{Client: netip.MustParseAddr(addr)}
	if err := g.request(ex); err != nil {
		return err
	}
	ex.Err = why
	return g.response(ex)
}

func turnedAway(err error) bool {
	var e *filter.Error
	return errors.As(err, &e) && e.Code == filter.TooManyFailures
}

var wrongKey = filter.Reject(filter.APIKeyInvalid, "")

func TestAnAddressIsTurnedAwayForAWhile(t *testing.T) {
	g, at := newGuard(t, "{failures: 3/min, block: 5m}")
	for i := range 3 {
		if err := try(g, "192.0.2.1", wrongKey); err != nil {
			t.Fatalf("failure %d: %v", i, err)
		}
	}
	err := try(g, "192.0.2.1", nil)
	if !turnedAway(err) || filter.AsError(err).Header.Get("Retry-After") != "300" {
		t.Fatalf("after three failures: %v", err)
	}
	if err := try(g, "192.0.2.2", nil); err != nil {
		t.Errorf("another address: %v", err)
	}
	if v := g.explain(&filter.Exchange{Client: netip.MustParseAddr("192.0.2.1")}); v.Action != filter.Rejects {
		t.Errorf("explain: %+v", v)
	}
	at.now = at.now.Add(5*time.Minute - time.Millisecond)
	if !turnedAway(try(g, "192.0.2.1", nil)) {
		t.Error("it was let in early")
	}
	at.now = at.now.Add(time.Millisecond)
	if err := try(g, "192.0.2.1", nil); err != nil {
		t.Errorf("after the time: %v", err)
	}
}

func TestWhatCounts(t *testing.T) {
	g, _ := newGuard(t, "2/min")
	for range 5 {
		for _, why := range []error{nil, filter.Reject(filter.CredentialsMissing, ""), filter.Reject(filter.AccessDenied, ""), filter.Reject(filter.UpstreamTimeout, "")} {
			if err := try(g, "192.0.2.1", why); err != nil {
				t.Fatalf("%v counted: %v", why, err)
			}
		}
	}
	if !g.table.empty() {
		t.Error("something is remembered")
	}
}

func TestFailuresAreForgotten(t *testing.T) {
	g, at := newGuard(t, "2/min")
	for range 5 {
		if err := try(g, "192.0.2.1", wrongKey); err != nil {
			t.Fatal(err)
		}
		at.now = at.now.Add(time.Minute)
	}
	if err := try(g, "192.0.2.1", nil); err != nil || !g.table.empty() {
		t.Errorf("it is still remembered: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	g, _ := newGuard(t, "{failures: 1/min, except: [10.0.0.0/8]}")
	_ = try(g, "2001:db8::1", wrongKey)
	_ = try(g, "10.1.1.1", wrongKey)
	_ = try(g, "::ffff:192.0.2.9", wrongKey)
	for addr, want := range map[string]bool{"2001:db8::2": true, "2001:db8:0:1::1": false, "10.1.1.1": false, "192.0.2.9": true} {
		if got := turnedAway(try(g, addr, nil)); got != want {
			t.Errorf("%s is turned away: %v", addr, got)
		}
	}
	if err := g.response(&filter.Exchange{Err: wrongKey}); err != nil {
		t.Error(err)
	}
}

func TestRefusalsOfTheUpstream(t *testing.T) {
	for text, want := range map[string]bool{"{failures: 1/min, upstream: true}": true, "1/min": false} {
		g, _ := newGuard(t, text)
		ex := &filter.Exchange{Client: netip.MustParseAddr("192.0.2.1"), Response: &http.Response{StatusCode: http.StatusUnauthorized}}
		if err := g.response(ex); err != nil {
			t.Fatal(err)
		}
		if got := turnedAway(g.request(ex)); got != want {
			t.Errorf("%s: turned away: %v", text, got)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	table := newTable(2, time.Minute, time.Minute)
	now := time.Now()
	addr := func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
	}
	for i := range maxAddresses + 100 {
		table.fail(addr(i), now)
	}
	if len(table.found) != maxAddresses || table.recent.Len() != maxAddresses || table.size.Load() != maxAddresses {
		t.Errorf("%d, %d, %d addresses", len(table.found), table.recent.Len(), table.size.Load())
	}
	if _, failures := table.look(addr(0), now); failures != 0 {
		t.Error("the oldest is still there")
	}
}

func TestRefusedConfig(t *testing.T) {
	for _, text := range []string{"0/min", "{failures: 1/min, block: 0}", "10/min burst 3", "{failure: 1/min}", "often"} {
		if _, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	g, _ := newGuard(b, "10/min")
	for i := range 1000 {
		_ = try(g, fmt.Sprintf("192.0.%d.%d", i/250, i%250), wrongKey)
	}
	ex := &filter.Exchange{Client: netip.MustParseAddr("198.51.100.1")}
	b.ReportAllocs()
	for b.Loop() {
		if err := g.request(ex); err != nil {
			b.Fatal(err)
		}
	}
}
