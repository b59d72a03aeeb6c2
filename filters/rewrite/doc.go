// Package rewrite is the policy `rewrite`: it changes what the upstream is asked for: path, query, host and method.
//
// # Syntax
//
// Short, the new path:
//
//	rewrite: /v2/users/{path.id}/orders
//
// Long. One of these changes the path:
//
//	rewrite: {strip_prefix: /api}                          # /api/users → /users
//	rewrite: {add_prefix: /v2}                             # /users → /v2/users
//	rewrite: {strip_prefix: /api, add_prefix: /v2}         # both, in this order
//	rewrite: {replace_prefix: {from: /api, to: /v2}}       # /api/users → /v2/users; others stay as they are
//	rewrite: {path: "/users/{path.id}/orders"}
//	rewrite: {regex: "^/old/(.*)$", to: "/new/$1"}         # what matches is replaced; the rest stays
//
// and these go with any of them, or stand alone:
//
//	rewrite:
//	  host: orders.internal
//	  method: POST
//	  query:
//	    remove: [debug, "utm_*"]
//	    set: {user: "{jwt.sub}"}
//	    add: {tag: [a, b]}
//
// # Paths
//
// A prefix is whole segments: `/api` is a prefix of /api and /api/x, not of /apix. In the prefixes that are taken away, `*` or
// `{name}` stands for any one segment: `strip_prefix: /tenants/{id}`. A path of which nothing is left is `/`.
//
// What stands in braces is a value of the request, and stays within its segment: slashes, question marks and the like are
// escaped. To keep slashes, as of the rest of a path, write `...` after the name, as in a match: `/files/{path.rest...}`; this
// goes without saying where the route's match has the parameter as `{rest...}`. `{path}` is the whole path that was asked for,
// with its slash: `/v2{path}`. A request for which a value is missing or
// empty, or for which it would make a segment `.` or `..`, is refused with 400 bad_path.
//
// A `?` in a path begins a new query, in place of the one that came; values in it are escaped for a query. Without one the
// query stays.
//
// Regular expressions (RE2) see the path as it is sent, escaped and normalised. In `to`, `$1` is what the first group matched,
// `$name` what a named one did, and `$$` a dollar sign. All matches are replaced. The result must be a path.
//
// # Query
//
// `remove` and `set` take away every parameter of the name, or with `*` at its end of names that begin so, however it is
// escaped; then `set` and `add` append theirs. A template that comes out empty appends nothing. What is not named stays as it
// came, to the letter.
//
// # Host
//
// The host is what the upstream sees as Host; where the request is sent stays the business of `to`. A request for which the
// template does not give a valid host is refused with 400 bad_request.
//
// # Stage
//
// transform: routes, limits and caches see the request as it came. All values are computed from it before anything is changed.
//
// # Explain
//
// The old and the new path, host and method, and the names of query parameters that change.
//
// # Metrics
//
// None.
package rewrite
