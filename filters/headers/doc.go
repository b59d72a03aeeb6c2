// Package headers is the policy `headers`: it sets, adds and removes fields of requests, on their way to the upstream, and of
// answers, on their way to the client.
//
// # Syntax
//
// There is only a long form. All of its keys may be left out.
//
//	headers:
//	  request:
//	    remove: [Cookie, "X-Internal-*"]
//	    set:
//	      X-User: "{jwt.sub}"
//	      X-Forwarded-Prefix: /api
//	    default: {Accept-Language: en}
//	    add: {Via: 1.1 cardea}
//	  response:
//	    remove: [Server, X-Powered-By]
//	    set: {Strict-Transport-Security: max-age=63072000}
//	    add: {Link: ["</a.css>; rel=preload", "</b.js>; rel=preload"]}
//
// `set` replaces what is there, `default` sets what is not there, `add` adds another value, and `remove` takes away by name, or
// by the beginning of names when it ends in `*`. A value is one text or a list of them. Names have no case.
//
// Values are templates: `{jwt.sub}` stands for a value of the request, `{{` and `}}` for braces. All values are computed
// before anything is changed, and changes are made in the order remove, set, default, add. So this renames a field:
//
//	headers: {request: {set: {X-New: "{header.x-old}"}, remove: [X-Old]}}
//
// # What cannot happen
//
// A field can never be smuggled in: a value with a line break, a NUL or another control character is not sent, nor is a
// template's that comes out empty. `set` then still removes the field that the client or upstream had, so that nobody can pass
// off a value of his own as the gateway's.
//
// The fields of the connection cannot be changed, and wildcards spare them: Connection, Content-Length, HTTP2-Settings,
// Keep-Alive, Proxy-Connection, TE, Trailer, Transfer-Encoding and Upgrade. `Host` of a request can be set, to one valid name; a
// request for which a template does not give one is refused with 400 bad_request.
//
// # Stage
//
// transform: identity and limits are settled by then. Answers that earlier stages make, such as a 401, are not changed.
//
// # Explain
//
// Which fields would be set, added and removed, by name; not the values, which may be secrets.
//
// # Metrics
//
// None.
package headers
