package keep_test

import (
	"errors"
	"testing"

	"cardea.dev/cardea/internal/keep"
)

type thing struct{ closed int }

func (t *thing) Close() error { t.closed++; return nil }

func TestValuesLiveAsLongAsAScopeHoldsThem(t *testing.T) {
	k := keep.New()
	made := 0
	take := func(s *keep.Scope, key string) *thing {
		v, err := s.Keep(key, func() (any, error) { made++; return &thing{}, nil })
		if err != nil {
			t.Fatal(err)
		}
		return v.(*thing)
	}
	one, two := k.Scope(), k.Scope()
	a := take(one, "a")
	gone := take(one, "gone")
	if take(one, "a") != a || take(two, "a") != a {
		t.Fatal("the same key gave another value")
	}
	one.Close()
	if a.closed != 0 || gone.closed != 1 {
		t.Fatalf("after the first scope: a closed %d times, gone %d; want 0, 1", a.closed, gone.closed)
	}
	two.Close()
	two.Close()
	if a.closed != 1 || made != 2 {
		t.Fatalf("a closed %d times, %d made; want 1, 2", a.closed, made)
	}
	if take(k.Scope(), "a") == a {
		t.Fatal("a closed value came back")
	}
}

func TestWhatCannotBeMadeIsNotKept(t *testing.T) {
	k := keep.New()
	s := k.Scope()
	if _, err := s.Keep("a", func() (any, error) { return nil, errors.New("no") }); err == nil {
		t.Fatal("no error")
	}
	if v, err := s.Keep("a", func() (any, error) { return 1, nil }); v != 1 || err != nil {
		t.Fatalf("got %v, %v", v, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
