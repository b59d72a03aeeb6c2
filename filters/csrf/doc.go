// Package csrf is the policy `csrf`: it refuses what a page of another site makes a user's browser send (cross-site request forgery).
//
// # What it does
//
// GET, HEAD and OPTIONS pass: they must change nothing. WebSocket handshakes, and other requests that upgrade, are looked at whatever
// their method. For all others the browser itself says where they come from, in fields that no page can forge:
//
//   - Sec-Fetch-Site, where there is one: `same-origin` and `none` (the user typed or clicked a bookmark) pass; else the origin must be
//     trusted. All browsers send it over https and to localhost, since 2023.
//   - else Origin, which must be the host that is asked for, or trusted. From https pages alone where the request came by https.
//   - else Referer, likewise.
//   - else the request passes: it is from no browser, and a program has no user's cookies to be abused. With `token` it must show a token.
//
// These are the rules of net/http's CrossOriginProtection, with Referer, upgrades, schemes and tokens added.
//
// # Syntax
//
//	csrf: {}
//
// Short, the other origins whose pages may send:
//
//	csrf: [https://app.example.com, "https://*.example.org"]
//
// Long:
//
//	csrf:
//	  trusted_origins: [https://app.example.com]
//	  token: {cookie: __Host-csrf_token, header: X-CSRF-Token}
//
// Routes that are called across sites on purpose, such as a webhook or an OpenID Connect answer by form_post, turn it off:
//
//	csrf: off
//
// # Token
//
// Browsers that say nothing at all are older than 2020. For their sake `token: {}` sets a cookie with a random value when a page is
// loaded (a safe request that accepts text/html). A request that says nothing of where it comes from must then repeat the cookie's value
// in a header, which only scripts of the same site can do. Programs must do so too, or be given a route without the policy.
//
// # Stage
//
// guard: it needs nothing but fields of the request, so that a forged one is refused before anything looks at the user's cookies. A refused
// request gets 403 csrf_rejected.
//
// # Explain
//
// Which field decided, and how.
//
// # Metrics
//
// None of its own. Refusals are in cardea_errors_total{code="csrf_rejected"}.
package csrf
