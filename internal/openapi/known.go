package openapi

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/schema"
	shapes "cardea.dev/cardea/internal/shape"
)

// Known is how the operation is called where something is known by it.
func (o *Operation) Known() string {
	return fmt.Sprintf("%s %s in %s", o.Method, o.Path, o.document.root.File)
}

// Answer is what is known of the JSON of answers with these statuses: that of each which the document tells of.
func (o *Operation) Answer(statuses []config.StatusRange) *shapes.Shape {
	if o.Method == http.MethodHead {
		return nil
	}
	responses := o.object(o.at.At("responses"))
	var all []*shapes.Shape
	for _, accepted := range statuses {
		told := false
		for _, status := range slices.Sorted(maps.Keys(responses)) {
			if !covers(status, accepted) {
				continue
			}
			if told = true; isBodiless(status) {
				continue
			}
			all = append(all, o.content(o.at.At("responses", status), ""))
		}
		if told {
			continue
		}
		if _, has := responses["default"]; !has {
			return nil
		}
		all = append(all, o.content(o.at.At("responses", "default"), ""))
	}
	return together(all)
}

// Silent says whether answers with these statuses have no body for sure.
func (o *Operation) Silent(statuses []config.StatusRange) bool {
	responses := o.object(o.at.At("responses"))
	for _, accepted := range statuses {
		told := false
		for status := range responses {
			if !covers(status, accepted) {
				continue
			}
			if told = true; !isBodiless(status) {
				return false
			}
		}
		if !told {
			return false
		}
	}
	return true
}

func isBodiless(status string) bool { return status == "204" || status == "205" || status == "304" }

// covers says whether a key of responses is about some of a range of statuses.
func covers(key string, accepted config.StatusRange) bool {
	if class, is := strings.CutSuffix(strings.ToUpper(key), "XX"); is {
		n, err := strconv.Atoi(class)
		return err == nil && n*100 <= accepted.To && n*100+99 >= accepted.From
	}
	n, err := strconv.Atoi(key)
	return err == nil && accepted.Has(n)
}

// together is the shape of what has one of several shapes.
func together(all []*shapes.Shape) *shapes.Shape {
	if len(all) == 0 {
		return nil
	}
	s := all[0]
	for _, next := range all[1:] {
		s = shapes.Either(s, next)
	}
	return s
}

// content is the shape of a body at a place: what its JSON is, or that of one media type.
func (o *Operation) content(at schema.Location, kind string) *shapes.Shape {
	at, _, err := o.document.files.Deref(at)
	if err != nil {
		return nil
	}
	content := o.object(at.At("content"))
	own := baseType(kind)
	if !slices.ContainsFunc(slices.Collect(maps.Keys(content)), func(name string) bool { return baseType(name) == own }) {
		own = ""
	}
	var all []*shapes.Shape
	for _, name := range slices.Sorted(maps.Keys(content)) {
		base := baseType(name)
		if !isJSON(base) && base != "*/*" && base != "application/*" || own != "" && base != own {
			continue
		}
		place := at.At("content", name, "schema")
		if !o.document.files.Has(place) {
			return nil
		}
		all = append(all, shapes.FromSchema(o.document.files, place, o.Known()))
	}
	return together(all)
}

// Request is what is known of the JSON that requests of a media type have, "" for application/json, and whether they must have a body.
func (o *Operation) Request(kind string) (s *shapes.Shape, required bool) {
	if !o.HasBody {
		return nil, false
	}
	at := o.at.At("requestBody")
	_, v, err := o.document.files.Deref(at)
	if err != nil {
		return nil, false
	}
	own, _ := v.(map[string]any)
	required, _ = own["required"].(bool)
	return o.content(at, cmp.Or(kind, "application/json")), required
}

// object is the object at a place, or nil.
func (o *Operation) object(at schema.Location) map[string]any {
	v, _ := o.document.files.Lookup(at)
	m, _ := v.(map[string]any)
	return m
}

