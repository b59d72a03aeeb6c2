// Package expr compiles what users write over requests: conditions, values and templates. It implements filter.Expressions.
//
// # Variables
//
// A variable is a text of the exchange that a name alone stands for, as in a template's braces or in the key of a limit:
//
//	address                 the client's address, after trusted proxies
//	identity                who calls: the subject, or else the consumer
//	identity.subject        the caller's own name; also identity.consumer and identity.method (the policy that found out)
//	identity.tags.plan      a tag of the caller's consumer
//	jwt.sub, jwt.a.b        a claim of the caller's token, nested ones by dots
//	header.x-user           a field of the request, whatever its case; repeated ones are joined by ", "
//	query.q                 the first query parameter of a name, decoded
//	cookie.sid              the first cookie of a name
//	path.id                 a parameter of the route's path, decoded
//	path                    the path as the client asked for it, normalised and escaped
//	method, scheme, host    of the request as the client made it; host is in lower case and without port
//	request_id              the id of the request
//	route                   the name of the route
//	status                  the status of the response
//	response.header.x       a field of the response
//	upstream, endpoint      where the last attempt went
//	error                   the code of the gateway's own error, if the response is one
//
// Request lines are those of the client, before policies changed them; fields and cookies are as they stand now.
//
// # Expressions
//
// Everything else is CEL, over the same names. There, header, query, cookie, path, response.header and identity.tags are maps from string to string,
// of which a missing key is "": `header["x-beta"] == "1"`, `"x-beta" in header`, `has(header.accept)`. Names with a hyphen need the
// brackets. So `path` is a map in CEL, and the path itself is `request.path`; as a variable, `path` is the path. jwt (also identity.claims)
// is the claims as they came, of which a missing one is an error: `has(jwt.role) && jwt.role == "admin"`, `jwt.?role.orValue("")`.
// There are also request.method, request.path, request.host, request.scheme, request.id, request.size (-1 when unknown), request.time,
// the lists identity.groups and identity.scopes, response.status, and the function ip_in(address, "10.0.0.0/8"), which takes a list of ranges too.
//
// CEL's own macros are there, as are its libraries of strings, sets, encoders, optional values and cel.bind. Nothing an expression can
// call has effects or depends on anything but the exchange. What could be dear (loops, and texts that grow) has a limit of cost, and
// stops when the client leaves.
//
// It imports config and filter, and knows no policy. The compiler of snapshots makes one Expressions for each configuration.
package expr
