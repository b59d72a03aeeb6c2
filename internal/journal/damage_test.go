package journal

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzApply reads changes that are none, whose sums are right: they end in an error, or make records.
func FuzzApply(f *testing.F) {
	j := &Journal[head]{o: Options{Now: time.Now}, records: map[string]*Record[head]{}}
	tx := newTx(j)
	tx.Put("a", head{1}, time.Now(), text("x", "one"), text("y", ""))
	tx.Add("a", head{2}, time.Time{}, text("x", "two"))
	tx.Delete("a")
	f.Add(tx.buffer)
	f.Add([]byte("p\x01a\x00\x02{}\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte("a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		j := &Journal[head]{records: map[string]*Record[head]{}}
		in := &file{}
		if j.apply(in, payload, 100) != nil {
			return
		}
		for key, r := range j.records {
			j.count(r, 1)
			for _, p := range r.parts {
				if p.at < 100 || p.at+int64(p.size) > 100+int64(len(payload)) {
					t.Errorf("%q has a part at %d of %d bytes", key, p.at, p.size)
				}
			}
		}
		if in.live != j.live {
			t.Errorf("%d bytes are live, and %d of the file", j.live, in.live)
		}
	})
}

// TestCutFiles: whatever was not written to its end is left away, and all before it is there; then it goes on.
func TestCutFiles(t *testing.T) {
	b := newBench(t, Options{})
	var ends []int64 // of batches
	for i := range 4 {
		b.do(func(tx *Tx[head]) { tx.Put(fmt.Sprint(i), head{i}, time.Time{}, text("x", "value")) })
		ends = append(ends, b.size(b.files()[0]))
	}
	_ = b.Close()
	name := b.files()[0]
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		for _, tail := range []string{"", "\x00\x00\x00\x00", strings.Repeat("\x00", 5000), "garbage"} {
			if err := os.WriteFile(name, append(slices.Clone(whole[:cut]), tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			if tail == "garbage" && cut < len(magic) {
				continue // it is no journal
			}
			b.log.Reset()
			j, err := Open[head](b.o)
			if err != nil {
				t.Fatalf("cut at %d, then %q: %v", cut, tail, err)
			}
			b.Journal = j
			n := 0
			for n < len(ends) && ends[n] <= int64(cut) {
				n++
			}
			want := "0 0 x=value, 1 1 x=value, 2 2 x=value, 3 3 x=value"
			b.want(strings.Join(strings.Split(want, ", ")[:n], ", "))
			b.do(func(tx *Tx[head]) { tx.Put("9", head{9}, time.Time{}) })
			b.again()
			b.want(strings.Join(append(strings.Split(want, ", ")[:n:n], "9 9"), ", "))
			if err := b.Close(); err != nil || t.Failed() {
				t.Fatalf("cut at %d, then %q: %v", cut, tail, err)
			}
		}
	}
	b.open()
}

func (b *bench) size(name string) int64 {
	b.Helper()
	info, err := os.Stat(name)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// TestFlippedBits: each of them is found. In the last batch it cannot be told from a writing that did not come to its end, and is told of in the log.
func TestFlippedBits(t *testing.T) {
	b := newBench(t, Options{})
	last := int64(0)
	for i := range 3 {
		b.do(func(tx *Tx[head]) { tx.Put(fmt.Sprint(i), head{i}, time.Time{}, text("x", "value")) })
		if i == 1 {
			last = b.size(b.files()[0])
		}
	}
	_ = b.Close()
	name := b.files()[0]
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for _, bit := range []byte{1, 0x80} {
			damaged := slices.Clone(whole)
			damaged[i] ^= bit
			if err := os.WriteFile(name, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			b.log.Reset()
			j, err := Open[head](b.o)
			switch {
			case int64(i) >= last:
				if err != nil || !strings.Contains(b.log.String(), "was not written whole") {
					t.Fatalf("byte %d of the last batch: %v %s", i, err, b.log)
				}
				b.Journal = j
				b.want("0 0 x=value, 1 1 x=value")
				_ = b.Close()
			case err == nil:
				t.Fatalf("byte %d is not found", i)
			case i >= len(magic) && !strings.Contains(err.Error(), "is damaged at byte"):
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
	if err := os.WriteFile(name, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	b.open()
}

// TestMissingFiles: one that is gone, or is damaged at its end, is found by the one behind it.
func TestMissingFiles(t *testing.T) {
	for how, spoil := range map[string]func(name string) error{
		"gone": os.Remove, "empty": func(name string) error { return os.Truncate(name, 0) }, "cut": func(name string) error { return os.Truncate(name, 300) },
	} {
		b := newBench(t, Options{File: 500})
		for i := range 20 {
			b.do(func(tx *Tx[head]) {
				tx.Put(fmt.Sprint(i), head{i}, time.Time{}, text("x", "a longer value, so that there are files"))
			})
		}
		_ = b.Close()
		if err := spoil(b.files()[1]); err != nil {
			t.Fatal(err)
		}
		if _, err := Open[head](b.o); err == nil || !strings.Contains(err.Error(), "is damaged at byte") {
			t.Errorf("%s: %v", how, err)
		}
	}
}
