package shape_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/schema"
	"cardea.dev/cardea/internal/shape"
)

// paths lists the paths to all that a value has.
func paths(at document.Path, v any) (all []document.Path) {
	below := func(s document.Step, v any) {
		p := append(at[:len(at):len(at)], s)
		all = append(append(all, p), paths(p, v)...)
	}
	switch v := v.(type) {
	case map[string]any:
		for name, m := range v {
			below(document.Step{Name: name}, m)
		}
	case []any:
		for i, item := range v {
			below(document.Step{List: true, Index: i}, item)
			below(document.Step{List: true, Index: -1}, item)
		}
	}
	return all
}

// someEdits makes operations on what a value has.
func (m *maker) someEdits(all []document.Path) *document.Edits {
	e := &document.Edits{Mask: map[string]document.Mask{}, Rename: map[string]string{}, Set: map[string]any{}}
	for range 1 + m.IntN(3) {
		p := all[m.IntN(len(all))]
		s, field := p.String(), !p[len(p)-1].List
		switch kind := m.IntN(7); {
		case kind == 0:
			e.Select = s
		case kind == 1:
			e.Pick = append(e.Pick, s)
		case kind == 2:
			e.Drop = append(e.Drop, s)
		case kind == 3:
			e.Mask[s] = document.Mask{}
		case kind == 4 && field:
			e.Rename[s] = append(memberNames, "new")[m.IntN(len(memberNames)+1)]
		case kind == 5 && field:
			e.Flatten = append(e.Flatten, s)
		case kind == 6 && field && m.IntN(2) == 0:
			e.Set[s+".new"] = map[string]any{"x": 1}
		case kind == 6:
			e.Set[s] = map[string]any{"x": 1}
		}
	}
	return e
}

// FuzzEditsKnowWhatThereIs: operations on what a value has are right, as long as the operations before them leave it, and what they leave is known afterwards.
func FuzzEditsKnowWhatThereIs(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		m := &maker{Rand: rand.New(rand.NewPCG(seed, 2)), defs: map[string]any{}}
		for _, name := range []string{"d0", "d1", "d2"} {
			m.defs[name] = m.schema(2)
		}
		root := m.object(4)
		text, err := json.Marshal(map[string]any{"allOf": []any{root}, "$defs": m.defs})
		if err != nil {
			t.Fatal(err)
		}
		s := described(t, string(text))
		b, err := json.Marshal(m.value(5, root))
		if err != nil {
			t.Fatal(err)
		}
		v, err := schema.Decode(b, schema.Bounds{})
		if err != nil {
			t.Fatal(err)
		}
		if wrong, _ := compiled(t, string(text)).Check(v, 1); len(wrong) > 0 || len(paths(nil, v)) == 0 {
			return
		}
		e := m.someEdits(paths(nil, v))
		editor, err := document.Compile(e)
		if err != nil {
			return // two of them are in each other's way
		}
		one := 0
		for _, n := range []int{len(e.Select), len(e.Pick), len(e.Drop), len(e.Mask), len(e.Rename), len(e.Flatten), len(e.Set)} {
			one += min(n, 1)
		}
		left, unfit := editor.Apply(v, nil)
		after, errs := s.Edit(e)
		if len(errs) > 0 {
			if one <= 1 && unfit == nil {
				t.Fatalf("%s\n%s\n%+v\n%v", text, b, e, errs)
			}
			return
		}
		if unfit != nil {
			return
		}
		if err := reached(shape.Known(after), left); err != nil {
			out, _ := json.Marshal(left)
			t.Fatalf("%s\n%s\n%+v\n%s\n%v", text, b, e, out, err)
		}
	})
}
