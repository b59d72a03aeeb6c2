package cache

import (
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/redis/redistest"
	"cardea.dev/cardea/internal/stored"
)

// TestRenewed takes what another gateway has had validated, and nothing that is no better.
func TestRenewed(t *testing.T) {
	server := redistest.Start(t)
	one, two := sharing(t, server.URL()), sharing(t, server.URL())
	renewed := func() *stored.Response {
		f, _ := one.Find(t.Context(), []byte("GET http://h/a"), nil)
		return one.Renewed(t.Context(), f.Response)
	}
	wait := func(what string, holds func() bool) {
		t.Helper()
		server.Wait(what, holds)
	}
	one.put(one.response("a"), "A", "")
	one.put(one.response("v"), "de", "Accept-Language", "Accept-Language: de")
	wait("come to the other", func() bool { return two.get("a") == "behind A" })
	wait("come to the other", func() bool {
		return two.get("v", "Accept-Language: de") == "behind de" || two.get("v", "Accept-Language: de") == "de"
	})
	if r := renewed(); r != nil {
		t.Errorf("what is as old is taken: %+v", r)
	}
	one.clock, two.clock = one.clock.Add(time.Hour), one.clock.Add(time.Hour)
	two.put(two.response("a"), "B", "")
	var r *stored.Response
	wait("be renewed", func() bool { r = renewed(); return r != nil })
	if body(t, r) != "B" || r.Left(one.clock) != time.Minute {
		t.Errorf("%+v", r)
	}
	one.is("from now on", "B", "a")

	old, _ := one.Find(t.Context(), []byte("GET http://h/a"), nil)
	two.clock = two.clock.Add(time.Hour)
	two.put(two.response("a"), "C", "")
	wait("come to the store", func() bool {
		r := one.behind.store.Get(t.Context(), "GET http://h/a")
		return r != nil && body(t, r) == "C"
	})
	done, err := two.Purge(t.Context(), filter.Purge{URL: "http://h/a"})
	if err != nil || !done.Shared {
		t.Fatal(done, err)
	}
	wait("be told of the purge", func() bool { return one.PurgedAt("http://h/a") == done.Seq })
	if r := one.Renewed(t.Context(), old.Response); r != nil {
		t.Errorf("what is purged is taken: %+v", r)
	}
	one.is("what is purged", "purged", "a")
	if r := newCache(t, "{memory: 1MiB, disk: d}").Renewed(t.Context(), old.Response); r != nil {
		t.Errorf("a disk that nobody shares has something better: %+v", r)
	}
}

// TestAPurgeThatCannotBeTold holds in the gateway that was asked, and says so.
func TestAPurgeThatCannotBeTold(t *testing.T) {
	server := redistest.Start(t)
	u := sharing(t, server.URL())
	u.put(u.response("a"), "A", "")
	u.put(u.response("b"), "B", "")
	server.Kill()
	if _, err := u.Purge(t.Context(), filter.Purge{URL: "http://h/a"}); err == nil || !strings.HasPrefix(err.Error(), "it holds in this gateway, and others are told once the store is back: ") {
		t.Errorf("it says %v", err)
	}
	u.is("purged", "purged", "a")
	u.is("another", "B", "b")
	u.Invalidate(t.Context(), []string{"http://h/b"})
	u.is("changed by a request", "purged", "b")
	if below := u.ResponseCache().Below; !below.Down || below.Kind != "redis" {
		t.Errorf("%+v", below)
	}
}

func TestAStoreMustBe(t *testing.T) {
	u := newCache(t, "1MiB")
	for text, want := range map[string]string{
		"{shared: true}":                    "shared: the cache is shared, and there is no store",
		"{shared: true, store: 'http://h'}": "store: ",
		"{disk: /dev/null}":                 "disk: ",
	} {
		c := settings(t, text)
		if _, _, err := Kept(u.env, "x", &c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	u.env.Offline = true
	c := settings(t, "{disk: /dev/null}")
	if b, where, err := Kept(u.env, "x", &c); b != nil || where != "memory" || err != nil {
		t.Errorf("offline: %v, %s, %v", b, where, err)
	}
}
