package disk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/stored"
)

// bench is a store under test.
type bench struct {
	testing.TB
	*Store
	dir string
	o   Options
	log *logged
}

// logged is what a store says.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fast is a directory in memory, where there is one, for tests that open a store very often: it waits for the disk each time.
func fast(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "cardea")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newBench(t testing.TB, o Options) *bench { return newBenchIn(t, t.TempDir(), o) }

func newBenchIn(t testing.TB, in string, o Options) *bench {
	t.Helper()
	if o.Limit == 0 {
		o.Limit = 256 << 20
	}
	b := &bench{TB: t, dir: filepath.Join(in, "cache"), o: o, log: &logged{}}
	b.o.Log = slog.New(slog.NewTextHandler(b.log, nil))
	b.open()
	t.Cleanup(func() {
		b.Store.Close()
		if g, ok := t.(*testing.T); ok && !g.Failed() {
			goleak.VerifyNone(t, goleak.IgnoreCurrent())
		}
	})
	return b
}

func (b *bench) open() {
	b.Helper()
	s, err := Open(b.dir, b.o)
	if err != nil {
		b.Fatal(err)
	}
	b.Store = s
}

func (b *bench) reopen() {
	b.Helper()
	if err := b.Store.Close(); err != nil {
		b.Fatal(err)
	}
	b.open()
}

var start = time.Date(2026, 11, 26, 12, 0, 0, 5, time.UTC)

// response is a response for a key, with all there is in one.
func response(key string, size int64) *stored.Response {
	return &stored.Response{
		Key: key, URL: "https://example.com/" + key, Route: "orders", Method: "GET", Status: 200,
		Header: stored.NewFields(http.Header{
			"Content-Type": {"text/plain"}, "Etag": {`"` + key + `"`}, "Link": {"</a>", "</b>; rel=\"next\""}, "X-Empty": {""},
		}),
		Trailer: stored.NewFields(http.Header{"X-Sum": {"17"}}),
		Vary:    stored.NewFields(http.Header{"Accept-Encoding": {"gzip"}}),
		Terms: stored.Terms{
			Lifetime: time.Hour, InitialAge: 3 * time.Second, WhileRevalidate: time.Minute, IfError: 2 * time.Minute, Flags: stored.Heuristic | stored.Unkeyed,
		},
		Tags: []string{"a", "b"}, Seq: 7, Requested: start, Received: start.Add(time.Second), Size: size,
	}
}

// bodyOf is a body that is like no other, nor any part of itself.
func bodyOf(key string, size int) []byte {
	b := make([]byte, size)
	rng := rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32.32s", key))))
	_, _ = rng.Read(b)
	return b
}

func (b *bench) put(r *stored.Response, content []byte) *stored.Response {
	b.Helper()
	w, err := b.Put(context.Background(), r)
	if err != nil {
		b.Fatal(err)
	}
	defer w.(*writer).Close()
	for rest := content; len(rest) > 0; {
		n, err := w.Write(rest[:min(len(rest), 10_000)])
		if err != nil {
			b.Fatal(err)
		}
		rest = rest[n:]
	}
	kept, err := w.Commit(r)
	if err != nil {
		b.Fatal(err)
	}
	return kept
}

func (b *bench) get(key string) *stored.Response { return b.Get(context.Background(), key) }

func (b *bench) body(r *stored.Response) []byte {
	b.Helper()
	f, err := r.Body.Open()
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		b.Fatal(err)
	}
	return content
}

// same compares all but bodies.
func same(a, b *stored.Response) string {
	return cmp.Diff(a, b, cmpopts.IgnoreFields(stored.Response{}, "Body"), cmp.Transformer("header", func(f stored.Fields) http.Header { return f.Header() }),
		cmpopts.EquateEmpty())
}

var sizes = []int{0, 1, 100, blockSize - 1, blockSize, blockSize + 1, 3 * blockSize, 1_000_001}

func TestWhatIsStoredIsThereAfterARestart(t *testing.T) {
	b := newBench(t, Options{})
	for _, size := range sizes {
		key := fmt.Sprint("k", size)
		b.put(response(key, -1), bodyOf(key, size))
	}
	for round := range 3 {
		for _, size := range sizes {
			key := fmt.Sprint("k", size)
			r := b.get(key)
			if r == nil {
				t.Fatalf("round %d: %s is not there", round, key)
			}
			if d := same(r, response(key, int64(size))); d != "" {
				t.Error(d)
			}
			if !bytes.Equal(b.body(r), bodyOf(key, size)) {
				t.Errorf("round %d: %s has another body", round, key)
			}
		}
		b.reopen()
	}
	if n := b.Stats().Objects; n != int64(len(sizes)) {
		t.Errorf("%d objects", n)
	}
	b.Delete(t.Context(), "k100")
	if b.get("k100") != nil || b.get("other") != nil {
		t.Error("it is still there")
	}
	b.reopen()
	if b.get("k100") != nil {
		t.Error("it is there again")
	}
	if b.log.String() != "" {
		t.Error(b.log)
	}
}

func TestOneStoreForADirectory(t *testing.T) {
	b := newBench(t, Options{})
	if _, err := Open(b.dir, b.o); err == nil || !strings.Contains(err.Error(), "another gateway") {
		t.Errorf("got %v", err)
	}
	b.reopen()
}

func TestMarksSurviveARestart(t *testing.T) {
	b := newBench(t, Options{})
	seq := b.LoadMarks(func(uint64, filter.Purge) { t.Error("there is a mark") })
	want := map[uint64]filter.Purge{seq + 1: {Tag: "a\n"}, seq + 2: {URL: "https://x/", Soft: true}, seq + 3: {All: true}}
	for i := seq + 1; i <= seq+3; i++ {
		if err := b.SaveMark(i, want[i]); err != nil {
			t.Fatal(err)
		}
	}
	b.reopen()
	got := map[uint64]filter.Purge{}
	again := b.LoadMarks(func(n uint64, p filter.Purge) { got[n] = p })
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if again <= seq+3 {
		t.Errorf("the numbers go back to %d", again)
	}
}
