// Package proxy answers requests by passing them on to an upstream, or to one of several.
//
// Balancing, retries, time limits and breakers are the upstream's, not the target's. It may be imported by whoever lists the
// kinds.
//
// # Syntax
//
//	to: orders                               # short form: the upstream
//
//	to: [orders, orders-v2]                  # half of the requests each
//
//	to:                                      # one in ten
//	  - {upstream: orders, weight: 9}
//	  - {upstream: orders-v2, weight: 1}
//
//	to:
//	  upstream: [{upstream: orders, weight: 9}, orders-v2]
//	  sticky: header.x-user                  # a user stays with his upstream; `cookie` for a cookie of the gateway's
//
//	to:
//	  upstream: [orders, orders-v2]
//	  sticky: {by: jwt.sub, cookie: {name: arm, max_age: 7d}}
//
// # Splits
//
// Each request goes to one of the upstreams, by weight. Without `sticky` that is at random, request by request. With it:
//
//   - `by` is a variable or a CEL expression. Requests with the same value go to the same upstream, on all gateways. When
//     weights change, only as many values move as must: raising a weight moves values to that upstream, and none between the
//     others (rendezvous hashing).
//   - `cookie` is for those without a value. The gateway chooses at random and sets a cookie that holds the choice. It stays when
//     weights change. `sticky: cookie` takes the cookie's defaults.
//   - Without either, a request without a value goes anywhere.
//
// An upstream with weight 0 gets nothing: those who were with it are chosen for anew. So do those whose upstream is gone. The
// split says where requests go, not what happens when it fails there: no request goes on to another upstream of the split.
//
// The cookie is HttpOnly, SameSite=Lax, for Path=/, and Secure where the client uses TLS. It holds a hash of the upstream's name.
//
// # Explain
//
// It says which upstream a request would go to, and why, or the odds.
//
// # Metrics
//
// None of its own. The upstream's are by name.
package proxy
