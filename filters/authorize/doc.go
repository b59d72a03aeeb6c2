// Package authorize is the policies `allow` and `deny`: who may do what.
//
// # What they do
//
// `allow` lets a request pass when one of its conditions holds, and refuses it otherwise. `deny` refuses a request when one of its
// conditions holds. Deny is asked first, and so wins. Conditions look at who the authentication policies found the caller to be, and at
// anything else of the request.
//
// # Syntax
//
// Short, a CEL expression, or a list of conditions of which one is enough:
//
//	allow: 'jwt.role == "admin"'
//
//	allow:
//	  - 'jwt.role == "admin"'
//	  - {groups: [support], methods: [GET]}
//
// Long, an object whose keys must all hold:
//
//	allow: {groups: [staff, partners], scopes: [orders.read], when: 'path.tenant == jwt.tenant', message: Ask your administrator.}
//
// Both at once: the keys and one of the list:
//
//	allow:
//	  groups: [staff]
//	  any:
//	    - {methods: [GET]}
//	    - {scopes: [orders.write]}
//
// Deny takes the same:
//
//	deny: {consumers: [acme], message: Please pay your bill.}
//
//	deny: 'request.time.getHours("Europe/Berlin") < 6 && !("night" in identity.groups)'
//
// # What cannot be evaluated
//
// An expression that cannot be evaluated, as when it asks for a claim that the token has not, never lets a request pass: it does not hold
// in `allow`, and it does in `deny`. Write `has(jwt.role) && …` where a claim may be missing.
//
// # Stage
//
// authorize. A caller who is not known gets 401 credentials_missing, with the challenges of the route's authentication policies, if
// the conditions ask who calls. One who is known gets 403 access_denied; or 403 insufficient_scope (RFC 6750, section 3.1) where
// nothing but scopes is missing. `allow` with conditions on the caller is an error on a route without authentication, where it could
// never hold.
//
// # Explain
//
// Which condition held or failed, and with which values: "groups are [a], wanted one of b". Fields, cookies and query parameters are not
// shown.
//
// # Metrics
//
// None of their own. Refusals are in cardea_errors_total{code="access_denied"} and {code="insufficient_scope"}.
package authorize
