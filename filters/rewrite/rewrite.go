package rewrite

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/pathtemplate"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("rewrite", filter.Transform, build) }

// rewrite is the policy. What is nil is not changed.
type rewrite struct {
	path    pathtemplate.Pieces // the whole path
	query   pathtemplate.Pieces // that comes with path
	asks    bool                // path has a query, perhaps an empty one
	strip   prefix
	add     pathtemplate.Pieces // in front of what strip leaves
	must    bool                // add only where there was the prefix
	regex   *replacement
	host    string          // when it is known
	hosts   filter.Template // when it is not
	method  string
	params  *parameters
	changes bool // the path
	note    string
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	r := rewrite{method: c.Method, changes: len(c.pathChanges()) > 0, note: note(c)}
	err := errors.Join(r.buildPath(env, c), r.buildPrefixes(env, c), r.buildHost(env, c.Host), r.buildQuery(env, c))
	if err != nil {
		return nil, err
	}
	if r.changes || r.method != "" {
		env.Diverts()
	}
	return &filter.Filter{Request: r.request, Explain: r.explain}, nil
}

// buildPath readies the template or expression of the whole path.
func (r *rewrite) buildPath(env *filter.Env, c *Config) (err error) {
	switch {
	case c.Regex != "":
		r.regex, err = newReplacement(env, c.Regex, *c.To)
	case c.Path != "":
		if r.path, r.query, r.asks, err = pathtemplate.New(env, c.Path, nil); err != nil {
			return config.FieldErrorf("path", "%w", err)
		}
	}
	return err
}

// buildPrefixes readies the prefixes that are taken away and put in front.
func (r *rewrite) buildPrefixes(env *filter.Env, c *Config) (err error) {
	strip, add, stripField, addField := c.StripPrefix, c.AddPrefix, "strip_prefix", "add_prefix"
	if c.ReplacePrefix != nil {
		strip, add, stripField, addField = c.ReplacePrefix.From, c.ReplacePrefix.To, "replace_prefix.from", "replace_prefix.to"
		r.must = true
	}
	if strip != "" || r.must {
		if r.strip, err = newPrefix(strip); err != nil {
			return config.FieldErrorf(stripField, "%w", err)
		}
	}
	if add == "" && !r.must {
		return nil
	}
	var asks bool
	if r.add, _, asks, err = pathtemplate.New(env, strings.TrimRight(add, "/")+"/", nil); err != nil {
		return config.FieldErrorf(addField, "%w", err)
	}
	if asks {
		return config.FieldErrorf(addField, "%q is more than a path: use `query` for the query", add)
	}
	return nil
}

// buildHost readies the host.
func (r *rewrite) buildHost(env *filter.Env, source string) error {
	parts, err := env.Expr.Parts(source, nil)
	if err != nil {
		return config.FieldErrorf("host", "%w", err)
	}
	host, ok := parts.Constant()
	switch {
	case !ok:
		r.hosts = parts.Template()
	case host != "" && !filter.ValidHost(host):
		return config.FieldErrorf("host", "%q is not a host", host)
	}
	r.host = host
	return nil
}

// buildQuery readies the changes to the query.
func (r *rewrite) buildQuery(env *filter.Env, c *Config) (err error) {
	r.params, err = newParameters(env, &c.Query)
	return err
}

// request computes all that is new, and only then changes the request.
func (r *rewrite) request(ex *filter.Exchange) error {
	req := ex.Request
	path, rawQuery, host := "", req.URL.RawQuery, r.host
	var err error
	if r.changes && req.URL.Path != "*" { // OPTIONS * has no path
		if path, err = r.newPath(ex); err != nil {
			return err
		}
	}
	if r.asks {
		if rawQuery, err = r.query.Join(ex, nil); err != nil {
			return err
		}
	}
	if r.params != nil {
		rawQuery = r.params.apply(ex, rawQuery)
	}
	if r.hosts != nil {
		if host = strings.TrimSpace(r.hosts(ex)); !filter.ValidHost(host) {
			return filter.Reject(filter.BadRequest, "The request does not name a host that it could be for.")
		}
	}
	if path != "" {
		if err := pathtemplate.SetPath(req.URL, path); err != nil {
			return err
		}
	}
	if rawQuery != req.URL.RawQuery || r.asks {
		req.URL.RawQuery, req.URL.ForceQuery = rawQuery, false
	}
	if host != "" {
		req.Host = host
	}
	if r.method != "" {
		req.Method = r.method
	}
	return nil
}

// newPath returns the new path, escaped, or "" where it stays.
func (r *rewrite) newPath(ex *filter.Exchange) (string, error) {
	path, err := ex.Request.URL.EscapedPath(), error(nil)
	old := path
	switch {
	case r.path != nil:
		path, err = r.path.Join(ex, nil)
	case r.regex != nil:
		path, err = r.regex.apply(ex, path)
	default:
		path, err = r.exchangePrefix(ex, path)
	}
	if err != nil || path == old {
		return "", err
	}
	return pathtemplate.Finish(path)
}

// exchangePrefix takes one prefix away and puts the other in front.
func (r *rewrite) exchangePrefix(ex *filter.Exchange, path string) (string, error) {
	rest, found := r.strip.cut(path)
	if !found && r.must {
		return path, nil
	}
	if r.add == nil {
		return rest, nil
	}
	var room [128]byte
	front, err := r.add.Join(ex, room[:0])
	if err != nil {
		return "", err
	}
	return front[:len(front)-1] + rest, nil // each begins its own slash
}

// explain changes the request, so that what follows sees what it would see.
func (r *rewrite) explain(ex *filter.Exchange) filter.Verdict {
	req := ex.Request
	path, host, method := req.URL.EscapedPath(), req.Host, req.Method
	if err := r.request(ex); err != nil {
		return filter.Verdict{Action: filter.Rejects, Note: err.Error()}
	}
	var notes []string
	say := func(what, old, now string) {
		if old != now {
			notes = append(notes, fmt.Sprintf("%s %s → %s", what, old, now))
		}
	}
	say("path", path, req.URL.EscapedPath())
	say("host", host, req.Host)
	say("method", method, req.Method)
	if r.note != "" {
		notes = append(notes, r.note)
	}
	if len(notes) == 0 {
		return filter.Verdict{Action: filter.Passes, Note: "there is nothing to rewrite"}
	}
	return filter.Verdict{Action: filter.Changes, Note: strings.Join(notes, "; ")}
}

// note says for operators what becomes of the query, by name: values may be secrets.
func note(c *Config) string {
	var parts []string
	say := func(verb string, names []string) {
		if len(names) > 0 {
			parts = append(parts, verb+" "+strings.Join(names, ", "))
		}
	}
	say("removes", c.Query.Remove)
	say("sets", slices.Sorted(maps.Keys(c.Query.Set)))
	say("adds", slices.Sorted(maps.Keys(c.Query.Add)))
	if len(parts) == 0 {
		return ""
	}
	return "query: " + strings.Join(parts, ", ")
}
