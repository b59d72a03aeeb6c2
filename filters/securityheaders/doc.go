// Package securityheaders is the policy `security_headers`: the fields of answers that tell browsers to be careful, and none that tell
// attackers what runs behind the gateway.
//
// # Syntax
//
// An empty object takes all defaults, which suit APIs and hardly ever break a page:
//
//	security_headers: {}
//
// Each field has a key of its own, and `off` leaves it as the upstream sends it:
//
//	security_headers:
//	  hsts: {max_age: 730d, subdomains: true, preload: true}   # short: the time
//	  content_security_policy: "default-src 'self'; object-src 'none'"
//	  frames: none                                             # none, self, or origins that may embed
//	  referrer_policy: no-referrer
//	  permissions_policy: "camera=(self), geolocation=()"
//	  cross_origin_opener_policy: same-origin
//	  cross_origin_resource_policy: off
//	  remove: [Server, X-Powered-By, X-Runtime]
//
// By directive, the Content-Security-Policy is what the default says with these changes:
//
//	security_headers:
//	  content_security_policy:
//	    directives: {default-src: "'self'", img-src: ["'self'", "https://cdn.example.com"], object-src: off}
//	    report_only: true
//
// # What the upstream says itself
//
// By default the stricter of the two is sent (`upstream: stricter`). The longer HSTS that covers as much wins, the tighter
// Referrer-Policy, X-Frame-Options and Cross-Origin-* win. A Content-Security-Policy of the upstream's is sent beside the gateway's:
// browsers then ask for both. So is a Permissions-Policy: for a feature that both name, the gateway's counts. With `upstream: keep` what
// the upstream says stays, and with `upstream: replace` the gateway's stands alone.
//
// HSTS is sent over https alone, as RFC 6797, section 7.2 asks; over http the upstream's own is taken away.
//
// # Stage
//
// guard, on answers alone, so that refusals of later stages have the fields too. What `headers` sets counts like what the upstream says.
//
// # Explain
//
// The names of the fields that answers get.
//
// # Metrics
//
// None.
package securityheaders
