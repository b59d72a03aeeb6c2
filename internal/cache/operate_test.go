package cache

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/stored"
)

func tagged(tags ...string) func(*stored.Response) {
	return func(r *stored.Response) { r.Tags = tags }
}

// TestPurges looks at what becomes of stored responses, in memory and behind it.
func TestPurges(t *testing.T) {
	for _, config := range []string{"1MiB", "{memory: 1MiB, disk: {path: d, size: 8MiB}}", "{memory: 0, disk: {path: d, size: 8MiB}}"} {
		for _, c := range []struct {
			p    filter.Purge
			gone string // of a, a?x=1, b and v
		}{
			{filter.Purge{URL: "http://h/a"}, "a"},
			{filter.Purge{URL: "HTTP://H:80/a?x=1"}, "a?x=1"},
			{filter.Purge{URL: "http://h/v"}, "v"},
			{filter.Purge{URL: "http://h/none"}, ""},
			{filter.Purge{Prefix: "http://h/a"}, "a a?x=1"},
			{filter.Purge{Tag: "t"}, "b v"},
			{filter.Purge{All: true}, "a a?x=1 b v"},
		} {
			for _, soft := range []bool{false, true} {
				u := newCache(t, config)
				fill := func() {
					u.put(u.response("a"), "1", "")
					u.put(u.response("a?x=1"), "1", "")
					u.put(u.response("b", tagged("s", "t")), "1", "")
					u.put(u.response("v", tagged("t")), "1", "Accept-Language", "Accept-Language: de")
				}
				fill()
				c.p.Soft = soft
				if done, err := u.Purge(t.Context(), c.p); err != nil || done.Seq != 1 || done.Shared || u.Seq() != 1 {
					t.Fatalf("%+v: %+v, %v", c.p, done, err)
				}
				want := map[bool]string{false: "purged", true: "soft 1"}[soft]
				for range 2 {
					var gone []string
					for _, path := range []string{"a", "a?x=1", "b", "v"} {
						switch got := strings.TrimPrefix(u.get(path, "Accept-Language: de"), "behind "); {
						case got == want || got == "none" && config == "1MiB" && !soft || got == "known" && config == "1MiB" && !soft:
							gone = append(gone, path)
						case got != "1":
							t.Errorf("%s, %+v: %s finds %q", config, c.p, path, got)
						}
					}
					if got := strings.Join(gone, " "); got != c.gone {
						t.Errorf("%s, %+v: %q are purged, want %q", config, c.p, got, c.gone)
					}
				}
				fill()
				if got := strings.TrimPrefix(u.get("a"), "behind "); got != "1" {
					t.Errorf("%s, %+v: what was stored since is %q", config, c.p, got)
				}
			}
		}
	}
}

// TestASoftPurgeMakesStale what was fresh, and leaves the age of what was not.
func TestASoftPurgeMakesStale(t *testing.T) {
	u := newCache(t, "1MiB")
	u.put(u.response("a", func(r *stored.Response) { r.Terms.WhileRevalidate = time.Hour }), "A", "")
	if _, err := u.Purge(t.Context(), filter.Purge{All: true, Soft: true}); err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{0, 30 * time.Second, 10 * time.Minute} {
		u.clock = at.Add(later)
		f, _ := u.Find(t.Context(), []byte("GET http://h/a"), nil)
		if !f.Soft || f.Response == nil || f.Response.Left(u.clock) > 0 || f.Response.Age(u.clock) != later {
			t.Errorf("after %s: %+v", later, f)
		}
	}
	if r := u.memory.GetString("GET http://h/a"); r.Terms.Lifetime != time.Minute {
		t.Error("what is stored was changed")
	}
}

func TestInvalidate(t *testing.T) {
	u := newCache(t, "{memory: 1MiB, disk: {path: d, size: 8MiB}}")
	u.put(u.response("a"), "A", "")
	u.put(u.response("b"), "B", "")
	u.Invalidate(t.Context(), []string{"http://h/a", "http://h/c"})
	u.is("invalid", "purged", "a")
	u.is("another", "B", "b")
	if u.PurgedAt("http://h/a") != 1 || u.PurgedAt("http://h/b") != 0 || u.PurgedAt("http://h/c") != 2 {
		t.Errorf("purged at %d, %d, %d", u.PurgedAt("http://h/a"), u.PurgedAt("http://h/b"), u.PurgedAt("http://h/c"))
	}
}

