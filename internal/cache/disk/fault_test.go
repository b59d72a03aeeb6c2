package disk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/stored"
)

// limited calls f while the process has a limit, and takes it away again.
func limited(t *testing.T, resource int, limit uint64, f func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before unix.Rlimit
	if err := unix.Getrlimit(resource, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(resource, &before); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// alone runs a test in a process of its own, whose limits are nobody else's. In that, it says yes.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childAlone) != "" {
		return true
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), childAlone+"=1")
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

const childAlone = "CARDEA_TEST_CACHE_ALONE"

// refused says whether a response is not kept, wherever that is found.
func (b *bench) refused(key string, size int) bool {
	b.Helper()
	w, err := b.Put(b.Context(), response(key, -1))
	if err == nil {
		defer w.Abort()
		_, err = w.Write(make([]byte, size))
	}
	if err == nil {
		_, err = w.Commit(response(key, -1))
	}
	if err != nil && err != stored.ErrNotKept {
		b.Error(err)
	}
	return err != nil
}

// back has the store look whether all is well, as it does by itself after a while, and checks that it keeps again.
func (b *bench) back() {
	b.Helper()
	if err := b.revive(); err != nil {
		b.Fatal(err)
	}
	if b.Stats().Down {
		b.Error("it is down")
	}
	b.put(version("back", 1, -1), versionBody("back", 1, 200_000))
	if !checkVersion(b.TB, b.Store, "back") {
		b.Error("nothing is kept")
	}
	b.counted(b.TB.(failing))
}

func (b *bench) said(n int, what string) {
	b.Helper()
	if got := strings.Count(b.log.String(), what); got != n {
		b.Errorf("%d lines have %q, want %d:\n%s", got, what, n, b.log)
	}
}

// TestNoRoomToWrite: what is there is read, nothing is added, and it is said once.
func TestNoRoomToWrite(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, size := range []int{10, 300_000} {
		b := newBench(t, Options{})
		b.put(version("a", 1, -1), versionBody("a", 1, 300_000))
		b.put(version("b", 1, -1), versionBody("b", 1, 3_000))
		seq := b.LoadMarks(func(uint64, filter.Purge) {})
		limited(t, unix.RLIMIT_FSIZE, 5, func() {
			for range 3 {
				if !b.refused("c", size) {
					t.Error("it is kept")
				}
			}
			if b.SaveMark(seq+1, filter.Purge{Tag: "x"}) == nil {
				t.Error("the purge is saved")
			}
			if !checkVersion(t, b.Store, "a") || !checkVersion(t, b.Store, "b") {
				t.Error("nothing is read")
			}
			if b.revive() == nil {
				t.Error("all is well")
			}
			if !b.Stats().Down {
				t.Error("it is not down")
			}
			// Who starts with these files now knows nothing of the purge: nothing may be used.
			if _, err := os.Stat(filepath.Join(b.dir, marksName)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file of purges is there: %v", err)
			}
		})
		b.back()
		if !checkVersion(t, b.Store, "a") || !checkVersion(t, b.Store, "b") || b.get("c") != nil {
			t.Error("what was there is lost")
		}
		b.reopen()
		if !checkVersion(t, b.Store, "a") {
			t.Error("what was there is lost")
		}
		found := false
		b.LoadMarks(func(n uint64, p filter.Purge) { found = found || n == seq+1 && p.Tag == "x" })
		if !found {
			t.Error("the purge is not known")
		}
		b.said(1, "cannot write in the cache's directory")
		b.said(1, "can be used again")
	}
}

// TestAFullDisk is the same with a disk that is full indeed, where one can be mounted.
func TestAFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := mountMemory(disk, 4<<20); err != nil {
		t.Skipf("no small disk can be made here (TestNoRoomToWrite is without): %v", err)
	}
	t.Cleanup(func() { unmount(t, disk) })
	b := newBenchIn(t, disk, Options{Limit: 64 << 20})
	kept := 0
	for i := range 100 {
		if !b.refused(fmt.Sprint(i), 300_000) {
			kept++
		}
	}
	if kept == 0 || kept > 14 {
		t.Errorf("%d were kept", kept)
	}
	for i := range kept {
		if r := b.get(fmt.Sprint(i)); r == nil || len(b.body(r)) != 300_000 {
			t.Errorf("%d is lost", i)
		}
	}
	b.said(1, "level=ERROR")
	for i := range kept {
		b.Delete(t.Context(), fmt.Sprint(i))
	}
	b.back()
}

