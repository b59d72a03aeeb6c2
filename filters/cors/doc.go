// Package cors is the policy `cors`: which web pages of other origins may call, by the rules of the Fetch standard.
//
// # What it does
//
// A preflight (OPTIONS with Origin and Access-Control-Request-Method) is answered by the gateway, before authentication and
// without the upstream: 204 when origin, method and headers are allowed, 403 cors_rejected with the reason when they are not.
//
// Any other request goes its way. Its answer tells the browser whether the page may see it; where the origin is not allowed the
// answer has no CORS fields, and the browser withholds it from the page. The request itself has been served by then: CORS
// protects answers, not services. `enforce: true` refuses such requests with 403 cors_rejected, WebSocket handshakes among them,
// for which browsers do not ask. Requests without Origin, and those from pages of the very host that is asked, always pass.
//
// What the upstream says about CORS is replaced. Answers that depend on the origin have `Vary: Origin`, those to requests without
// Origin too, so that no cache gives one origin the answer to another.
//
// # Syntax
//
// Short, the origins:
//
//	cors: [https://app.example.com, "https://*.example.com"]
//	cors: "*"
//
// Long:
//
//	cors:
//	  origins: [https://app.example.com, "http://localhost:*"]
//	  methods: [GET, POST, PUT]
//	  headers: [Authorization, Content-Type]
//	  expose: [X-Total-Count]
//	  credentials: true
//	  max_age: 1h
//	  private_network: true
//	  enforce: true
//
// An origin is a scheme, a host and, unless it is the scheme's own, a port. `*.` stands for one or more labels, `:*` for any port
// or none, `null` for pages without an origin of their own (files, sandboxes), and `*` for every page there is. Neither `*` nor
// `null` goes with `credentials`: any page could use its visitors' logins.
//
// By default every method and every header of an allowed origin is allowed. Preflights go to the route of the method that they ask
// about, so a route's own `match` bounds the methods.
//
// # Stage
//
// guard: preflights carry no credentials and must be answered before they are asked for; and the answers of later policies, such
// as a 401, have CORS fields that let the page read them.
//
// # Explain
//
// Whether the request is a preflight and what it would be answered, or whether its origin is allowed.
//
// # Metrics
//
// cardea_cors_requests_total{route,outcome}: requests with an Origin, by outcome: "preflight" (allowed), "allowed", "rejected"
// (refused, or passed without CORS fields).
package cors
