package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// granter grants tokens with numbers.
type granter struct {
	asked atomic.Int64
	takes time.Duration
	life  time.Duration
	mu    sync.Mutex
	err   error
}

func (i *granter) fail(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.err = err
}

func (i *granter) fetch(ctx context.Context) (Token, error) {
	n := i.asked.Add(1)
	select {
	case <-time.After(i.takes):
	case <-ctx.Done():
		return Token{}, ctx.Err()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return Token{}, i.err
	}
	return Token{fmt.Sprint("t", n), i.life}, nil
}

func (i *granter) exchange(ctx context.Context, subject string) (Token, error) {
	t, err := i.fetch(ctx)
	t.Value = subject + t.Value
	return t, err
}

// with runs a test with a source, in a bubble with a clock of its own.
func with(t *testing.T, i *granter, f func(t *testing.T, s *Source, want func(value string, asked int64))) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSource(i.fetch, time.Now)
		defer s.Close()
		f(t, s, func(value string, asked int64) {
			t.Helper()
			g, err := s.Token(t.Context())
			got := fmt.Sprint(err)
			if err == nil {
				got = g.Value
			}
			synctest.Wait()
			if got != value || i.asked.Load() != asked {
				t.Errorf("got %s after %d requests, want %s after %d", got, i.asked.Load(), value, asked)
			}
		})
	})
}

func TestTokensAreRenewedBeforeTheirEnd(t *testing.T) {
	with(t, &granter{life: time.Hour}, func(_ *testing.T, s *Source, want func(string, int64)) {
		want("t1", 1)
		want("t1", 1)
		if a := s.Held().Authorization; len(a) != 1 || a[0] != "Bearer t1" {
			t.Errorf("got %q", a)
		}
		time.Sleep(54 * time.Minute)
		want("t1", 1)
		time.Sleep(2 * time.Minute)
		want("t1", 2) // nobody waits
		want("t2", 2)
		time.Sleep(2 * time.Hour)
		want("t3", 3) // it had ended
	})
}

func TestTokensThatDoNotSayHowLong(t *testing.T) {
	with(t, &granter{}, func(_ *testing.T, _ *Source, want func(string, int64)) {
		want("t1", 1)
		time.Sleep(3 * time.Minute)
		want("t1", 1)
		time.Sleep(3 * time.Minute)
		want("t2", 2)
	})
}

func TestOneRequestIsUnderWay(t *testing.T) {
	i := &granter{life: time.Hour, takes: time.Second}
	with(t, i, func(t *testing.T, s *Source, want func(string, int64)) {
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if g, err := s.Token(t.Context()); err != nil || g.Value != "t1" {
					t.Errorf("got %v, %v", g, err)
				}
			})
		}
		wg.Wait()
		want("t1", 1)
	})
}

func TestWhoeverLeavesDoesNotEndTheRequest(t *testing.T) {
	with(t, &granter{life: time.Hour, takes: 5 * time.Second}, func(t *testing.T, s *Source, want func(string, int64)) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		want("t1", 1)
	})
}

func TestAServerThatFails(t *testing.T) {
	i := &granter{life: time.Hour}
	with(t, i, func(t *testing.T, s *Source, want func(string, int64)) {
		want("t1", 1)
		i.fail(errors.New("down"))
		time.Sleep(56 * time.Minute)
		want("t1", 2) // the old one is good for a while
		for range 100 {
			want("t1", 2) // and the server is left alone
		}
		for range 170 { // seconds, until shortly before the end
			time.Sleep(time.Second)
			_, _ = s.Token(t.Context())
		}
		if n := i.asked.Load(); n < 6 || n > 14 {
			t.Errorf("it was asked %d times", n)
		}
		time.Sleep(2 * time.Minute)
		before := i.asked.Load()
		want("down", before+1) // it has ended
		want("down", before+1)
		i.fail(nil)
		want("down", before+1)
		time.Sleep(longest)
		want(fmt.Sprint("t", before+2), before+2)
	})
}

func TestARefusedTokenIsRenewedOnce(t *testing.T) {
	i := &granter{life: time.Hour, takes: time.Second}
	with(t, i, func(t *testing.T, s *Source, want func(string, int64)) {
		want("t1", 1)
		first := s.Held()
		if s.Suspect(first) {
			t.Error("a new one was renewed")
		}
		time.Sleep(time.Minute)
		for range 10 {
			if !s.Suspect(first) {
				t.Error("it was not renewed")
			}
		}
		want("t2", 2) // whoever asks waits
		if !s.Suspect(first) || s.Suspect(s.Held()) {
			t.Error("the one before, or the new one")
		}
		want("t2", 2)
		i.fail(errors.New("down"))
		time.Sleep(time.Minute)
		if !s.Suspect(s.Held()) {
			t.Error("it was not renewed")
		}
		want("t2", 3) // there is no better one
		if s.Suspect(s.Held()) {
			t.Error("the server is asked again, though it fails")
		}
		want("t2", 3)
	})
}

