// Package aggregate is the target `aggregate`: one request in, several calls to services out, and one answer made of what they bring. A page that needs a
// profile, the orders and the stock of each costs its client one round trip, and the services do not learn of each other.
//
// The calls are written as "GET users/users/{user}": method, upstream, path and query, with values in braces. A call that names another one by its name waits
// for it; all others are under way at once. Each goes through its upstream's balancing, retries, breaker and time limits.
//
// # Syntax
//
// A call is its line, or an object with more to say:
//
//	aggregate:
//	  profile: GET users/users/{user}
//	  orders:
//	    call: orders/orders?user={user}
//	    optional: true
//	    timeout: 300ms
//	    default: []
//
// A call can use what others brought, and be made for each element of a list:
//
//	aggregate:
//	  order: {call: "orders/orders/{id}", drop: [internal]}
//	  buyer: {call: "users/users/{order.user}", pick: [name]}
//	  stock: {each: order.lines, call: "stock/items/{item.sku}"}
//	  vip: {call: "offers/vip", when: "buyer.segment == 'vip'"}
//
// Any method and body; answers that are only for other calls are hidden:
//
//	aggregate:
//	  session: {call: POST auth/sessions, body: {user: "{body.user}"}, hide: true}
//	  cart: {call: carts/mine, headers: {x-session: "{session.id}"}, forward: []}
//
// The answer is an object with a key for each call. It can be made otherwise:
//
//	aggregate:
//	  profile: users/users/{user}
//	  orders: orders/orders?user={user}
//	  compose: '{name: .profile.name, ids: [.orders[].id]}'
//
// Or the fields are put side by side:
//
//	aggregate:
//	  a: users/users/{user}
//	  b: users/extras/{user}
//	  compose: {merge: true, collisions: last}
//
// And it can be sent as it comes, a line for each call:
//
//	aggregate:
//	  slow: reports/yearly
//	  quick: reports/daily
//	  format: ndjson
//
// Calls whose names are settings stand in `calls`; settings stand beside the calls:
//
//	aggregate:
//	  calls: {timeout: settings/timeout}
//	  timeout: 2s
//	  errors: true
//	  failure_status: upstream
//	  headers: {x-version: "{timeout.version}"}
//	  server_timing: true
//
// # Stage
//
// It is a target: all policies run before it. Those of the stage cache can keep the whole answer, which says for how long by the strictest of its parts.
//
// # Explain
//
// Explain lists the calls in the order in which they can be made, those that are made at once together, and says what each waits for. It calls nothing.
//
// # Metrics
//
//   - cardea_aggregate_calls_total{route, call, result}: calls; the result is ok, failed, or skipped where `when` did not hold
//   - cardea_aggregate_call_duration_seconds{route, call}: from the start of a call until its answer was there, or began to be passed on
//   - cardea_aggregate_partial_total{route}: answers of which something was missing
//
// In traces each request of a call is a span "call <name>" with the upstream's inside; its attribute cardea.call.after says what it had waited for.
package aggregate
