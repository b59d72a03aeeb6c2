package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// head is the head of a record in tests.
type head struct {
	N int `json:"n"`
}

// bench is a journal that is opened again and again.
type bench struct {
	testing.TB
	*Journal[head]
	o   Options
	log *bytes.Buffer
}

func newBench(t testing.TB, o Options) *bench {
	t.Helper()
	b := &bench{TB: t, o: o, log: &bytes.Buffer{}}
	if b.o.Dir == "" {
		b.o.Dir = filepath.Join(t.TempDir(), "in", "here")
	}
	b.o.Log = slog.New(slog.NewTextHandler(b.log, nil))
	b.open()
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (b *bench) open() {
	b.Helper()
	var err error
	if b.Journal, err = Open[head](b.o); err != nil {
		b.Fatal(err)
	}
}

// again closes it, and opens it once more.
func (b *bench) again() {
	b.Helper()
	if err := b.Close(); err != nil {
		b.Error(err)
	}
	b.open()
}

// do makes changes.
func (b *bench) do(f func(tx *Tx[head])) {
	b.Helper()
	if err := b.try(f); err != nil {
		b.Error(err)
	}
}

func (b *bench) try(f func(tx *Tx[head])) error {
	_, err := Do(b.Context(), b.Journal, func(tx *Tx[head]) bool { f(tx); return true })
	return err
}

// all is what there is: "key n name=value …".
func (b *bench) all() string {
	b.Helper()
	text, err := Do(b.Context(), b.Journal, func(tx *Tx[head]) string {
		found := map[string]string{}
		tx.Each(func(key string, r *Record[head]) {
			line := fmt.Sprintf("%s %d", key, r.Head.N)
			parts, err := tx.Parts(r)
			slices.SortFunc(parts, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
			for _, p := range parts {
				line += fmt.Sprintf(" %s=%s", p.Name, p.Value)
			}
			if err != nil {
				line += " " + err.Error()
			}
			found[key] = line
		})
		var lines []string
		for _, key := range slices.Sorted(maps.Keys(found)) {
			lines = append(lines, found[key])
		}
		return strings.Join(lines, ", ")
	})
	if err != nil {
		b.Error(err)
	}
	return text
}

func (b *bench) want(want string) {
	b.Helper()
	if got := b.all(); got != want {
		b.Errorf("there is %q, wanted %q", got, want)
	}
}

func (b *bench) files() []string {
	b.Helper()
	names, err := filepath.Glob(filepath.Join(b.o.Dir, "*"+suffix))
	if err != nil {
		b.Fatal(err)
	}
	return names
}

func text(name, value string) Part { return Part{name, []byte(value)} }

// TestWhatIsKept is there when the journal is opened again.
func TestWhatIsKept(t *testing.T) {
	b := newBench(t, Options{})
	b.do(func(tx *Tx[head]) {
		tx.Put("a", head{1}, time.Time{}, text("x", "one"), text("y", ""))
		tx.Add("a", head{2}, time.Time{}, text("x", "two"), text("z", "three"))
		tx.Put("b", head{3}, time.Time{}, text("x", "four"))
		tx.Delete("b")
		tx.Delete("c")
		if r := tx.Get("a"); r == nil || r.Head.N != 2 || !r.Has("y") || r.Has("w") || !tx.Changed("a") || tx.Changed("c") || tx.Get("b") != nil {
			t.Errorf("there is %+v", r)
		}
		for name, want := range map[string]string{"x": "two", "y": "", "z": "three", "w": ""} { // it is in no file yet
			if value, err := tx.Read(tx.Get("a"), name); err != nil || string(value) != want {
				t.Errorf("%s is %q, %v", name, value, err)
			}
		}
	})
	b.do(func(tx *Tx[head]) { tx.Add("b", head{5}, time.Time{}, text("y", "five")) })
	for range 3 {
		b.want("a 2 x=two y= z=three, b 5 y=five")
		b.again()
	}
	b.do(func(tx *Tx[head]) { tx.Put("b", head{6}, time.Time{}) })
	b.again()
	b.want("a 2 x=two y= z=three, b 6")
	if len(b.files()) != 1 || b.log.Len() > 0 {
		t.Error(b.files(), b.log)
	}
}

// TestModel does at random what a map does, in small files, and is opened again now and then.
func TestModel(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	b := newBench(t, Options{File: 2000, Now: func() time.Time { return now }})
	chance := rand.New(rand.NewPCG(1, 2))
	type kept struct {
		n     int
		until int64
		parts map[string]string
	}
	model := map[string]*kept{}
	most := 0
	for i := range 1500 {
		key := fmt.Sprint("k", chance.IntN(20))
		b.do(func(tx *Tx[head]) {
			old := model[key]
			fresh := &kept{n: i, parts: map[string]string{}}
			var until time.Time
			if chance.IntN(2) == 0 {
				until = now.Add(time.Duration(chance.IntN(600)) * time.Second)
				fresh.until = until.UnixMilli()
			}
			var parts []Part
			for range chance.IntN(4) {
				p := text(fmt.Sprint("p", chance.IntN(5)), strings.Repeat(fmt.Sprint(i), chance.IntN(20)))
				if _, twice := fresh.parts[p.Name]; !twice {
					fresh.parts[p.Name] = string(p.Value)
					parts = append(parts, p)
				}
			}
			switch chance.IntN(5) {
			case 0:
				tx.Delete(key)
				delete(model, key)
			case 1, 2:
				tx.Put(key, head{i}, until, parts...)
				model[key] = fresh
			default:
				if tx.Get(key) == nil {
					tx.Delete(key)
					old = nil
				}
				tx.Add(key, head{i}, until, parts...)
				if old != nil {
					for name, value := range old.parts {
						if _, is := fresh.parts[name]; !is {
							fresh.parts[name] = value
						}
					}
				}
				model[key] = fresh
			}
		})
		if i%10 == 0 {
			now = now.Add(time.Second * time.Duration(chance.IntN(30)))
			b.alone(b.sweep)
		}
		if i%100 == 0 {
			b.again()
		}
		most = max(most, len(b.files()))
		var lines []string
		for _, key := range slices.Sorted(maps.Keys(model)) {
			k := model[key]
			if k.until > 0 && k.until <= now.UnixMilli() {
				delete(model, key)
				continue
			}
			line := fmt.Sprintf("%s %d", key, k.n)
			for _, name := range slices.Sorted(maps.Keys(k.parts)) {
				line += fmt.Sprintf(" %s=%s", name, k.parts[name])
			}
			lines = append(lines, line)
		}
		b.want(strings.Join(lines, ", "))
		if t.Failed() {
			t.Fatal("after ", i)
		}
	}
	if most < 3 || most > 12 {
		t.Errorf("there were %d files", most)
	}
	if b.log.Len() > 0 {
		t.Error(b.log)
	}
}

// alone does something in the journal's goroutine.
func (b *bench) alone(f func()) { b.do(func(*Tx[head]) { f() }) }

// TestItDoesNotGrow: what is over is removed, and what is live for long is copied out of its way, with little written.
func TestItDoesNotGrow(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	b := newBench(t, Options{File: 10_000, Now: func() time.Time { return now }})
	b.do(func(tx *Tx[head]) { tx.Put("old", head{1}, time.Time{}, text("x", "stays")) })
	for i := range 1000 {
		b.do(func(tx *Tx[head]) {
			tx.Put(fmt.Sprint("k", i), head{i}, now.Add(time.Minute), text("x", strings.Repeat("x", 200)))
		})
		now = now.Add(time.Second)
		b.alone(b.sweep)
	}
	size := int64(0)
	for _, name := range b.files() {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > (growth+3)*10_000 {
		t.Errorf("%d files have %d bytes", len(b.files()), size)
	}
	b.again()
	b.do(func(tx *Tx[head]) {
		if v, err := tx.Read(tx.Get("old"), "x"); err != nil || string(v) != "stays" || tx.Get("k1") != nil || tx.Get("k999") == nil {
			t.Errorf("the old one is %q, %v", v, err)
		}
	})
}

// TestTogether has many at once, whose changes are written with few writings, and are there.
func TestTogether(t *testing.T) {
	b := newBench(t, Options{})
	var all sync.WaitGroup
	b.do(func(tx *Tx[head]) {
		for i := range 500 {
			all.Go(func() {
				if err := b.try(func(tx *Tx[head]) { tx.Put(fmt.Sprint(i), head{i}, time.Time{}) }); err != nil {
					t.Error(err)
				}
			})
		}
		for len(b.asked) < 500 { // they come while one is answered
			time.Sleep(time.Millisecond)
		}
	})
	all.Wait()
	b.alone(func() {
		if b.number > 10 {
			t.Errorf("%d batches were written", b.number)
		}
	})
	b.again()
	if n := strings.Count(b.all(), ","); n != 499 {
		t.Errorf("there are %d", n+1)
	}
}

// TestOneAtATime: neither another gateway nor another part of this one uses the folder, until it is given back.
func TestOneAtATime(t *testing.T) {
	b := newBench(t, Options{})
	if _, err := Open[head](b.o); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), b.o.Dir) {
		t.Errorf("got %v", err)
	}
	b.again()
}

// TestFoldersThatCannotBeUsed are told of.
func TestFoldersThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign")
	if err := errors.Join(os.Mkdir(foreign, 0o700), os.WriteFile(filepath.Join(foreign, "x"+suffix), []byte("listen: :8080\nroutes: []\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{file: "cannot be made", "/proc": "cannot be written here", foreign: "is no journal"} {
		j, err := Open[head](Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), "cannot use the directory "+dir) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", dir, err)
		}
		if j != nil {
			t.Error("there is one")
		}
	}
}

