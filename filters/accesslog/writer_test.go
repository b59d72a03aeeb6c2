package accesslog

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testWriter(t *testing.T, dir, name string) (*Writer, *filter.Env) {
	t.Helper()
	env := newEnv(t, dir)
	w, err := keptWriter(env, name)
	if err != nil {
		t.Fatal(err)
	}
	return w, env
}

func content(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLinesAreWrittenWithinASecond(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.log")
	if err := os.WriteFile(name, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w, _ := testWriter(t, dir, "a.log")
		w.write([]byte("one\n"))
		w.write([]byte("two\n"))
		time.Sleep(time.Second)
		synctest.Wait()
		if got := content(t, name); got != "before\none\ntwo\n" {
			t.Errorf("got %q", got)
		}
		w.write([]byte("three\n"))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := content(t, name); got != "before\none\ntwo\nthree\n" {
			t.Errorf("after Close: got %q", got)
		}
		w.write([]byte("late\n"))
		if n := count(w.late); n != 1 {
			t.Errorf("%v lines came too late, want 1", n)
		}
	})
}

func TestMuchIsWrittenAtOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, _ := testWriter(t, dir, "a.log")
		line := []byte(strings.Repeat("x", 1023) + "\n")
		for range 65 {
			w.write(line)
		}
		begin := time.Now()
		synctest.Wait()
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("waited %v", waited)
		}
		if got := len(content(t, filepath.Join(dir, "a.log"))); got < eagerly {
			t.Errorf("%d bytes are written", got)
		}
	})
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	name, old := filepath.Join(dir, "a.log"), filepath.Join(dir, "a.log.1")
	synctest.Test(t, func(t *testing.T) {
		w, _ := testWriter(t, dir, "a.log")
		put := func(line string) {
			w.write([]byte(line))
			time.Sleep(time.Second)
			synctest.Wait()
		}
		put("one\n")
		if err := os.Rename(name, old); err != nil {
			t.Fatal(err)
		}
		put("two\n")
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		put("three\n")
		w.Reopen()
		put("four\n")
		if a, b := content(t, old), content(t, name); a != "one\n" || b != "three\nfour\n" {
			t.Errorf("got %q and %q", a, b)
		}
	})
}

func TestLinesThatCannotBeWrittenAreCounted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w, _ := testWriter(t, dir, "a.log")
		put := func() {
			w.write([]byte("one\n"))
			w.write([]byte("two\n"))
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		put()
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		put()
		if n, got := count(w.failed), content(t, filepath.Join(dir, "a.log")); n != 2 || got != "one\ntwo\n" {
			t.Errorf("%v lines lost, %q written", n, got)
		}
	})
}

// TestAStuckPipeDropsLines writes into a pipe that nobody reads.
func TestAStuckPipeDropsLines(t *testing.T) {
	r, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer wr.Close()
	env := newEnv(t, t.TempDir())
	w := newWriter(env, "pipe", stream{wr})
	line := append(bytes.Repeat([]byte("x"), 64<<10-1), '\n')
	const n = 2*maxPending/(64<<10) + 50
	for range n {
		w.write(line)
	}
	dropped := count(w.full)
	if dropped < 1 || dropped+count(w.lines) != n {
		t.Errorf("%v of %d lines dropped, %v taken", dropped, n, count(w.lines))
	}
	read := make(chan int64)
	go func() {
		m, _ := io.Copy(io.Discard, r)
		read <- m
	}()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wr.Close()
	if got, want := <-read, int64(count(w.lines))*int64(len(line)); got != want {
		t.Errorf("%d bytes were written, want %d", got, want)
	}
}

func TestRoutesShareAWriter(t *testing.T) {
	dir := t.TempDir()
	env := newEnv(t, dir)
	one := newFilter(t, env, `log: a.log`)
	two := newFilter(t, env, `log: {file: `+filepath.Join(dir, "x", "..", "a.log")+`, fields: [status]}`)
	run(t, one, exchange(env, nil))
	run(t, two, exchange(env, nil))
	if n := len(env.Keeper.(filtertest.Keeper)); n != 1 {
		t.Errorf("there are %d writers", n)
	}
}

func TestACheckLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	env := newEnv(t, dir)
	newFilter(t, env, `log: a.log`)
	env.Keeper.(filtertest.Keeper).Close(t)
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("there is %v", entries)
	}
}
