package acme

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	f, ctx := folder{filepath.Join(dir, "store")}, t.Context()
	if _, err := f.load(ctx, "a/b"); !errors.Is(err, errNotStored) {
		t.Errorf("got %v", err)
	}
	if err := f.remove(ctx, "a/b"); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"one", "another"} {
		if err := f.save(ctx, "a/*.b", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := f.load(ctx, "a/*.b"); err != nil || string(got) != text {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if err := f.remove(ctx, "a/*.b"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "..", "a/../../b", "a//b", "/a", "."} {
		if err := f.save(ctx, name, nil); err == nil {
			t.Errorf("stored by the name %q", name)
		}
	}
	if err := f.save(ctx, "a\x00\\..b/c", nil); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside of the folder: %v, %v", entries, err)
	}
}

func TestLocks(t *testing.T) {
	f := folder{t.TempDir()}
	var inside, most atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			unlock, err := f.lock(t.Context(), "x")
			if err != nil {
				t.Error(err)
				return
			}
			if n := inside.Add(1); n > most.Load() {
				most.Store(n)
			}
			if err := f.save(t.Context(), "something that takes a moment", nil); err != nil {
				t.Error(err)
			}
			inside.Add(-1)
			unlock()
		})
	}
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d held the lock at once", most.Load())
	}
	unlock, err := f.lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := f.lock(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	other, err := f.lock(t.Context(), "y")
	if err != nil {
		t.Fatal(err)
	}
	other()
	unlock()
}

// TestLockOfAnotherProcess has a process hold a lock, and die with it.
func TestLockOfAnotherProcess(t *testing.T) {
	if name := os.Getenv("CARDEA_TEST_LOCK"); name != "" {
		if _, err := (folder{name}).lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("locked\n")
		select {}
	}
	dir := t.TempDir()
	holder := exec.Command(os.Args[0], "-test.run=^TestLockOfAnotherProcess$")
	holder.Env = append(os.Environ(), "CARDEA_TEST_LOCK="+dir)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Wait() }()
	defer func() { _ = holder.Process.Kill() }()
	line := make([]byte, 7)
	if _, err := out.Read(line); err != nil || string(line) != "locked\n" {
		t.Fatalf("%q, %v", line, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := (folder{dir}).lock(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("while another process holds it: %v", err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	unlock, err := (folder{dir}).lock(ctx, "x")
	if err != nil {
		t.Fatalf("after its holder died: %v", err)
	}
	unlock()
}

func TestHookShowsLittle(t *testing.T) {
	h := &head{}
	for range 100 {
		if n, err := h.Write([]byte(strings.Repeat("x", 100))); n != 100 || err != nil {
			t.Fatal(n, err)
		}
	}
	if h.Len() != said {
		t.Errorf("%d bytes", h.Len())
	}
}

// TestHookDoesNotHoldUpTheEnd has a program that hangs when the gateway ends.
func TestHookDoesNotHoldUpTheEnd(t *testing.T) {
	h := hook{hookSettings{exec: []string{"/bin/sh", "-c", "sleep 100"}, timeout: time.Minute}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if err := h.Present(ctx, acme.Challenge{}); err == nil || !strings.Contains(err.Error(), "it was ended") && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := h.CleanUp(ctx, acme.Challenge{}); err == nil || !strings.Contains(err.Error(), "it was ended") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took < lastTime || took > 2*lastTime {
		t.Errorf("it took %v", took)
	}
}