// written is a parameter as it is written.
type written struct {
	at  schema.Location
	own map[string]any // nil: it cannot be read
}

// written are the parameters of the operation, with those of its path.
func (o *Operation) written() (all []written) {
	for _, level := range []schema.Location{o.item, o.at} {
		list, _ := o.object(level)["parameters"].([]any)
		for i := range list {
			at, v, err := o.document.files.Deref(level.At("parameters", strconv.Itoa(i)))
			own, _ := v.(map[string]any)
			if err != nil {
				own = nil
			}
			if own != nil {
				all = slices.DeleteFunc(all, func(w written) bool { return w.own != nil && w.own["name"] == own["name"] && w.own["in"] == own["in"] })
			}
			all = append(all, written{at, own})
		}
	}
	return all
}

// CheckQuery checks the names in the query of a call, in which some values are not known yet.
func (o *Operation) CheckQuery(query string) error {
	sent, ok := sentNames(query)
	if !ok {
		return nil
	}
	var names, required []string
	for _, w := range o.written() {
		switch {
		case w.own == nil, w.own["in"] == "querystring":
			return nil
		case w.own["in"] != "query":
			continue
		case o.document.spreads(w):
			return nil
		}
		name := text(w.own, "name")
		names = append(names, name)
		_, given := object(w.own, "schema")["default"]
		if _, v, err := o.document.files.Deref(w.at.At("schema")); err == nil && !given {
			referred, _ := v.(map[string]any)
			_, given = referred["default"]
		}
		if needed, _ := w.own["required"].(bool); needed && !given {
			required = append(required, name)
		}
	}
	for _, name := range required {
		if !slices.ContainsFunc(sent, func(s string) bool { return sameName(s, name) }) {
			return fmt.Errorf("the query parameter %q is missing, which %s requires", name, o.Known())
		}
	}
	if len(names) == 0 {
		return nil // many documents leave them out
	}
	return o.unknownName(sent, names)
}

// unknownName finds a name in a query that no parameter has.
func (o *Operation) unknownName(sent, names []string) error {
	known := append(o.document.keyNames(), names...)
	for _, s := range sent {
		if slices.ContainsFunc(known, func(name string) bool { return sameName(s, name) }) {
			continue
		}
		hint := "there " + are(names) + " " + listed(names)
		if near := config.Suggest(s, names); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return fmt.Errorf("%s has no query parameter %q; %s", o.Known(), s, hint)
	}
	return nil
}

// sentNames are the names of a query. It is false where one of them is not known.
func sentNames(query string) (names []string, ok bool) {
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if strings.Contains(name, Hole) {
			return nil, false
		}
		plain, err := url.QueryUnescape(name)
		if err != nil {
			return nil, false
		}
		if plain != "" {
			names = append(names, plain)
		}
	}
	return names, true
}

// sameName says whether a name of a query is that of a parameter, or of a part of it: "tags[]", "filter[name]".
func sameName(sent, name string) bool {
	if sent == name {
		return true
	}
	root := func(s string) string { before, _, _ := strings.Cut(s, "["); return before }
	return root(sent) == root(name) && root(name) != ""
}

// keyNames are the names of query parameters that hold keys of callers.
func (d *Document) keyNames() (names []string) {
	v, _ := d.files.Lookup(d.root.At("components", "securitySchemes"))
	schemes, _ := v.(map[string]any)
	for name := range schemes {
		_, v, err := d.files.Deref(d.root.At("components", "securitySchemes", name))
		if own, is := v.(map[string]any); err == nil && is && own["in"] == "query" {
			names = append(names, text(own, "name"))
		}
	}
	return names
}

// spreads says whether a parameter may be an object whose members are parameters of the query.
func (d *Document) spreads(w written) bool {
	if style := text(w.own, "style"); style != "" && style != "form" || w.own["schema"] == nil {
		return false
	}
	if explode, is := w.own["explode"].(bool); is && !explode {
		return false
	}
	types := d.files.Types(w.at.At("schema"))
	return len(types) == 0 || slices.Contains(types, "object")
}
