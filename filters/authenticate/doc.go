// Package authenticate is the policy `authenticate`: how several ways of authentication work together on a route.
//
// # Syntax
//
// Without it every authentication policy of a route must accept the request. The short form says whether all must, or any is enough:
//
//	authenticate: any
//
// Callers who show no credentials at all may pass as nobody, or as a consumer that stands for all of them:
//
//	authenticate: {require: any, optional: true}
//
//	authenticate: {anonymous: guest}
//
// Credentials that are shown and are not accepted are refused in any case, unless with `any` others are accepted.
//
// # Stage
//
// authenticate. It decides nothing by itself: the last of the route's authentication policies does.
//
// # Explain
//
// What must be fulfilled.
//
// # Metrics
//
// cardea_authentications_total{route,policy,result} counts what each policy has found: "accepted", "absent" or the code of the refusal.
package authenticate