func TestClose(t *testing.T) {
	i := &granter{takes: time.Hour}
	synctest.Test(t, func(t *testing.T) {
		s := NewSource(i.fetch, time.Now)
		failed := make(chan error)
		go func() { _, err := s.Token(t.Context()); failed <- err }()
		synctest.Wait()
		s.Close()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if _, err := s.Token(t.Context()); err == nil {
			t.Error("a closed source has a token")
		}
	})
}

// jwt is a token that says when it ends.
func jwt(end time.Time) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf(`{"exp":%d}`, end.Unix()))) + ".x"
}

func TestExchanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &granter{life: time.Hour, takes: time.Second}
		e := NewExchanger(i.exchange, 3, time.Now)
		defer e.Close()
		want := func(subject, value string, asked int64) {
			t.Helper()
			g, err := e.Token(t.Context(), subject)
			got := fmt.Sprint(err)
			if err == nil {
				got = g.Value
			}
			if got != value || i.asked.Load() != asked {
				t.Errorf("%s: got %s after %d requests, want %s after %d", subject, got, i.asked.Load(), value, asked)
			}
		}
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { _, _ = e.Token(t.Context(), "a") })
		}
		wg.Wait()
		want("a", "at1", 1)
		want("b", "bt2", 2)
		want("c", "ct3", 3)
		want("a", "at1", 3) // used last
		want("d", "dt4", 4) // in place of b
		want("a", "at1", 4)
		want("b", "bt5", 5) // in place of c
		if e.Len() != 3 {
			t.Errorf("%d are kept", e.Len())
		}
		time.Sleep(time.Hour)
		want("a", "at6", 6)

		short := jwt(time.Now().Add(time.Minute))
		want(short, short+"t7", 7)
		want(short, short+"t7", 7)
		time.Sleep(2 * time.Minute)
		want(short, short+"t8", 8) // the caller's own has ended: the server decides

		i.fail(&Error{Status: 400, Code: "invalid_request"})
		want("bad", "it answers with status 400 invalid_request", 9)
		want("bad", "it answers with status 400 invalid_request", 9)
		want("worse", "it answers with status 400 invalid_request", 10)
		i.fail(errors.New("down"))
		want("e", "down", 11)
		want("f", "down", 11)
		i.fail(nil)
		time.Sleep(refusedFor)
		want("bad", "badt12", 12)
	})
}

func TestAnExchangedTokenThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &granter{life: time.Hour}
		e := NewExchanger(i.exchange, 3, time.Now)
		defer e.Close()
		g, err := e.Token(t.Context(), "a")
		if err != nil || e.Suspect("a", g) {
			t.Errorf("a new one is renewed: %v", err)
		}
		time.Sleep(time.Minute)
		if !e.Suspect("a", g) {
			t.Error("it is not renewed")
		}
		if fresh, err := e.Token(t.Context(), "a"); err != nil || fresh.Value != "at2" || e.Suspect("a", fresh) || !e.Suspect("a", g) {
			t.Errorf("got %v, %v", fresh, err)
		}
	})
}

func TestEndsOfTokens(t *testing.T) {
	for token, want := range map[string]int64{
		jwt(time.Unix(1000, 0)): 1000, "opaque": 0, "a.b.c": 0, "e30.e30.x": 0, "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1e99}`)) + ".x": 0,
		"e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":"soon"}`)) + ".x": 0,
	} {
		got := expiry(token)
		if want == 0 && !got.IsZero() || want != 0 && got.Unix() != want {
			t.Errorf("%s: %v", token, got)
		}
	}
}

func TestTokensThatAreHeldDoNotAllocate(t *testing.T) {
	i := &granter{life: time.Hour}
	s := NewSource(i.fetch, time.Now)
	defer s.Close()
	e := NewExchanger(i.exchange, 10, time.Now)
	defer e.Close()
	ctx := t.Context()
	for name, f := range map[string]func(){
		"own": func() { _, _ = s.Token(ctx) }, "exchanged": func() { _, _ = e.Token(ctx, "subject") },
	} {
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkSource(b *testing.B) {
	i := &granter{life: time.Hour}
	s := NewSource(i.fetch, time.Now)
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.Token(b.Context())
	}
}

func BenchmarkExchanger(b *testing.B) {
	i := &granter{life: time.Hour}
	e := NewExchanger(i.exchange, 10, time.Now)
	defer e.Close()
	subject := jwt(time.Now().Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = e.Token(b.Context(), subject)
	}
}
