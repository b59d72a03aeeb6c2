package purge

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/stored"
)

// model knows each purge by itself.
type model []struct {
	seq uint64
	p   filter.Purge
}

func (m model) check(r *stored.Response) State {
	state := Valid
	for _, one := range m {
		if one.seq <= r.Seq || !hits(one.p, r) {
			continue
		}
		if !one.p.Soft {
			return Purged
		}
		state = Soft
	}
	return state
}

func hits(p filter.Purge, r *stored.Response) bool {
	switch {
	case p.All:
		return true
	case p.Tag != "":
		for _, tag := range r.Tags {
			if tag == p.Tag {
				return true
			}
		}
		return false
	case p.URL != "":
		return p.URL == r.URL
	}
	return strings.HasPrefix(r.URL, p.Prefix)
}

func randomURL(rnd *rand.Rand) string {
	return "https://h/" + strings.Repeat("a/", rnd.IntN(6)) + string(rune('a'+rnd.IntN(4)))
}

func randomPurge(rnd *rand.Rand) filter.Purge {
	p := filter.Purge{Soft: rnd.IntN(3) == 0}
	switch n := rnd.IntN(100); {
	case n == 0:
		p.All = true
	case n < 30:
		p.Tag = fmt.Sprint("tag", rnd.IntN(20))
	case n < 60:
		p.URL = randomURL(rnd)
	default:
		p.Prefix = randomURL(rnd)
	}
	return p
}

func randomResponse(rnd *rand.Rand, seq uint64) *stored.Response {
	r := &stored.Response{URL: randomURL(rnd), Seq: seq}
	for range rnd.IntN(3) {
		r.Tags = append(r.Tags, fmt.Sprint("tag", rnd.IntN(20)))
	}
	return r
}

// With few marks there are no collisions, so the answers are the model's exactly; in whatever order the purges come, and after Write and Read.
func TestAnswersAsAnExactModelDoes(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var known model
		added, applied := New(), New()
		for range 80 {
			p := randomPurge(rnd)
			known = append(known, struct {
				seq uint64
				p   filter.Purge
			}{added.Add(p), p})
		}
		for _, i := range rnd.Perm(len(known)) {
			applied.Apply(known[i].seq, known[i].p)
			if rnd.IntN(4) == 0 {
				applied.Apply(known[i].seq, known[i].p)
			}
		}
		read := reread(t, added)
		for range 300 {
			r := randomResponse(rnd, rnd.Uint64N(added.Seq()+1))
			want := known.check(r)
			for name, m := range map[string]*Marks{"added": added, "applied": applied, "read": read} {
				if got := m.Check(r); got != want {
					t.Fatalf("seed %d, %s: %s (%q, fetched after %d) is %v, expected %v", seed, name, r.URL, r.Tags, r.Seq, got, want)
				}
			}
		}
	}
}

func reread(t *testing.T, m *Marks) *Marks {
	t.Helper()
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	read := New()
	if err := read.Read(&b); err != nil {
		t.Fatal(err)
	}
	if read.Seq() != m.Seq() {
		t.Fatalf("after reading, Seq is %d, expected %d", read.Seq(), m.Seq())
	}
	return read
}

// However many marks there are, what is purged is never valid, and of what is not few are missed.
func TestCollisionsOnlyMiss(t *testing.T) {
	m := New()
	const marks = 20_000
	for i := range marks {
		m.Add(filter.Purge{URL: fmt.Sprint("https://h/purged/", i)})
	}
	for i := range marks {
		if got := m.Check(&stored.Response{URL: fmt.Sprint("https://h/purged/", i)}); got != Purged {
			t.Fatalf("purged URL %d is %v", i, got)
		}
	}
	missed := 0
	for i := range marks {
		if m.Check(&stored.Response{URL: fmt.Sprint("https://h/other/", i)}) != Valid {
			missed++
		}
	}
	if missed > marks/50 {
		t.Errorf("%d of %d others are missed, expected about 1 %%", missed, marks)
	}
}

func TestLatest(t *testing.T) {
	m := New()
	want := func(url string, seq uint64) {
		t.Helper()
		if got := m.Latest(url); got != seq {
			t.Errorf("the latest purge of %s is %d, expected %d", url, got, seq)
		}
	}
	want("https://h/a", 0)
	m.Add(filter.Purge{URL: "https://h/a"})
	m.Add(filter.Purge{Prefix: "https://h/b"})
	m.Add(filter.Purge{URL: "https://h/a", Soft: true})
	want("https://h/a", 1)
	want("https://h/b/c", 2)
	want("https://h/", 0)
	m.Add(filter.Purge{Tag: "x"})
	want("https://h/", 4)
	m.Add(filter.Purge{URL: "https://h/a"})
	want("https://h/a", 5)
	want("https://h/", 4)
	m.Add(filter.Purge{All: true})
	want("https://h/a", 6)
}

