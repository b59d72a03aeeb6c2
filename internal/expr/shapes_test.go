package expr

import (
	"fmt"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
)

// described is a shape with these members; "[]" is the element of a list.
type described map[string]described

func (d described) Member(name string) (filter.Shape, error) {
	m, is := d[name]
	if !is {
		return nil, fmt.Errorf("has no member %q", name)
	}
	return known(m), nil
}

func (d described) Element() (filter.Shape, error) {
	m, is := d["[]"]
	if !is {
		return nil, fmt.Errorf("is no list")
	}
	return known(m), nil
}

func known(d described) filter.Shape {
	if d == nil {
		return nil
	}
	return d
}

// shaped knows `user` and `orders`, and of `open` nothing.
func shaped(t testing.TB) filter.Expressions {
	t.Helper()
	some := func(*filter.Exchange) (any, bool) { return nil, false }
	e, err := newExpressions(t).Routed([]string{"id"}).With(map[string]filter.Lookup{"user": some, "orders": some, "open": some, "item": some})
	if err != nil {
		t.Fatal(err)
	}
	line := described{"sku": {}, "n": {}}
	order := described{"id": {}, "total": {}, "lines": {"[]": line}, "any": nil}
	return e.Known(map[string]filter.Shape{
		"user": described{"name": {}, "at": {"city": {}, "odd name": {}}}, "orders": described{"[]": order},
	})
}

// TestShapes: where an expression takes what is not there, it is marked there; "^" stands before it.
func TestShapes(t *testing.T) {
	e := shaped(t)
	for _, source := range []string{
		`user`, `user.name`, `user.at.city`, `user["at"].city`, `user.at["odd name"]`, `orders[0].lines[1].sku`, `open.x.y[0]`, `orders[0].any.x`,
		`user.^nme`, `user.at.^cty`, `user[^"nme"]`, `user.name.^x`, `user[^0]`, `orders.^id`, `orders[0].^x`, `orders[0].lines.^sku`,
		`size(user.name) + size(user.at.city)`, `size(user.^nme) > 1`, `user.name == "" || user.at.^cty == ""`,
		`"x" + user["^nme"]`, `orders[0].id + orders[1].^idd`, `user.at[user.name]`, `user.at[user.^nme]`,
		`orders.filter(o, o.total > 1)`, `orders.filter(o, o.^totl > 1)`, `orders.filter(o, o.total > 1)[0].^totl`, `orders.filter(o, o.total > 1).size()`,
		`orders.map(o, o.lines.map(l, l.sku))`, `orders.map(o, o.lines.map(l, l.^skoo))`, `orders.map(o, o.total > 1, o.id)`, `orders.map(o, o.^x > 1, o.id)`,
		`orders.map(o, o.id)[0].anything`, `orders.exists(o, o.lines.all(l, l.^x == 1))`, `orders.exists_one(user, user.^name == 1)`, `orders.all(user, user.id == 1)`,
		`cel.bind(u, user.at, u.city)`, `cel.bind(u, user.at, u.^cty)`, `cel.bind(user, open, user.x)`,
		`has(user.nme)`, `has(user.nme) && user.nme == "x"`, `has(user.at.x) ? user.at.x.y : user.at.^z`, `has(user.^att.x)`,
		`"nme" in user && user.nme == 1`, `user.?nme.orValue("x") == "x"`, `user[?"nme"].hasValue()`, `user.?nme.?x`,
		`{"a": user.name, "b": [user.^nme]}`, `user.name.startsWith(user.^x)`, `user.^x.startsWith("a")`,
		`user.filter(k, k != "x")[0]`, `user.filter(k, k != "x").size()`, `user.at.filter(k, k in user.^nme)[0] == "city"`, `user.all(k, k != "x")`, `user.map(k, user[k])[0].x`,
		`has(user.at) && user.at.^cty == ""`, `has(user.at) && has(user.at.cty) && user.at.cty == ""`, `"at" in user && user.at.^cty == ""`, `has(user.nme) && user.nme.x.y`,
		`has(user.name) && type(user.name) == map && user.name.first`,
		`type(user.name) == map ? user.name.first : user.name`, `type(user.name) == map ? user.at.^cty : 1`, `type(orders) == list ? orders[0].^x : orders.y`,
		`dyn(user).nme`, `user.?at.cty`, `user.?a.optMap(v, v.x)`, `(user.name == "" ? user : open).nme`, `orders[size(orders) - 1].x`,
		`item.x`, `identity.claims.user`, `jwt.user.x`, `header.user`,
	} {
		plain := strings.ReplaceAll(source, "^", "")
		_, err := e.Any(plain)
		wrong, _ := err.(*Error)
		switch at := strings.Index(source, "^"); {
		case err != nil && wrong == nil:
			t.Errorf("%s: %v", source, err)
		case at < 0 && wrong != nil:
			t.Errorf("%s is refused: %v", source, wrong)
		case at >= 0 && wrong == nil:
			t.Errorf("%s is right", source)
		case at >= 0 && wrong.Offset != at:
			t.Errorf("%s is wrong at %d: %v", source, wrong.Offset, wrong)
		}
	}
}

// TestShapesEverywhere: all that compiles, compiles against shapes.
func TestShapesEverywhere(t *testing.T) {
	e := shaped(t)
	fails := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), `user has no member "nme"`) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := e.Condition(`user.nme == "x"`)
	fails("condition", err)
	_, err = e.Value(`user.nme`)
	fails("value", err)
	_, err = e.Value(`user.nme + "x"`)
	fails("value", err)
	_, err = e.Template(`text {user.nme} {size(user.nme)}`)
	fails("template", err)
	_, err = e.Parts(`text {user.nme}`, nil)
	fails("parts", err)
	_, err = e.Shape(`user.nme`)
	fails("shape", err)
	more, err := e.With(map[string]filter.Lookup{"other": func(*filter.Exchange) (any, bool) { return nil, false }})
	if err != nil {
		t.Fatal(err)
	}
	_, err = more.Any(`user.nme`)
	fails("more", err)
	if _, err := more.Known(map[string]filter.Shape{"user": nil}).Any(`user.nme`); err != nil {
		t.Errorf("nothing is known of it: %v", err)
	}
}

// TestShapeOfExpressions: what a loop goes through.
func TestShapeOfExpressions(t *testing.T) {
	e := shaped(t)
	for source, want := range map[string]bool{
		`orders`: true, `orders[0].lines`: true, `orders.filter(o, o.total > 1)`: true, `orders.filter(o, o.total > 1)[0].lines`: true, `user.at`: true,
		`orders.map(o, o.id)`: false, `open`: false, `open.x`: false, `path.id`: false, `orders[0].any`: false, `size(orders)`: false,
	} {
		s, err := e.Shape(source)
		if err != nil || (s != nil) != want {
			t.Errorf("%s: %v, %v", source, s, err)
		}
	}
}
