package upstream

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// Each try sees the body from its beginning, as long as what was read is not more than is kept.
func TestReplay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "text")
		limit := rapid.SampledFrom([]int{0, 1, 50, 100, 1000}).Draw(t, "limit")
		size := rapid.SampledFrom([]int64{-1, int64(len(text))}).Draw(t, "size")
		r := newReplay(iotest.OneByteReader(bytes.NewReader(text)), size, limit)
		most := 0
		for try := range rapid.IntRange(1, 4).Draw(t, "tries") {
			if try > 0 {
				want := most == 0 || limit > 0 && most <= limit && size <= int64(limit)
				if r.repeatable() != want || r.again() != want {
					t.Fatalf("after %d bytes were read, a body of %d with %d kept can be repeated: %v", most, len(text), limit, !want)
				}
				if !want {
					return
				}
			}
			n := rapid.IntRange(0, len(text)+1).Draw(t, "reads")
			got, err := io.ReadAll(io.LimitReader(r.reader, int64(n)))
			if err != nil || !bytes.Equal(got, text[:min(n, len(text))]) {
				t.Fatalf("try %d read %q, %v", try, got, err)
			}
			if n > 0 {
				most = max(most, min(n, len(text)), 1)
			}
		}
	})
}

// slowBody is a body whose client sends when it is told to.
type slowBody struct{ sent chan string }

func (b slowBody) Read(p []byte) (int, error) {
	s, ok := <-b.sent
	if !ok {
		return 0, io.EOF
	}
	return copy(p, s), nil
}

// What a try that is over still gets of the client goes to the next.
func TestReplayOfAReadLeftBehind(t *testing.T) {
	src := slowBody{make(chan string)}
	r := newReplay(src, -1, 100)
	old := r.reader
	started, done := make(chan struct{}), make(chan error)
	go func() {
		close(started)
		buf := make([]byte, 10)
		if _, err := old.Read(buf); err != nil {
			done <- err
			return
		}
		_, err := old.Read(buf) // by now it is over
		done <- err
	}()
	<-started
	if !r.again() {
		t.Fatal("it cannot be repeated")
	}
	all := make(chan string)
	go func() {
		text, _ := io.ReadAll(r.reader)
		all <- string(text)
	}()
	src.sent <- "first "
	src.sent <- "second "
	close(src.sent)
	if got := <-all; got != "first second " {
		t.Errorf("the second try read %q", got)
	}
	if err := <-done; err != errTryOver {
		t.Errorf("the first try went on: %v", err)
	}
}

func TestReplayOfAnError(t *testing.T) {
	broken := errors.New("broken")
	r := newReplay(io.MultiReader(bytes.NewReader([]byte("ab")), iotest.ErrReader(broken)), -1, 10)
	for try := range 3 {
		if got, err := io.ReadAll(r.reader); string(got) != "ab" || err != broken {
			t.Errorf("try %d read %q, %v", try, got, err)
		}
		r.again()
	}
}

// Many tries at once, of which all but one are over: the one reads all.
func TestReplayRace(t *testing.T) {
	text := make([]byte, 50000)
	for i := range text {
		text[i] = byte(rand.Uint32())
	}
	r := newReplay(iotest.HalfReader(bytes.NewReader(text)), -1, len(text))
	var wg sync.WaitGroup
	for range 5 {
		old := r.reader
		wg.Go(func() { _, _ = io.ReadAll(old) })
		if !r.again() {
			t.Fatal("it cannot be repeated")
		}
	}
	got, err := io.ReadAll(r.reader)
	if err != nil || !bytes.Equal(got, text) {
		t.Errorf("the last try read %d of %d bytes, %v", len(got), len(text), err)
	}
	wg.Wait()
}
