// Package redirect answers requests by sending the client elsewhere.
//
// It is for clients; to send the request itself elsewhere, use `to`. It may be imported by whoever lists the kinds.
//
// # Syntax
//
//	redirect: https://new.example.com{path}            # short form: where to, a template
//
//	redirect: {scheme: https}                          # the same address by HTTPS
//	redirect: {host: www.example.com, status: 301}     # another host
//	redirect: {path: "/v2/users/{path.id}"}            # another path on the same host
//
//	redirect:
//	  to: https://{path.tenant}.example.com/login?from={path}
//	  status: 303                                      # 301, 302, 303, 307, 308
//	  keep_query: false
//
// # Status
//
// 307 by default: method and body stay, and nothing remembers it. 308 is the same for good: browsers remember it until their
// cache is cleared, so write it when it is sure. 301 and 302 are their elders, which turn POST into GET in practice; 303 does so by
// intention.
//
// # Templates
//
// Values stand in braces: any variable or CEL expression, and in addition
//
//	{path}     the path that was asked for, as it came; it begins with /
//	{query}    the whole query as it came; only after a ?
//	{host}     the host that was asked for, without port
//	{scheme}   http or https
//
// The query of the request is added, unless the template has one of its own or `keep_query` is false.
//
// # Security
//
// No client can choose where others are sent. A template must begin with http://, https://, {scheme}:// or a path. Values are
// percent-encoded for the place where they stand, so that they cannot end it. In a host, a value must be followed by the rest of the
// name (https://{path.tenant}.example.com), and a request whose value is no part of a host name is refused with bad_request;
// only {host} may be a host by itself. A path that would begin with // begins with /. A redirect that leads to itself is refused
// with internal_error.
//
// # Explain
//
// It says status and address.
//
// # Metrics
//
// None of its own.
package redirect
