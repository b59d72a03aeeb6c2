package disk

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/stored"
)

func newRng(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 7)) }

const childDir = "CARDEA_TEST_CACHE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

// child fills a cache until it is killed.
func child(dir string) {
	s, err := Open(dir, Options{Limit: 8 << 20, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	seq := s.LoadMarks(func(uint64, filter.Purge) {})
	fmt.Println("open", seq)
	t := &testing.T{}
	rng := rand.New(rand.NewPCG(rand.Uint64(), 7))
	for n := rng.IntN(1 << 30); ; n++ {
		k := fmt.Sprint("k", rng.IntN(30))
		if t.Failed() {
			panic("what is written reads otherwise")
		}
		switch rng.IntN(20) {
		case 0:
			seq++
			if err := s.SaveMark(seq, filter.Purge{Tag: fmt.Sprint("t", seq)}); err == nil {
				fmt.Println("saved", seq)
			}
		case 1:
			s.Delete(t.Context(), k)
		case 2, 3, 4:
			if r := s.Get(t.Context(), k); r != nil {
				changed := *r
				changed.Seq++
				s.Update(t.Context(), &changed)
			}
		default:
			putSome(t, s, version(k, n, -1), versionBody(k, n, sizes[rng.IntN(len(sizes))]))
		}
	}
}

// TestKilledWhileItWrites: a process that writes is killed again and again. What is served after each restart is whole, and no purge that was saved is
// forgotten.
func TestKilledWhileItWrites(t *testing.T) {
	dir := filepath.Join(fast(t), "cache")
	saved := map[uint64]bool{}
	whole := 0
	for range 30 {
		for _, n := range killed(t, dir) {
			saved[n] = true
		}
		whole += afterCrash(t, dir, saved)
		if t.Failed() {
			return
		}
	}
	if whole == 0 || len(saved) == 0 {
		t.Errorf("there were %d objects and %d purges: nothing was tested", whole, len(saved))
	}
	t.Logf("%d objects were whole, and %d purges known", whole, len(saved))
}

// killed starts a process, kills it some time after it has begun, and returns which purges it has saved.
func killed(t *testing.T, dir string) (saved []uint64) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childDir+"="+dir)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		n := uint64(0)
		_, _ = fmt.Sscan(rest, &n)
		switch word {
		case "open":
			time.AfterFunc(time.Duration(rand.IntN(200))*time.Millisecond, func() { _ = c.Process.Kill() })
		case "saved":
			saved = append(saved, n)
		default:
			t.Fatalf("%s\n%s", lines.Text(), &stderr)
		}
	}
	_ = c.Wait()
	if stderr.Len() > 0 {
		t.Error(stderr.String())
	}
	return saved
}

func afterCrash(t *testing.T, dir string, saved map[uint64]bool) (whole int) {
	t.Helper()
	b := &bench{TB: t, dir: dir, o: Options{Limit: 8 << 20}, log: &logged{}}
	b.o.Log = slog.New(slog.NewTextHandler(b.log, nil))
	b.open()
	defer b.Store.Close()
	known := map[uint64]bool{}
	last := b.LoadMarks(func(n uint64, _ filter.Purge) { known[n] = true })
	for n := range saved {
		if !known[n] || n >= last {
			t.Errorf("purge %d is not known, the last is %d", n, last)
		}
	}
	objects := b.Stats().Objects
	for k := range 30 {
		if checkVersion(t, b.Store, fmt.Sprint("k", k)) {
			whole++
		}
	}
	if int64(whole) != objects {
		t.Errorf("%d of %d objects are whole: the death of a process breaks none", whole, objects)
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), tempPrefix) {
			t.Errorf("%s is left", path)
		}
		return err
	})
	b.counted(t)
	if b.log.String() != "" {
		t.Error(b.log)
	}
	return whole
}

// TestDamagedFiles: wherever a file is damaged, what is read is right as far as it goes, and what is found damaged is not there any more.
func TestDamagedFiles(t *testing.T) {
	b := newBenchIn(t, fast(t), Options{})
	rng := newRng(1)
	for i := range 400 {
		n, size := i, sizes[rng.IntN(len(sizes))]
		k := fmt.Sprint("k", i%3)
		b.put(version(k, n, -1), versionBody(k, n, size))
		if r := b.get(k); rng.IntN(2) == 0 {
			changed := *r
			changed.Seq++
			b.Update(t.Context(), &changed)
		}
		b.files.reset()
		b.damage(rng, k)
		if rng.IntN(4) == 0 {
			b.reopen()
		}
		if whole := checkVersion(t, b.Store, k); !whole && checkVersion(t, b.Store, k) {
			t.Errorf("it is there again")
		}
	}
	b.reopen()
	b.counted(t)
	if b.log.String() != "" {
		t.Error(b.log)
	}
}

// damage does something to one of the files of an object.
func (b *bench) damage(rng *rand.Rand, key string) {
	i := newID(key)
	path := filepath.Join(b.dir, folderName(i.folder()), i.name())
	if _, err := os.Stat(path + headSuffix); err == nil && rng.IntN(2) == 0 {
		path += headSuffix
	}
	content, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	at := rng.IntN(len(content))
	switch rng.IntN(6) {
	case 0:
		content[at] ^= 1 << rng.IntN(8)
	case 1:
		content = content[:at]
	case 2:
		clear(content[at/4096*4096 : min(len(content), at/4096*4096+4096)]) // a page that was not written
	case 3:
		content = append(content, content[at:]...)
	case 4:
		if len(content) > 3*blockSize { // two blocks change places
			x, y := content[blockOffset(0):blockOffset(1)], content[blockOffset(1):blockOffset(2)]
			z := bytes.Clone(x)
			copy(x, y)
			copy(y, z)
		}
	case 5:
		content = nil
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.Fatal(err)
	}
}

// TestOtherThingsInTheDirectory are left alone, not followed, and in nobody's way.
func TestOtherThingsInTheDirectory(t *testing.T) {
	b := newBench(t, Options{})
	outside := filepath.Join(t.TempDir(), "secret")
	b.put(version("a", 1, -1), versionBody("a", 1, 100))
	path := func(key string) string {
		return filepath.Join(b.dir, folderName(newID(key).folder()), newID(key).name())
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Rename(path("a"), outside))
	must(os.Symlink(outside, path("a")))
	must(os.MkdirAll(filepath.Join(path("dir"), "x"), 0o700))
	must(os.WriteFile(filepath.Join(b.dir, "notes.txt"), []byte("x"), 0o600))
	must(os.WriteFile(filepath.Join(b.dir, "00", "notes.txt"), []byte("x"), 0o600))
	for range 2 {
		if b.get("a") != nil || b.get("dir") != nil {
			t.Error("a link is followed")
		}
		b.reopen()
	}
	if n := b.Stats().Objects; n != 0 {
		t.Errorf("%d objects", n)
	}
	w, err := b.Put(t.Context(), response("dir", -1))
	must(err)
	if _, err := w.Commit(response("dir", -1)); err != stored.ErrNotKept {
		t.Errorf("got %v", err)
	}
	b.put(version("a", 2, -1), versionBody("a", 2, 200))
	if !checkVersion(t, b.Store, "a") {
		t.Error("it is not stored")
	}
	for _, p := range []string{outside, filepath.Join(path("dir"), "x"), filepath.Join(b.dir, "notes.txt"), filepath.Join(b.dir, "00", "notes.txt")} {
		_, err := os.Lstat(p)
		must(err)
	}
	b.Delete(t.Context(), "a")
	if b.Stats().Down || b.log.String() != "" {
		t.Error(b.log)
	}
}