func TestWhatOperatorsSee(t *testing.T) {
	u := newCache(t, "{memory: 1MiB, max_in_memory: 8B, disk: {path: d, size: 8MiB}}")
	header := func(pairs ...string) func(*stored.Response) {
		return func(r *stored.Response) { r.Header = stored.NewFields(fields(pairs)) }
	}
	u.put(u.response("a", tagged("t"), header("Set-Cookie: secret", "X-A: 1", "X-A: 2", "Www-Authenticate: x")), "A", "")
	u.put(u.response("long"), "0123456789", "")
	u.put(u.response("v"), "de", "Accept-Language", "Accept-Language: de")
	u.put(u.response("check", func(r *stored.Response) { r.Terms.Flags = stored.NoCache }), "C", "")
	u.put(u.response("grace", func(r *stored.Response) { r.Terms = stored.Terms{Lifetime: time.Second, IfError: time.Hour} }), "G", "")
	u.put(u.response("over", func(r *stored.Response) { r.Terms.Lifetime = time.Second }), "O", "")
	u.put(u.response("soft"), "S", "")
	u.put(u.response("gone"), "X", "")
	for _, p := range []filter.Purge{{URL: "http://h/gone"}, {URL: "http://h/soft", Soft: true}} {
		if _, err := u.Purge(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	u.clock = u.clock.Add(10 * time.Second)
	got := map[string]string{}
	for _, o := range u.List("http://h/", 100) {
		got[strings.TrimPrefix(o.URL, "http://h/")] += o.State + " in " + o.Where + ";"
	}
	want := map[string]string{
		"a": "fresh in memory;", "long": "fresh in disk;", "v": "fresh in memory;", "check": "validate in memory;", "grace": "stale in memory;",
		"over": "expired in memory;", "soft": "stale in memory;", "gone": "purged in memory;",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(u.List("http://h/", 3)); n != 3 {
		t.Errorf("%d are listed", n)
	}
	if n := len(u.List("http://h/l", 100)); n != 1 {
		t.Errorf("%d are listed", n)
	}
	found, err := u.Look(t.Context(), "http://H:80/a", 10)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	o := found[0]
	if diff := cmp.Diff(map[string]string{"Set-Cookie": "***", "X-A": "1, 2", "Www-Authenticate": "***"}, o.Header); diff != "" {
		t.Error(diff)
	}
	if o.Age != 10 || o.TTL != 50 || o.Size != 1 || o.Status != 200 || o.Method != "GET" || strings.Join(o.Tags, " ") != "t" || !o.Stored.Equal(at) {
		t.Errorf("%+v", o)
	}
	if _, err := u.Look(t.Context(), "h/a", 10); err == nil {
		t.Error("a URL that is none is looked up")
	}
	info := u.ResponseCache()
	if info.Name != "c" || info.Store != "memory and disk "+u.env.Dir+"/d" || info.Objects != 8 || info.Bytes <= 0 || info.PurgeMark != 2 || info.Below.Kind != "disk" || info.Below.Objects != 9 || info.Below.Down {
		t.Errorf("%+v, %+v", info, info.Below)
	}
}

// TestTheSweep lets go of what was purged, a while after purges that may be for much.
func TestTheSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCache(t, "1MiB")
		for _, path := range []string{"a", "b", "c"} {
			u.put(u.response(path, tagged(path)), path, "")
		}
		purge := func(p filter.Purge) int64 {
			if _, err := u.Purge(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if n := u.memory.Stats().Objects; p.Tag == "a" && n != 3 {
				t.Errorf("%d are left before the sweep", n)
			}
			time.Sleep(2 * sweepPause)
			synctest.Wait()
			return u.memory.Stats().Objects
		}
		if n := purge(filter.Purge{Tag: "a"}); n != 2 {
			t.Errorf("%d are left of 3", n)
		}
		if n := purge(filter.Purge{URL: "http://h/b"}); n != 2 {
			t.Errorf("a URL is found out when it is looked up; %d are left", n)
		}
		if n := purge(filter.Purge{All: true, Soft: true}); n != 2 {
			t.Errorf("what is stale may serve; %d are left", n)
		}
		if n := purge(filter.Purge{Prefix: "http://h/"}); n != 0 {
			t.Errorf("%d are left", n)
		}
		u.put(u.response("d"), "d", "")
		if _, err := u.Purge(t.Context(), filter.Purge{All: true}); err != nil {
			t.Fatal(err)
		}
		if err := u.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * sweepPause)
		if n := u.memory.Stats().Objects; n != 1 {
			t.Errorf("it sweeps after its end")
		}
	})
}

// TestSweeper runs one sweep at a time, another one after it where that was asked for meanwhile, and ends one that runs.
func TestSweeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sweeper
		runs, end := 0, make(chan struct{})
		sweep := func(stop <-chan struct{}) {
			runs++
			select {
			case <-end:
			case <-stop:
			}
		}
		for range 3 {
			s.soon(sweep)
		}
		time.Sleep(2 * sweepPause)
		for range 3 {
			s.soon(sweep)
		}
		time.Sleep(2 * sweepPause)
		synctest.Wait()
		if runs != 1 {
			t.Errorf("%d sweeps run at once", runs)
		}
		close(end)
		time.Sleep(2 * sweepPause)
		synctest.Wait()
		if runs != 2 {
			t.Errorf("there were %d sweeps, want one after what was asked for meanwhile", runs)
		}
		end = make(chan struct{})
		s.soon(sweep)
		time.Sleep(2 * sweepPause)
		s.close()
		s.close()
		s.soon(sweep)
		time.Sleep(2 * sweepPause)
		if runs != 3 {
			t.Errorf("there were %d sweeps", runs)
		}
	})
}
