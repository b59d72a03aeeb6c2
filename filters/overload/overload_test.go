package overload

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/overload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "overload", 2) }

// newFilter builds the policy over a monitor that measures only when the test says so.
func newFilter(t testing.TB, text string, now *overload.Measurements) (*filter.Filter, *overload.Monitor) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	node := filtertest.Parse(t, "overload: "+text).Field("overload")
	c := new(Config)
	if err := node.Decode(c); err != nil {
		t.Fatal(err)
	}
	m := overload.New(c.Settings(), overload.Options{Metrics: env.Metrics, Read: func() overload.Measurements { return *now }, Relieve: func() {}})
	if _, err := env.Keeper.Keep(Key(c.Settings()), func() (any, error) { return m, nil }); err != nil {
		t.Fatal(err)
	}
	f, err := Kind().Build(env, node)
	if err != nil {
		t.Fatal(err)
	}
	return f.Early, m
}

func TestRefusal(t *testing.T) {
	now := overload.Measurements{Limit: 100, Used: 100}
	f, m := newFilter(t, "{}", &now)
	if err := f.Request(&filter.Exchange{Priority: filter.Low}); err != nil {
		t.Fatalf("before anything is measured: %v", err)
	}
	m.Sample(0)
	seen := map[string]bool{}
	for range 200 {
		var e *filter.Error
		err := f.Request(&filter.Exchange{})
		if !errors.As(err, &e) || e.Code != filter.Overloaded || e.HTTPStatus() != http.StatusServiceUnavailable {
			t.Fatalf("got %v", err)
		}
		if !strings.Contains(e.Error(), "more than 90% of the memory") {
			t.Fatalf("operators are told %v", e)
		}
		seconds, err := strconv.Atoi(e.Header.Get("Retry-After"))
		if err != nil || seconds < 1 || seconds > retries {
			t.Fatalf("Retry-After: %q", e.Header.Get("Retry-After"))
		}
		seen[e.Header.Get("Retry-After")] = true
	}
	if len(seen) != retries {
		t.Errorf("clients come back after %v", seen)
	}
	if err := f.Request(&filter.Exchange{Priority: filter.Critical}); err != nil {
		t.Errorf("a critical request: %v", err)
	}
}

func TestRequestsAreCountedUntilTheyEnd(t *testing.T) {
	f, _ := newFilter(t, "{requests: 2}", &overload.Measurements{})
	ex := &filter.Exchange{}
	results := []bool{}
	for range 3 {
		results = append(results, f.Request(ex) == nil)
	}
	f.Finish(ex)
	f.Finish(ex)
	results = append(results, f.Request(ex) == nil)
	if want := []bool{true, true, false, true}; len(results) != 4 || results[2] != want[2] || results[3] != want[3] || !results[0] || !results[1] {
		t.Errorf("let in: %v", results)
	}
}

func TestExplain(t *testing.T) {
	now := overload.Measurements{Limit: 100}
	f, m := newFilter(t, "{requests: 10}", &now)
	verdict := func(class filter.Priority) filter.Verdict {
		return f.Explain(&filter.Exchange{Priority: class, Dry: true})
	}
	if v := verdict(filter.Normal); v.Action != filter.Passes {
		t.Errorf("at rest: %+v", v)
	}
	now.Used = 95
	for range 5 {
		m.Sample(0)
	}
	now.Used = 0
	m.Sample(0)
	if v := verdict(filter.Low); v.Action != filter.Rejects || v.Note != "all requests of the class low are shed: memory" {
		t.Errorf("low: %+v", v)
	}
	if v := verdict(filter.Normal); v.Action != filter.Unknown || !strings.HasSuffix(v.Note, "% of the requests of the class normal are shed: memory") {
		t.Errorf("normal: %+v", v)
	}
	if v := verdict(filter.High); v.Action != filter.Passes {
		t.Errorf("high: %+v", v)
	}
	for range 10 {
		m.Enter(filter.Critical)
	}
	if v := verdict(filter.Normal); v.Action != filter.Rejects || !strings.HasPrefix(v.Note, "10 requests are under way") {
		t.Errorf("with ten under way: %+v", v)
	}
}

func TestSettingsStandAtTheRoot(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	env.Scope = "r"
	_, err := Kind().Build(env, filtertest.Parse(t, "overload: {memory: 50%}").Field("overload"))
	if err == nil || !strings.Contains(err.Error(), "stand at the root") {
		t.Errorf("got %v", err)
	}
}

func TestWrongSettings(t *testing.T) {
	for _, text := range []string{"{memory: 150%}", "{delay: -1s}", "{goroutines: -1}", "{requests: many}", "{level: 3}", "90%"} {
		env := filtertest.NewEnv(t, "r")
		if _, err := Kind().Build(env, filtertest.Parse(t, "overload: "+text).Field("overload")); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	now := overload.Measurements{Limit: 100}
	f, m := newFilter(t, "{requests: 10}", &now)
	ex := &filter.Exchange{}
	run := func() {
		_ = f.Request(ex)
		f.Finish(ex)
	}
	if n := testing.AllocsPerRun(1000, run); n != 0 {
		t.Errorf("%v allocations at rest", n)
	}
	now.Used = 100
	m.Sample(0)
	if n := testing.AllocsPerRun(1000, run); n != 0 {
		t.Errorf("%v allocations when requests are shed", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	now := overload.Measurements{Limit: 100}
	ex := &filter.Exchange{}
	b.Run("at rest", func(b *testing.B) {
		f, _ := newFilter(b, "{}", &now)
		b.ReportAllocs()
		for b.Loop() {
			_ = f.Request(ex)
		}
	})
	b.Run("shed", func(b *testing.B) {
		now := overload.Measurements{Limit: 100, Used: 100}
		f, m := newFilter(b, "{}", &now)
		m.Sample(0)
		b.ReportAllocs()
		for b.Loop() {
			_ = f.Request(ex)
		}
	})
}

func TestMemoryThatIsTooLittle(t *testing.T) {
	for text, ok := range map[string]bool{"{memory_limit: 1KiB}": false, "{memory_limit: 0}": true, "{memory_limit: 32MiB}": true} {
		err := filtertest.Parse(t, "overload: "+text).Field("overload").Decode(new(Config))
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "memory_limit: 1KiB is less than the gateway itself needs") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
