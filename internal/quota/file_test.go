package quota

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/limit"
)

func TestUsageSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "quota.state")
	b := newBench(t, path, "2026-11-30 12:00:00")
	b.want("month", "a\n\"", 10, 3, 3)
	b.want("1h", "a", 10, 3, 3)
	b.at("2026-11-30 12:10:00").want("1h", "a", 10, 3, 6)
	if err := b.flush(); err != nil {
		t.Fatal(err)
	}
	b.want("1h", "a", 10, 1, 7)
	b.at("2026-12-01 00:00:00").want("month", "a\n\"", 10, 1, 1)
	b.at("2026-11-30 12:11:00")
	for range 3 {
		b.shut()
		b.open(path)
		b.want("month", "a\n\"", 4, 2, -3)
		b.want("1h", "a", 7, 1, -7)
	}
	b.at("2026-11-30 13:02:00").want("1h", "a", 7, 1, 5)
	if found, _ := b.Reset(t.Context(), b.ask("1h", "a", 7).Series, Span{}, "a"); !found {
		t.Error("nothing was counted")
	}
	b.shut()
	b.open(path)
	b.want("1h", "a", 7, 1, 1)
	b.at("2026-12-01 00:00:00").want("month", "a\n\"", 10, 1, 2)
	if b.log.Len() > 0 {
		t.Error(b.log.String())
	}
}

func TestOneGatewayForAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quota.state")
	b := newBench(t, path, "2026-11-30 12:00:00")
	if _, err := Open(Options{File: path}); err == nil || !strings.Contains(err.Error(), "another gateway counts in it") {
		t.Errorf("got %v", err)
	}
	b.shut()
	b.open(path)
}

