package schema

import "slices"

// Types are the types that values may have by a schema as it is written, followed through references and combinations. None: any.
func (f *Files) Types(at Location) (found []string) {
	f.walk(at, func(at Location, o map[string]any) bool {
		own := typesOf(o)
		for _, t := range own {
			if !slices.Contains(found, t) {
				found = append(found, t)
			}
		}
		return len(own) == 0
	})
	if len(found) > 0 {
		return found
	}
	for key, kind := range map[string]string{"properties": "object", "items": "array"} {
		if _, has := f.part(at, key); has {
			found = append(found, kind)
		}
	}
	return found
}

// typesOf are the types that a schema itself names.
func typesOf(o map[string]any) (found []string) {
	switch t := o["type"].(type) {
	case string:
		return []string{t}
	case []any:
		for _, one := range t {
			if name, ok := one.(string); ok {
				found = append(found, name)
			}
		}
	}
	return found
}

// walk visits a schema, and those that it combines while visit asks for them, each once.
func (f *Files) walk(at Location, visit func(at Location, o map[string]any) (on bool)) {
	seen := map[Location]bool{}
	left := []Location{at}
	for len(left) > 0 {
		at := left[0]
		left = left[1:]
		o := f.follow(&at)
		if o == nil || seen[at] {
			continue
		}
		seen[at] = true
		if !visit(at, o) {
			continue
		}
		for _, key := range lists[:3] {
			all, _ := o[key].([]any)
			for i := range all {
				left = append(left, at.At(key, itoa(i)))
			}
		}
	}
}

// Items is where the schema of an array's items stands.
func (f *Files) Items(at Location) (Location, bool) { return f.part(at, "items") }

// Additional is where the schema of further properties stands.
func (f *Files) Additional(at Location) (Location, bool) { return f.part(at, "additionalProperties") }

// part is where the schema that is the value of a keyword stands.
func (f *Files) part(at Location, key string) (found Location, ok bool) {
	f.walk(at, func(at Location, o map[string]any) bool {
		if _, is := o[key].(map[string]any); is && !ok {
			found, ok = at.At(key), true
		}
		return !ok
	})
	return found, ok
}

// Properties are where the schemas of the properties stand that a schema tells of, by name.
func (f *Files) Properties(at Location) map[string]Location {
	found := map[string]Location{}
	f.walk(at, func(at Location, o map[string]any) bool {
		own, _ := o["properties"].(map[string]any)
		for name, v := range own {
			if _, before := found[name]; !before {
				if _, is := v.(map[string]any); is {
					found[name] = at.At("properties", name)
				}
			}
		}
		return true
	})
	return found
}

// follow follows $refs from a place, and returns the schema there, or nil.
func (f *Files) follow(at *Location) map[string]any {
	to, v, err := f.Deref(*at)
	if err != nil {
		return nil
	}
	*at = to
	o, _ := v.(map[string]any)
	return o
}