func TestTooManyPrefixesPurgeMoreNotLess(t *testing.T) {
	m := New()
	old := &stored.Response{URL: "https://h/never"}
	for i := range 2 * maxPrefixes {
		m.Add(filter.Purge{Prefix: fmt.Sprintf("https://h/%d/", i)})
		if i == maxPrefixes-1 && m.Check(old) != Valid {
			t.Error("with as many as may be, something else is purged")
		}
	}
	if m.Check(old) != Purged {
		t.Error("the oldest prefixes are forgotten, and what was fetched before is valid")
	}
	for i := range 2 * maxPrefixes {
		url := fmt.Sprintf("https://h/%d/x", i)
		if m.Check(&stored.Response{URL: url, Seq: uint64(i)}) != Purged {
			t.Errorf("%s is not purged", url)
		}
		if i > maxPrefixes && m.Check(&stored.Response{URL: url, Seq: uint64(i + 1)}) != Valid {
			t.Errorf("%s is purged, though fetched later", url)
		}
	}
	if n := len(m.hard.prefixes.copied()); n > maxPrefixes {
		t.Errorf("%d prefixes are kept", n)
	}
	long := "https://h/" + strings.Repeat("x", 2*maxPrefix)
	m.Add(filter.Purge{Prefix: long})
	if m.Check(&stored.Response{URL: long + "y", Seq: m.Seq() - 1}) != Purged {
		t.Error("a prefix that is too long does not purge")
	}
}

func TestNumbers(t *testing.T) {
	m := New()
	m.AtLeast(41)
	if seq := m.Add(filter.Purge{Tag: "a"}); seq != 42 || m.Seq() != 42 {
		t.Errorf("Add returned %d, Seq is %d", seq, m.Seq())
	}
	m.Apply(7, filter.Purge{Tag: "b"})
	if m.Seq() != 42 {
		t.Errorf("an older purge sets Seq to %d", m.Seq())
	}
	for _, c := range []struct {
		tag  string
		seq  uint64
		want State
	}{{"a", 41, Purged}, {"a", 42, Valid}, {"b", 6, Purged}, {"b", 7, Valid}, {"c", 0, Valid}} {
		if got := m.Check(&stored.Response{URL: "https://h/", Tags: []string{"x", c.tag}, Seq: c.seq}); got != c.want {
			t.Errorf("%+v is %v", c, got)
		}
	}
}

// What is asked for before a purge returns, and checked after, is purged.
func TestPurgesHoldOnceTheyReturn(t *testing.T) {
	m := New()
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 500 {
				url, tag := fmt.Sprintf("https://h/%d/%d", g, i), fmt.Sprint("t", g, "-", i)
				p := []filter.Purge{{URL: url}, {Tag: tag}, {Prefix: url}, {URL: url, Soft: true}}[i%4]
				r := &stored.Response{URL: url, Tags: []string{tag}, Seq: m.Seq()}
				m.Add(p)
				if m.Check(r) == Valid {
					t.Errorf("%s is valid after %+v", url, p)
				}
				if i%100 == 0 {
					_ = m.Write(&bytes.Buffer{})
				}
			}
		})
	}
	all.Wait()
}

func TestCheckDoesNotAllocate(t *testing.T) {
	m, r := busy()
	if n := testing.AllocsPerRun(100, func() { m.Check(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// busy are marks of every sort, and a response that none is for.
func busy() (*Marks, *stored.Response) {
	m := New()
	for i := range 1000 {
		m.Add(filter.Purge{URL: fmt.Sprint("https://shop.example.com/products/", i)})
		m.Add(filter.Purge{Tag: fmt.Sprint("tag", i), Soft: i%2 == 0})
		m.Add(filter.Purge{Prefix: fmt.Sprintf("https://shop.example.com/section-%d/", i)})
	}
	return m, &stored.Response{URL: "https://shop.example.com/products/shoes?page=2&order=price", Tags: []string{"products", "shoes", "product-1234"}}
}

func BenchmarkCheck(b *testing.B) {
	m, r := busy()
	now := *r
	now.Seq = m.Seq()
	few := New()
	few.Add(filter.Purge{URL: "https://shop.example.com/x"})
	for _, c := range []struct {
		name string
		m    *Marks
		r    *stored.Response
	}{{"none since", m, &now}, {"one URL", few, r}, {"3000 of all sorts", m, r}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c.m.Check(c.r) != Valid {
					b.Fatal("purged")
				}
			}
		})
	}
}

func BenchmarkAdd(b *testing.B) {
	m := New()
	b.ReportAllocs()
	for b.Loop() {
		m.Add(filter.Purge{URL: "https://shop.example.com/products/shoes?page=2"})
	}
}

func FuzzRead(f *testing.F) {
	m := New()
	for _, p := range []filter.Purge{{URL: "https://h/a"}, {Tag: "a", Soft: true}, {Prefix: "https://h/b"}, {Prefix: "https://h/b/c", Soft: true}, {All: true}} {
		m.Add(p)
		var b bytes.Buffer
		_ = m.Write(&b)
		f.Add(b.Bytes()[len(head)+3 : b.Len()-8])
	}
	f.Fuzz(func(_ *testing.T, state []byte) {
		if m, ok := decodeBody(state); ok {
			m.Check(&stored.Response{URL: "https://h/a", Tags: []string{"a"}})
		}
		_ = New().Read(bytes.NewReader(state))
	})
}

func TestReadRefusesWhatIsNotWhole(t *testing.T) {
	from, _ := busy()
	var b bytes.Buffer
	if err := from.Write(&b); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	for _, cut := range []int{0, 1, len(head), len(whole) / 2, len(whole) - 1} {
		m := New()
		if m.Read(bytes.NewReader(whole[:cut])) == nil || m.Seq() != 0 {
			t.Errorf("the first %d bytes of %d are read", cut, len(whole))
		}
	}
	for at := 0; at < len(whole); at += 97 {
		broken := bytes.Clone(whole)
		broken[at] ^= 4
		m := New()
		if m.Read(bytes.NewReader(broken)) == nil || m.Seq() != 0 {
			t.Errorf("with byte %d changed it is read", at)
		}
	}
}
