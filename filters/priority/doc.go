// Package priority is the policy `priority`: how important a request is, when not all can be served.
//
// # What it does
//
// It puts a request into one of four classes: low, normal, high, critical. What it does not put anywhere is normal. The class counts where there is too
// much to do: when an upstream has as many requests as it may have (its `limits`), the least important are refused first, and the more important go
// first in line.
//
// Rules are asked in order, and the first that holds wins. A condition that cannot be evaluated, because a field that it asks for is not there, does
// not hold.
//
// Whatever clients send can be made up. Where a condition looks at a header field, any client can choose its class, unless something in front of the
// gateway sets the field; one on `jwt` or `identity` can be relied on.
//
// # Syntax
//
// Short, for all requests of a route:
//
//	priority: high
//
// By conditions in CEL; what matches none is normal:
//
//	priority:
//	  - {when: "identity.tags.plan == 'free'", class: low}
//	  - {when: "method == 'POST'", class: critical}
//
// A rule without a condition, last, is for all others:
//
//	priority: [{when: "jwt.plan == 'gold'", class: high}, low]
//
// # Stage
//
// limit. Rules that do not ask who calls are asked at the end of the stage guard already, up to the first that does: names that begin with
// `identity` or `jwt`, and on routes that authenticate callers `header`, because authentication may set fields. Where a rule asks who calls, all are
// asked again once that is known.
//
// # Explain
//
// The class, and the rule that gave it.
//
// # Metrics
//
// None of its own. What is refused for want of room is in cardea_upstream_shed_total{upstream, priority}.
package priority
