package document_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"cardea.dev/cardea/internal/document"
)

// oracle does edits to a value, one after the other, and says whether they fail.
func oracle(e *document.Edits, v any) (any, bool) {
	if e.Select != "" {
		p, _ := document.ParsePath(e.Select)
		var ok bool
		if v, ok = p.Get(v); !ok {
			return nil, true
		}
	}
	if len(e.Pick) > 0 {
		v = picked(paths(e.Pick), v, true)
	}
	v = rebuilt(paths(e.Drop), v, func(any) (any, bool) { return nil, false })
	failed := false
	v = rebuilt(paths(slices.Collect(maps.Keys(e.Mask))), v, func(v any) (any, bool) { return hidden(v), true })
	v = renamed(e, v, &failed)
	v = flattened(paths(e.Flatten), v, &failed)
	// What is set in each element is set before what is set in one.
	for _, s := range slices.SortedFunc(maps.Keys(e.Set), eachFirst) {
		p, _ := document.ParsePath(s)
		v = set(p, v, e.Set[s], &failed)
	}
	return v, failed
}

func eachFirst(a, b string) int {
	mark := func(s string) string { return strings.ReplaceAll(s, "[]", "[\x00]") }
	return strings.Compare(mark(a), mark(b))
}

func paths(texts []string) (all []document.Path) {
	for _, s := range texts {
		p, _ := document.ParsePath(s)
		all = append(all, p)
	}
	return all
}

// below are the rests of the paths that go through a step.
func below(all []document.Path, index int, name string, list bool) (rest []document.Path, here bool) {
	for _, p := range all {
		s := p[0]
		if s.List != list || list && s.Index != -1 && s.Index != index || !list && s.Name != name {
			continue
		}
		if len(p) == 1 {
			here = true
		} else {
			rest = append(rest, p[1:])
		}
	}
	return rest, here
}

// picked keeps what the paths lead to.
func picked(all []document.Path, v any, top bool) any {
	leads := func(list bool) bool {
		return slices.ContainsFunc(all, func(p document.Path) bool { return p[0].List == list })
	}
	switch v := v.(type) {
	case []any:
		if !leads(true) {
			break
		}
		list := []any{}
		for i, item := range v {
			rest, here := below(all, i, "", true)
			if here {
				list = append(list, item)
			} else if item = picked(rest, item, false); item != nil {
				list = append(list, item)
			}
		}
		return list
	case map[string]any:
		if !leads(false) {
			break
		}
		m := map[string]any{}
		for name, item := range v {
			rest, here := below(all, 0, name, false)
			if here {
				m[name] = item
			} else if item = picked(rest, item, false); item != nil {
				m[name] = item
			}
		}
		return m
	}
	return nil
}

// rebuilt replaces or leaves out what the paths lead to.
func rebuilt(all []document.Path, v any, edit func(any) (any, bool)) any {
	switch v := v.(type) {
	case []any:
		list := []any{}
		for i, item := range v {
			rest, here := below(all, i, "", true)
			keep := true
			if here {
				item, keep = edit(item)
			} else {
				item = rebuilt(rest, item, edit)
			}
			if keep {
				list = append(list, item)
			}
		}
		return list
	case map[string]any:
		m := map[string]any{}
		for name, item := range v {
			rest, here := below(all, 0, name, false)
			keep := true
			if here {
				item, keep = edit(item)
			} else {
				item = rebuilt(rest, item, edit)
			}
			if keep {
				m[name] = item
			}
		}
		return m
	}
	return v
}

func hidden(v any) any {
	var text string
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		list := []any{}
		for _, item := range v {
			list = append(list, hidden(item))
		}
		return list
	case map[string]any:
		m := map[string]any{}
		for name, item := range v {
			m[name] = hidden(item)
		}
		return m
	case bool:
		text = map[bool]string{true: "true", false: "false"}[v]
	case json.Number:
		text = string(v)
	case string:
		text = v
	}
	if runes := []rune(text); len(runes) >= 4 {
		return "***" + string(runes[len(runes)-2:])
	}
	return "***"
}

