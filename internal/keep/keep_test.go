package keep_test

import (
	"errors"
	"testing"
	"testing/synctest"

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

// slow is a value that takes its time to be closed.
type slow struct{ begun, end chan struct{} }

func (s *slow) Close() error {
	close(s.begun)
	<-s.end
	return nil
}

// TestOneIsClosedBeforeTheNextIsMade with the same key, unless that takes too long. Others are not waited for.
func TestOneIsClosedBeforeTheNextIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep.New()
		first, old := k.Scope(), &slow{make(chan struct{}), make(chan struct{})}
		if _, err := first.Keep("file", func() (any, error) { return old, nil }); err != nil {
			t.Fatal(err)
		}
		go first.Close()
		<-old.begun
		second := k.Scope()
		if v, err := second.Keep("another", func() (any, error) { return 1, nil }); v != 1 || err != nil {
			t.Errorf("%v, %v", v, err)
		}
		made := false
		go func() {
			_, _ = second.Keep("file", func() (any, error) { made = true; return 2, nil })
		}()
		synctest.Wait()
		if made {
			t.Error("it is made while the one before is being closed")
		}
		close(old.end)
		synctest.Wait()
		if !made {
			t.Error("it is not made once the one before is closed")
		}
		third, stuck := k.Scope(), &slow{make(chan struct{}), make(chan struct{})}
		if _, err := third.Keep("stuck", func() (any, error) { return stuck, nil }); err != nil {
			t.Fatal(err)
		}
		go third.Close()
		<-stuck.begun
		if v, err := second.Keep("stuck", func() (any, error) { return 3, nil }); v != 3 || err != nil {
			t.Errorf("for ever it does not wait: %v, %v", v, err)
		}
		close(stuck.end)
		synctest.Wait()
	})
}