// TestALinkToTheFile stays one, when the file is written anew.
func TestALinkToTheFile(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	newBench(t, path, "2026-11-30 12:00:00").shut()
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, link, "2026-11-30 12:00:00")
	if _, err := Open(Options{File: path}); err == nil {
		t.Error("the file can be used by two names at once")
	}
	b.want("day", "a", 5, 1, 1)
	b.alone()
	if err := b.rewrite(); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); to != path {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	b.shut()
	b.open(path)
	b.want("day", "a", 5, 1, 2)
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("listen: :8080\nroutes: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		other: "it is no file of quotas", dir: "cannot write", filepath.Join(other, "x"): "cannot make the folder", "/proc/quota.state": "cannot use /proc/quota.state",
	} {
		if _, err := Open(Options{File: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if b, _ := os.ReadFile(other); !bytes.HasPrefix(b, []byte("listen")) {
		t.Error("a file of something else was changed")
	}
}

// alone ends the ledger's goroutine: the test writes itself, whenever it calls tick.
func (b *bench) alone() {
	close(b.stop)
	<-b.done
	b.stop, b.done = make(chan struct{}), make(chan struct{})
	close(b.done)
}

// TestAFileIsWrittenAnew: it does not grow without bound, and nothing gets lost.
func TestAFileIsWrittenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quota.state")
	b := newBench(t, path, "2026-11-30 12:00:00")
	b.alone()
	for round := range int64(60) {
		for i := range 500 {
			b.take("month", fmt.Sprintf("consumer %d of a long name, which takes room in the file", i), 1000, 1)
		}
		if b.tick(); round == 30 {
			b.want("day", "a", 5, 1, 1) // another series, in between
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > least+60*500 {
		t.Fatalf("%v, %v", info.Size(), err)
	}
	b.shut()
	b.open(path)
	for i := range 500 {
		b.want("month", fmt.Sprintf("consumer %d of a long name, which takes room in the file", i), 1000, 1, 61)
	}
	b.want("day", "a", 5, 1, 2)
}

// TestADiskThatIsFull: usage is counted in memory, and written once it can be.
func TestADiskThatIsFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quota.state")
	b := newBench(t, path, "2026-11-30 12:00:00")
	b.alone()
	b.want("month", "a", 10, 1, 1)
	right := b.file.f
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	b.file.f = full
	for range 3 {
		b.want("1h", "a", 10, 1, b.take("1h", "a", 10, 1)+1)
		b.tick()
	}
	if n := strings.Count(b.log.String(), "cannot write the file"); n != 1 {
		t.Errorf("%d lines:\n%s", n, b.log.String())
	}
	b.file.f = right
	b.tick()
	if !strings.Contains(b.log.String(), "can be written again") {
		t.Error(b.log.String())
	}
	copied, _ := os.ReadFile(path)
	again := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(again, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	c := newBench(t, again, "2026-11-30 12:00:00")
	c.want("month", "a", 10, 1, 2)
	c.want("1h", "a", 10, 1, 7)
}

// TestDamagedFiles: wherever bytes are damaged or cut off, the file opens, no key has another's usage or more than it used, and what
// is counted then is kept.
func TestDamagedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quota.state")
	b := newBench(t, path, "2026-11-30 12:00:00")
	for round := range 3 {
		for i := range 10 {
			b.take("month", fmt.Sprint("k", i), 1000, int64(i+1))
			b.take("day", fmt.Sprint("k", i), 1000, int64(i+1)*100)
		}
		if err := b.flush(); err != nil {
			t.Fatal(round, err)
		}
	}
	b.shut()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		damaged := bytes.Clone(whole)
		switch i % 3 {
		case 0:
			damaged = damaged[:random.IntN(len(damaged))]
		case 1:
			damaged[len(magic)+random.IntN(len(damaged)-len(magic))] ^= byte(1 + random.IntN(255))
		case 2:
			from := len(magic) + random.IntN(len(damaged)-len(magic))
			damaged = append(damaged[:from], damaged[min(len(damaged), from+random.IntN(200)):]...)
		}
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		b.open(path)
		for k := range 10 {
			for period, unit := range map[string]int64{"month": 1, "day": 100} {
				asks := []Ask{b.ask(period, fmt.Sprint("k", k), 1000)}
				b.Look(b.clock(), asks, 0)
				each := unit * int64(k+1)
				if u := asks[0].Used; u%each != 0 || u > 3*each {
					t.Fatalf("case %d: k%d per %s used %d\n%s", i, k, period, u, damaged)
				}
			}
		}
		b.want("week", "new", 10, 1, 1)
		b.shut()
		b.open(path)
		b.want("week", "new", 10, 1, 2)
		b.shut()
	}
}

func FuzzFile(f *testing.F) {
	l := &Ledger{names: map[string]*Series{}, taken: map[int]bool{}}
	s := l.find("orders \"x\"", Period{Unit: Month})
	a := s.add(limit.NewID("a"))
	a.set(usage{20000, 7})
	file := appendUsage(appendSeries([]byte(magic), s), a, true)
	f.Add(file)
	f.Add(file[:len(file)-3])
	f.Add([]byte(magic[:4]))
	f.Add([]byte(magic + "00000000 u 0 \"ta\" 1\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "quota.state")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(Options{File: path, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			if after, _ := os.ReadFile(path); !bytes.Equal(after, content) {
				t.Fatal("a file of something else was changed")
			}
			return
		}
		before := describe(l)
		asks := []Ask{{Series: l.Series("fuzz", Period{Unit: Day}, 9), ID: limit.NewID("x"), Amount: 5, Span: Span{Label: 1}}}
		if err := l.Charge(l.o.Now(), asks, 1); err != nil {
			t.Skip("as many keys as may be")
		}
		used := asks[0].Used
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if l, err = Open(Options{File: path, Log: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if asks[0].Series = l.Series("fuzz", Period{Unit: Day}, 9); true {
			l.Look(l.o.Now(), asks, 0)
		}
		if asks[0].Used != used {
			t.Fatalf("used %d, then %d", used, asks[0].Used)
		}
		for key, want := range before {
			if got := describe(l)[key]; got != want && !strings.HasPrefix(key, "fuzz ") {
				t.Fatalf("%s: %s, then %s", key, want, got)
			}
		}
	})
}

// describe tells all counts.
func describe(l *Ledger) map[string]string {
	all := map[string]string{}
	for _, s := range l.series {
		for _, a := range s.list {
			all[s.name+" "+s.period.String()+" "+idText(a.id)] = fmt.Sprint(a.recent, a.slots)
		}
	}
	return all
}

const dieWith = "CARDEA_TEST_QUOTA_FILE"

// dieIfAsked counts in a file until it is killed.
func dieIfAsked() bool {
	path := os.Getenv(dieWith)
	if path == "" {
		return false
	}
	l, err := Open(Options{File: path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return true
	}
	p := Period{Unit: Year}
	for i := range 100_000_000 { // it is killed long before
		asks := []Ask{{Series: l.Series("test", p, 1000), ID: limit.NewID(fmt.Sprint("k", i%100)), Amount: Unlimited, Span: Span{Label: 20000}}}
		if err := l.Charge(l.o.Now(), asks, 1); err != nil {
			fmt.Println(err)
			return true
		}
		if i%1000 == 999 {
			l.stopForTest()
			fmt.Println((i + 1) / 100) // what each key has used at least, in the file
		}
	}
	return true
}

// stopForTest writes the file now, in the place of the goroutine.
func (l *Ledger) stopForTest() {
	if l.stop != nil {
		close(l.stop)
		<-l.done
		l.stop = nil
	}
	l.tick()
}

// TestKill: after a process is killed while it writes, the file has all that had been written, and no more than was used.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quota.state")
	var used [100]int
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), dieWith+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var n int
		for range 20 + 7*round {
			if _, err := fmt.Fscanln(out, &n); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest := n
		for {
			if _, err := fmt.Fscanln(out, &rest); err != nil {
				break
			}
			n = rest
		}
		_ = cmd.Wait()
		l, err := Open(Options{File: path, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		for k := range 100 {
			asks := []Ask{{Series: l.Series("test", Period{Unit: Year}, 1000), ID: limit.NewID(fmt.Sprint("k", k)), Amount: Unlimited, Span: Span{Label: 20000}}}
			l.Look(l.o.Now(), asks, 0)
			if u := int(asks[0].Used); u < used[k]+n || u > used[k]+n+10 {
				t.Fatalf("round %d: k%d used %d, after %d of which %d were written", round, k, u, used[k], n)
			}
			used[k] = int(asks[0].Used)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