// renamed finds for each member the new name, by all the paths to it.
func renamed(e *document.Edits, v any, failed *bool) any {
	byPath := map[string]string{}
	for s, name := range e.Rename {
		p, _ := document.ParsePath(s)
		byPath[p.String()] = name
	}
	return rename(byPath, nil, v, failed)
}

func rename(byPath map[string]string, at document.Path, v any, failed *bool) any {
	switch v := v.(type) {
	case []any:
		list := []any{}
		for i, item := range v {
			list = append(list, rename(byPath, append(slices.Clip(at), document.Step{List: true, Index: i}), item, failed))
		}
		return list
	case map[string]any:
		m := map[string]any{}
		for name, item := range v {
			here := append(slices.Clip(at), document.Step{Name: name})
			if to, ok := nearest(byPath, here); ok {
				name = to
			}
			if _, ok := m[name]; ok {
				*failed = true
			}
			m[name] = rename(byPath, here, item, failed)
		}
		return m
	}
	return v
}

// nearest prefers a path with an index to one with each, from the left.
func nearest(byPath map[string]string, at document.Path) (string, bool) {
	for i, s := range at {
		if s.List && s.Index >= 0 {
			for _, index := range []int{s.Index, -1} {
				p := slices.Clone(at)
				p[i].Index = index
				if index >= 0 {
					// Steps to the right are tried with this index left as it is.
					if name, ok := nearestFrom(byPath, p, i+1); ok {
						return name, true
					}
					continue
				}
				if name, ok := nearestFrom(byPath, p, i+1); ok {
					return name, true
				}
			}
			return "", false
		}
	}
	name, ok := byPath[at.String()]
	return name, ok
}

func nearestFrom(byPath map[string]string, at document.Path, from int) (string, bool) {
	for i := from; i < len(at); i++ {
		if at[i].List && at[i].Index >= 0 {
			for _, index := range []int{at[i].Index, -1} {
				p := slices.Clone(at)
				p[i].Index = index
				if name, ok := nearestFrom(byPath, p, i+1); ok {
					return name, true
				}
			}
			return "", false
		}
	}
	name, ok := byPath[at.String()]
	return name, ok
}

func flattened(all []document.Path, v any, failed *bool) any {
	switch v := v.(type) {
	case []any:
		list := []any{}
		for i, item := range v {
			rest, _ := below(all, i, "", true)
			list = append(list, flattened(rest, item, failed))
		}
		return list
	case map[string]any:
		m := map[string]any{}
		add := func(name string, item any) {
			if _, ok := m[name]; ok {
				*failed = true
			}
			m[name] = item
		}
		for name, item := range v {
			rest, here := below(all, 0, name, false)
			item = flattened(rest, item, failed)
			if inner, ok := item.(map[string]any); ok && here {
				for name, item := range inner {
					add(name, item)
				}
				continue
			}
			add(name, item)
		}
		return m
	}
	return v
}

// set sets a value at one path.
func set(p document.Path, v, to any, failed *bool) any {
	if len(p) == 0 {
		return to
	}
	s := p[0]
	if s.List {
		list, ok := v.([]any)
		if !ok {
			*failed = *failed || v != nil
			return v
		}
		list = slices.Clone(list)
		for i := range list {
			if s.Index == -1 || s.Index == i {
				list[i] = set(p[1:], list[i], to, failed)
			}
		}
		return list
	}
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		*failed = true
		return v
	}
	member, there := m[s.Name]
	if !there && slices.ContainsFunc(p[1:], func(s document.Step) bool { return s.List }) {
		if m == nil {
			return map[string]any{}
		}
		return m
	}
	out := maps.Clone(m)
	if out == nil {
		out = map[string]any{}
	}
	out[s.Name] = set(p[1:], member, to, failed)
	return out
}