// TestADirectoryThatGoes: it is made anew, and nobody sees an error.
func TestADirectoryThatGoes(t *testing.T) {
	b := newBench(t, Options{})
	for _, how := range []func() error{
		func() error { return os.RemoveAll(b.dir) },
		func() error {
			all, _ := filepath.Glob(b.dir + "/*")
			for _, f := range all {
				if err := os.RemoveAll(f); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		r := b.put(version("a", 1, -1), versionBody("a", 1, 300_000))
		b.put(version("b", 1, -1), versionBody("b", 1, 3_000))
		f, err := r.Body.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := how(); err != nil {
			t.Fatal(err)
		}
		if !b.refused("c", 300_000) {
			t.Error("it is kept")
		}
		b.Update(t.Context(), r)
		b.Delete(t.Context(), "a")
		if b.get("a") != nil || b.get("b") != nil {
			t.Error("it is still there")
		}
		if n, err := f.ReadAt(make([]byte, 100), 200_000); n != 100 || err != nil {
			t.Errorf("who reads does not go on: %d, %v", n, err)
		}
		f.Close()
		b.back()
		if _, err := Open(b.dir, b.o); err == nil {
			t.Error("it is not locked any more")
		}
	}
	b.said(2, "the cache's directory is lost")
	b.said(2, "can be used again")
}

// TestNoFilesToOpen: the process has as many open as it may.
func TestNoFilesToOpen(t *testing.T) {
	if !alone(t) {
		return
	}
	b := newBench(t, Options{})
	b.put(version("b", 1, -1), versionBody("b", 1, 3_000))
	kept := b.put(version("a", 1, -1), versionBody("a", 1, 300_000))
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	next := uint64(null.Fd()) // the least that is free: all below it are taken
	null.Close()
	limited(t, unix.RLIMIT_NOFILE, next, func() {
		if !checkVersion(t, b.Store, "b") {
			t.Error("no file is closed that nobody reads")
		}
	})
	f, err := kept.Body.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if null, err = os.Open("/dev/null"); err != nil {
		t.Fatal(err)
	}
	next = uint64(null.Fd())
	null.Close()
	limited(t, unix.RLIMIT_NOFILE, next, func() {
		for range 3 {
			if b.get("b") != nil || !b.refused("c", 300_000) {
				t.Error("a file was opened")
			}
		}
		if n, err := f.ReadAt(make([]byte, 100), 200_000); n != 100 || err != nil {
			t.Errorf("who reads does not go on: %d, %v", n, err)
		}
	})
	b.said(1, "the cache's directory is lost")
	b.back()
	if !checkVersion(t, b.Store, "a") || !checkVersion(t, b.Store, "b") {
		t.Error("what was there is lost")
	}
}

// TestDirectoriesThatCannotBeUsed are refused at the start.
func TestDirectoriesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "links")
	if err := os.MkdirAll(link, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, filepath.Join(link, lockName)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{file: "cannot make the directory", file + "/x": "cannot make the directory", link: "cannot use the directory", "/proc/cache": "cannot make the directory"} {
		if _, err := Open(path, Options{Limit: 1 << 30}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if _, err := Open(dir, Options{Limit: 1000}); err == nil {
		t.Error("1000 bytes are enough")
	}
}

func TestOnlyTheOwnerCanRead(t *testing.T) {
	b := newBench(t, Options{})
	b.put(version("a", 1, -1), versionBody("a", 1, 300_000))
	b.put(version("b", 1, -1), versionBody("b", 1, 300))
	_ = filepath.Walk(b.dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		return nil
	})
}

// TestMarksThatAreDamaged: whatever the damage, either all purges are known, or nothing that was stored is used any more.
func TestMarksThatAreDamaged(t *testing.T) {
	b := newBenchIn(t, fast(t), Options{})
	rng := newRng(3)
	for i := range 100 {
		seq := b.LoadMarks(func(uint64, filter.Purge) {})
		for j := range uint64(3) {
			if err := b.SaveMark(seq+j+1, filter.Purge{Tag: fmt.Sprint("tag", i)}); err != nil {
				t.Fatal(err)
			}
		}
		r := version("a", i, -1)
		r.Seq = seq + 3
		b.put(r, versionBody("a", i, 10))
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(b.dir, marksName)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := rng.IntN(len(content))
		switch i % 4 {
		case 0:
			content[at] ^= 1 << rng.IntN(8)
		case 1:
			content = content[:len(content)-1-at%60]
		case 2:
			content = append(content, content[at:]...)
			content = append(content, 'x')
		case 3:
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			content = nil
		}
		if content != nil {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b.open()
		known := 0
		again := b.LoadMarks(func(_ uint64, p filter.Purge) {
			if p.Tag == fmt.Sprint("tag", i) {
				known++
			}
		})
		if known != 3 && b.get("a") != nil {
			t.Fatalf("case %d: %d purges are known, and what is stored is used", i, known)
		}
		if content != nil && again <= seq+3 {
			t.Fatalf("case %d: the numbers go back", i)
		}
		b.counted(t)
	}
	if b.Stats().Objects != 0 {
		t.Error("what is void is not removed")
	}
}

// TestSweep: what is purged is removed, the marks are forgotten, and what was asked for before them does not come any more.
func TestSweep(t *testing.T) {
	b := newBench(t, Options{})
	seq := b.LoadMarks(func(uint64, filter.Purge) {})
	for i := range uint64(10) {
		r := version(fmt.Sprint(i), 0, -1)
		r.Seq = seq + i
		b.put(r, versionBody(r.Key, 0, 100))
	}
	late := version("late", 0, -1)
	late.Seq = seq + 3
	w, err := b.Put(t.Context(), late)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(5) {
		if err := b.SaveMark(seq+i+1, filter.Purge{Tag: fmt.Sprint(i), Soft: i > 2}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Sweep(t.Context(), seq+5, func(r *stored.Response) bool { return r.Seq < seq+4 }); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(late); err != stored.ErrNotKept {
		t.Errorf("what was asked for before: %v", err)
	}
	for range 2 {
		for i := range uint64(10) {
			if there := b.get(fmt.Sprint(i)) != nil; there != (i >= 4) {
				t.Errorf("%d: %v", i, there)
			}
		}
		left := []uint64{}
		if last := b.LoadMarks(func(n uint64, _ filter.Purge) { left = append(left, n-seq) }); last < seq+5 {
			t.Error("the numbers go back")
		}
		if fmt.Sprint(left) != "[5]" {
			t.Errorf("marks %v are left: that which is for an object only", left)
		}
		b.reopen()
	}
}

// TestManyMarks: they take no more room than there is for them, and forget none but by purging more.
func TestManyMarks(t *testing.T) {
	b := newBenchIn(t, fast(t), Options{})
	seq := b.LoadMarks(func(uint64, filter.Purge) {})
	const n = 150_000
	for i := range uint64(n) {
		if err := b.NoteMark(seq+i+1, filter.Purge{URL: fmt.Sprint("https://example.com/some/path/that/takes/room/", i)}); err != nil {
			t.Fatal(err)
		}
	}
	b.reopen()
	all, urls := uint64(0), map[uint64]bool{}
	b.LoadMarks(func(n uint64, p filter.Purge) {
		if p.All {
			all = max(all, n)
		}
		urls[n] = true
	})
	for i := seq + 1; i <= seq+n; i++ {
		if i > all && !urls[i] {
			t.Fatalf("purge %d of %d is forgotten", i-seq, n)
		}
	}
	if info, err := os.Stat(filepath.Join(b.dir, marksName)); err != nil || info.Size() > marksLimit+200 || len(urls) < 1000 {
		t.Errorf("%v, %v, %d", info.Size(), err, len(urls))
	}
	runtime.KeepAlive(b)
}

// TestWhatIsNotKeptIsRead: what a Commit does not keep can be read until Abort, and takes no room after it.
func TestWhatIsNotKeptIsRead(t *testing.T) {
	b := newBench(t, Options{Limit: 64 << 20})
	before := b.Stats().Bytes
	for _, size := range []int{100, 3 << 20} {
		content := bodyOf("k", size)
		w, err := b.Put(t.Context(), response("k", int64(size)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(response("another", int64(size))); err == nil {
			t.Error("it is kept with another key")
		}
		got := make([]byte, size)
		if n, err := w.ReadAt(got, 0); n != size || !bytes.Equal(got, content) {
			t.Errorf("%d bytes of %d: %v", n, size, err)
		}
		w.Abort()
		if _, err := w.ReadAt(got, 0); !errors.Is(err, stored.ErrNotKept) {
			t.Error(err)
		}
		if b.get("k") != nil || b.get("another") != nil || b.Stats().Bytes != before {
			t.Errorf("%+v", b.Stats())
		}
	}
}
