package memory

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"cardea.dev/cardea/internal/stored"
)

// model is what a store may have: the response that was set last for each key.
type model struct {
	*Store
	set map[string]*stored.Response
}

func (m *model) check(t *rapid.T) {
	found := 0
	bytes, small, main := int64(0), int64(0), int64(0)
	for key, want := range m.set {
		got := m.GetString(key)
		if got != nil && got != want {
			t.Fatalf("%q: not what was set last", key)
		}
		if got == nil {
			delete(m.set, key) // evicted: it may not come back
			continue
		}
		found++
	}
	for r := range m.All() {
		if m.set[r.Key] != r {
			t.Fatalf("%q should not be there", r.Key)
		}
		e, _ := m.table(m.hash(r.Key)).Load().find(m.hash(r.Key), r.Key)
		bytes += e.cost
		if e.main {
			main += e.cost
		} else {
			small += e.cost
		}
		found--
	}
	if found != 0 || bytes != m.bytes || small != m.small.bytes || main != m.main.bytes || len(m.set) != m.objects {
		t.Fatalf("%d not found, %d of %d bytes, %d of %d and %d of %d in queues, %d of %d objects", found, bytes, m.bytes, small, m.small.bytes, main, m.main.bytes, len(m.set), m.objects)
	}
	index := m.empty() + m.ghosts.size()
	for i := range m.tables {
		if one := m.tables[i].Load(); one != m.none {
			index += tableSize(len(one.tags))
		}
	}
	if index != m.index {
		t.Fatalf("the index has %d bytes, not %d", index, m.index)
	}
	if st := m.Stats(); st.Bytes > st.Limit && st.Objects > 0 {
		t.Fatalf("%+v", st)
	}
}

// TestModel does all that can be done with a store, and sees to it that nothing is lost but what was evicted, and that bytes add up.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{New(rapid.Int64Range(1, 1<<17).Draw(t, "limit")), map[string]*stored.Response{}}
		key := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.IntRange(0, 300).Draw(t, "key")) })
		many := 0
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				before := m.Stats()
				r := &stored.Response{Key: key.Draw(t, "key"), Body: NewBody([][]byte{make([]byte, rapid.IntRange(0, 20000).Draw(t, "size"))})}
				was := m.GetString(r.Key) != nil
				kept := m.Set(r)
				if kept != (m.GetString(r.Key) == r) || !kept && m.GetString(r.Key) != nil {
					t.Fatalf("kept: %v, and found: %v", kept, m.GetString(r.Key))
				}
				after := m.Stats()
				if lost := before.Objects - after.Objects; kept && !was && lost != after.Evicted-before.Evicted-1 {
					t.Fatalf("%+v, then %+v", before, after)
				}
				m.set[r.Key] = r
			},
			"get": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if m.Get([]byte(k)) != m.GetString(k) {
					t.Fatal("Get and GetString differ")
				}
			},
			"fill": func(t *rapid.T) {
				for range rapid.IntRange(0, 300).Draw(t, "n") {
					many++
					r := &stored.Response{Key: fmt.Sprint("x", many)}
					m.Set(r)
					m.set[r.Key] = r
				}
			},
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "key")
				m.Delete(k)
				if m.GetString(k) != nil {
					t.Fatal("it is still there")
				}
				delete(m.set, k)
			},
			"grow":   func(t *rapid.T) { m.Grow(key.Draw(t, "key"), rapid.Int64Range(-1000, 50000).Draw(t, "delta")) },
			"resize": func(t *rapid.T) { m.Resize(rapid.Int64Range(0, 1<<18).Draw(t, "limit")) },
			"":       m.check,
		})
		for r := range m.All() {
			m.Delete(r.Key)
		}
		if m.bytes != 0 || m.objects != 0 || m.small != (queue{}) || m.main != (queue{}) {
			t.Fatalf("%d bytes, %d of them in queues, %d objects are left", m.bytes, m.small.bytes+m.main.bytes, m.objects)
		}
	})
}
