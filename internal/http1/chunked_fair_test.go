package http1

import (
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"cardea.dev/cardea/internal/http1/http1test"
)

// Who reads tiny chunks that are all there lets others have their turn.
func TestTinyChunksYield(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const chunks = 100_000
	data := make([]byte, 0, chunks*6+5)
	for range chunks {
		data = append(data, "1\r\nb\r\n"...)
	}
	data = append(data, "0\r\n\r\n"...)
	var turns atomic.Int64
	var over atomic.Bool
	done := make(chan struct{})
	go func() { // ends when over is set
		defer close(done)
		for !over.Load() {
			turns.Add(1)
			runtime.Gosched()
		}
	}()
	l := Limits{}.OrDefaults()
	var r Reader
	r.Attach(&http1test.Pieces{Data: data, Size: BigBuffer})
	defer r.Drop()
	var b BodyReader
	b.Begin(&r, Chunked, -1, &l)
	n, err := io.Copy(io.Discard, &b)
	over.Store(true)
	<-done
	if n != chunks || err != nil {
		t.Fatalf("got %d bytes, %v", n, err)
	}
	if got := turns.Load(); got < chunks/yieldAfter/2 {
		t.Errorf("another goroutine had %d turns while %d chunks were read", got, chunks)
	}
}
