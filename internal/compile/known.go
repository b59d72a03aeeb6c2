package compile

import (
	"net/http"
	"slices"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/openapi"
	"cardea.dev/cardea/internal/router"
	"cardea.dev/cardea/internal/shape"
	"cardea.dev/cardea/targets/proxy"
)

// known tells a policy of a route what is known of the answers of its target, and of the requests that this takes, by the OpenAPI document of the one upstream
// that gets all requests. It is nil where nothing is: for a policy that holds for other routes, too, a name is wrong only where it is wrong for all of them, and
// what policies of a custom build do to requests and answers nobody knows.
func (c *compiler) known(f *flatRoute, p policy) (answer func(statuses []config.StatusRange) filter.Shape, taken func() filter.Shape) {
	if p.scope != f.scope || f.outer || f.unread || f.kind != proxy.Kind().Name() {
		return nil, nil
	}
	for _, k := range c.Kinds.Foreign {
		if _, is := f.policies[k.Name()]; is {
			return nil, nil
		}
	}
	answer = func(statuses []config.StatusRange) filter.Shape {
		return either(c.operations(f), func(o *openapi.Operation) (*shape.Shape, bool) { return o.Answer(statuses), !o.Silent(statuses) })
	}
	taken = func() filter.Shape {
		return either(c.operations(f), func(o *openapi.Operation) (*shape.Shape, bool) {
			s, _ := o.Request("")
			return s, o.HasBody
		})
	}
	return answer, taken
}

// either is the shape that one of several operations has for something, of those that have it.
func either(all []*openapi.Operation, of func(o *openapi.Operation) (s *shape.Shape, has bool)) filter.Shape {
	var known *shape.Shape
	for _, o := range all {
		s, has := of(o)
		if !has {
			continue
		}
		if known != nil {
			s = shape.Either(known, s)
		}
		if known = s; known == nil {
			return nil
		}
	}
	return shape.Known(known)
}

// operations are those that the requests of a route are for; none where that is not known.
func (c *compiler) operations(f *flatRoute) (all []*openapi.Operation) {
	var to proxy.Config
	if err := f.target.Decode(&to); err != nil || len(to.Upstream) != 1 {
		return nil
	}
	file, binding := c.openAPI(to.Upstream[0].Upstream)
	if file == "" || !binding {
		return nil
	}
	d, err := openapi.ForCalls(c.env(nil), file)
	if err != nil {
		return nil // that has been told
	}
	for i := range f.rules {
		served, ok := operationsOf(d, &f.rules[i])
		if !ok {
			return nil
		}
		all = append(all, served...)
	}
	return all
}

// bodied are the methods whose answers have bodies that are told of in documents.
var bodied = [...]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// operationsOf are the operations that requests which a rule matches may be for. It is false where it cannot be said which these are. A rule for all methods
// is one for those that the document tells of.
func operationsOf(d *openapi.Document, r *router.Rule) (all []*openapi.Operation, ok bool) {
	path, ok := r.Path.Pattern(openapi.Hole)
	if !ok {
		return nil, false
	}
	methods := r.Methods
	if len(methods) == 0 {
		methods = bodied[:]
	}
	for _, method := range methods {
		if method == http.MethodHead {
			continue
		}
		served, sure := d.Served(method, path)
		if !sure || len(served) == 0 && len(r.Methods) > 0 {
			return nil, false
		}
		for _, o := range served {
			if !slices.Contains(all, o) {
				all = append(all, o)
			}
		}
	}
	return all, len(all) > 0
}

// build builds a policy or a target. What is wrong with it only by documents whose severity is "warning" is a warning: then it is built once more, with nothing
// known by them.
func build[T any](c *compiler, env *filter.Env, node config.Node, kind func(*filter.Env, config.Node) (T, error)) (T, config.Errors) {
	c.doubted = false
	made, err := kind(env, node)
	if err == nil || !c.doubted {
		return made, node.Locate(err)
	}
	c.lenient = true
	defer func() { c.lenient = false }()
	found := node.Locate(err)
	made, err = kind(env, node)
	wrong := node.Locate(err)
	for _, e := range found {
		if slices.ContainsFunc(wrong, func(w *config.Error) bool { return w.Path == e.Path && w.Message == e.Message }) {
			continue
		}
		e.Warning = true
		c.warnings = append(c.warnings, e)
	}
	return made, wrong
}