// TestClosing: nobody waits for ever.
func TestClosing(t *testing.T) {
	b := newBench(t, Options{})
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := b.try(func(*Tx[head]) { t.Error("it is done") }); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	b.open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Do(ctx, b.Journal, func(*Tx[head]) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestPermissions: nobody else can read it.
func TestPermissions(t *testing.T) {
	b := newBench(t, Options{})
	b.do(func(tx *Tx[head]) { tx.Put("a", head{1}, time.Time{}) })
	err := filepath.WalkDir(b.o.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// BenchmarkDo is one change after the other, and many at once.
func BenchmarkDo(b *testing.B) {
	change := func(w *bench, i int) {
		w.do(func(tx *Tx[head]) {
			tx.Put(fmt.Sprint(i%1000), head{i}, time.Time{}, text("x", strings.Repeat("x", 1000)))
		})
	}
	b.Run("alone", func(b *testing.B) {
		w := newBench(b, Options{})
		for i := 0; b.Loop(); i++ {
			change(w, i)
		}
	})
	b.Run("together", func(b *testing.B) {
		w := newBench(b, Options{})
		b.SetParallelism(64)
		b.RunParallel(func(p *testing.PB) {
			for i := 0; p.Next(); i++ {
				change(w, i)
			}
		})
	})
}
