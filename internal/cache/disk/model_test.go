package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"cardea.dev/cardea/internal/stored"
)

// version is a response for a key, whose head says what its body is.
func version(key string, n int, size int64) *stored.Response {
	r := response(key, size)
	r.Header = stored.NewFields(http.Header{"Etag": {fmt.Sprintf(`"%d"`, n)}, "X-Version": {fmt.Sprint(n)}})
	return r
}

// content is the body of a version.
func versionBody(key string, n, size int) []byte { return bodyOf(fmt.Sprint(key, " ", n), size) }

// TestAsAModel does what comes to mind, and compares with a map.
func TestAsAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBenchIn(t, fast(t), Options{})
		defer b.Store.Close()
		type object struct {
			r    *stored.Response
			n    int
			size int
		}
		model := map[string]object{}
		n := 0
		key := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		size := rapid.SampledFrom(sizes[:7])
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				n++
				k, size := key.Draw(rt, "key"), size.Draw(rt, "size")
				kept := b.put(version(k, n, -1), versionBody(k, n, size))
				model[k] = object{version(k, n, int64(size)), n, size}
				if !bytes.Equal(b.body(kept), versionBody(k, n, size)) {
					rt.Fatal("the body is another at once")
				}
			},
			"abort": func(rt *rapid.T) {
				w, err := b.Put(t.Context(), version(key.Draw(rt, "key"), 0, -1))
				if err != nil {
					rt.Fatal(err)
				}
				_, _ = w.Write(make([]byte, size.Draw(rt, "size")))
				w.Abort()
			},
			"update": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				o, ok := model[k]
				if !ok {
					rt.Skip("none")
				}
				r := *o.r
				r.Seq += uint64(rapid.IntRange(1, 1000).Draw(rt, "seq"))
				r.Tags = make([]string, rapid.SampledFrom([]int{0, 1, 2_000}).Draw(rt, "tags"))
				for i := range r.Tags {
					r.Tags[i] = fmt.Sprint("tag", i)
				}
				if rapid.Bool().Draw(rt, "by body") {
					r.Body = b.get(k).Body
				}
				b.Update(t.Context(), &r)
				r.Body = nil
				model[k] = object{&r, o.n, o.size}
			},
			"update of another": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				if o, ok := model[k]; ok {
					b.Update(t.Context(), version(k, o.n-1, int64(o.size)))
					b.Update(t.Context(), version(k, o.n, int64(o.size+1)))
				}
			},
			"delete": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				b.Delete(t.Context(), k)
				delete(model, k)
			},
			"reopen": func(*rapid.T) { b.reopen() },
			"": func(rt *rapid.T) {
				for _, k := range []string{"a", "b", "c", "d"} {
					r, want := b.get(k), model[k]
					if (r == nil) != (want.r == nil) {
						rt.Fatalf("%s: there is %v, want %v", k, r, want.r)
					}
					if r == nil {
						continue
					}
					if d := same(r, want.r); d != "" {
						rt.Fatal(d)
					}
					if !bytes.Equal(b.body(r), versionBody(k, want.n, want.size)) {
						rt.Fatalf("%s: it has another body", k)
					}
				}
				all := 0
				for r := range b.All() {
					all++
					if d := same(r, model[r.Key].r); d != "" {
						rt.Fatal(d)
					}
				}
				if all != len(model) {
					rt.Fatalf("there are %d in all, want %d", all, len(model))
				}
				b.counted(rt)
			},
		})
	})
}

type failing interface{ Fatalf(string, ...any) }

// counted compares what the store says it takes with what it does: never less, and not much more.
func (b *bench) counted(t failing) {
	taken, files := int64(0), 0
	_ = filepath.WalkDir(b.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			taken += info.Sys().(*syscall.Stat_t).Blocks * 512
			files++
		}
		return err
	})
	if says := b.Stats().Bytes; says+2*4096 < taken || says > taken+int64(files)*2*4096 { // the lock and the marks are not counted
		t.Fatalf("it takes %d bytes in %d files, and says %d", taken, files, says)
	}
}

// TestManyAtOnce: whatever is read while others write, update and delete is whole.
func TestManyAtOnce(t *testing.T) {
	b := newBenchIn(t, fast(t), Options{Limit: 6 << 20})
	var all sync.WaitGroup
	for g := range 6 {
		all.Go(func() {
			rng := newRng(g)
			for step := range 150 {
				k := fmt.Sprint("k", rng.IntN(8))
				switch rng.IntN(6) {
				case 0, 1:
					n, size := g*1000+step, sizes[rng.IntN(len(sizes))]
					putSome(t, b.Store, version(k, n, -1), versionBody(k, n, size))
				case 2:
					b.Delete(t.Context(), k)
				case 3:
					if r := b.get(k); r != nil {
						changed := *r
						changed.Seq++
						b.Update(t.Context(), &changed)
					}
				default:
					checkVersion(t, b.Store, k)
				}
			}
		})
	}
	all.Wait()
	b.counted(t)
	before := b.Stats()
	if before.Bytes > before.Limit {
		t.Errorf("it takes too much: %+v", before)
	}
	b.reopen()
	after := b.Stats()
	after.Evicted = before.Evicted
	if before != after {
		t.Errorf("before %+v, after a restart %+v", before, after)
	}
	if b.log.String() != "" {
		t.Error(b.log)
	}
}

// putSome puts a version, and reads what is written while it goes on. It may be that there is no room.
func putSome(t testing.TB, s *Store, r *stored.Response, content []byte) {
	w, err := s.Put(context.Background(), r)
	if err != nil {
		return
	}
	defer w.(*writer).Close()
	read := make(chan bool)
	go func() {
		defer close(read)
		got := make([]byte, 0, len(content))
		p := make([]byte, 50_000)
		for range 10_000 {
			n, err := w.ReadAt(p, int64(len(got)))
			got = append(got, p[:n]...)
			if !bytes.HasPrefix(content, got) {
				t.Error("what is written reads otherwise")
			}
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, stored.ErrNotKept) {
				t.Error(err)
			}
			if len(got) == len(content) || errors.Is(err, stored.ErrNotKept) {
				return
			}
		}
	}()
	defer func() { <-read }()
	for rest := content; len(rest) > 0; {
		n, err := w.Write(rest[:min(len(rest), 30_001)])
		if err != nil {
			w.Abort()
			return
		}
		rest = rest[n:]
	}
	if _, err := w.Commit(r); err != nil && !errors.Is(err, stored.ErrNotKept) {
		t.Error(err)
	}
}

// checkVersion reads what is there for a key, which must be whole or not there.
func checkVersion(t testing.TB, s *Store, key string) (whole bool) {
	r := s.Get(context.Background(), key)
	if r == nil {
		return false
	}
	f, err := r.Body.Open()
	if err != nil {
		return false // it went between the two
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	n := 0
	_, _ = fmt.Sscan(r.Header.Get("X-Version"), &n)
	want := versionBody(key, n, int(r.Size))
	switch {
	case r.Key != key || r.Header.Get("Etag") != fmt.Sprintf(`"%d"`, n):
		t.Errorf("%s: the head is another: %v", key, r)
	case !bytes.HasPrefix(want, got) || err == nil && len(got) != len(want):
		t.Errorf("%s: the body is another", key)
	}
	return err == nil
}
