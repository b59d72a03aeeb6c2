// Package sequence answers requests by several calls, one after the other, and undoes what was done where one fails: create an order, reserve stock, charge.
//
// It is no transaction: between a step and its undoing others see what was done, and what cannot be undone remains. For answers that are made of several
// which change nothing there is `aggregate`. It may be imported by whoever lists the kinds.
//
// # Syntax
//
//	sequence:
//	  order:  {call: "POST orders/orders", body: {items: "{body.items}"}, on_error: "DELETE orders/orders/{order.id}"}
//	  stock:  {call: "POST stock/reservations", body: {order: "{order.id}"}, on_error: "DELETE stock/reservations/{stock.id}"}
//	  charge: {call: "POST payments/charges", body: {order: "{order.id}", amount: "{order.total}"}, on_error: "DELETE payments/by-key/{idempotency_key}"}
//
//	sequence:
//	  order: {call: "POST orders/orders", on_error: "DELETE orders/orders/{order.id}", unknown: repeat}
//	  mail:  {call: "POST mail/confirmations", when: "has(order.mail) && order.mail"}
//	  timeout: 10s                           # of all steps
//	  undo: {within: 20s, times: 8}          # of each call that undoes
//	  require_key: true
//	  answer: order
//	  status: 201
//	  location: "/orders/{order.id}"
//
// # Undoing
//
// When a step fails, the calls of on_error of all steps that were done are made, the last step's first. So they are for a step of which nobody knows whether
// it was done: its call was sent, and there was no answer, or one with 5xx. A call that could not be sent, or was answered with 4xx, has done nothing.
// A step whose condition does not hold is not made; one whose condition cannot be said fails. Undoing goes on when one of the calls fails, when the client has left, and when the gateway is told to end.
//
// # Keys
//
// Each call has the field Idempotency-Key, made of the client's own, the route, the caller, and the step's name; or of the request's id and a random part. All
// tries of a call have the same one. On one gateway, a key that is under way, or whose sequence was undone within the last hour, is refused with 409; one whose sequence was done
// makes the calls again, for services that know them by their keys, and undoes nothing when one fails.
//
// # A disk
//
// With a disk, a directory, keys, answers and a journal outlive the gateway, which undoes after its start what it had left in the middle. A disk that cannot be
// written has requests refused with 503.
//
// # Gateways that share keys
//
// With a store, a Redis or Valkey, keys are those of all gateways, and a sequence has a lease there that is renewed. With a secret, the store has a journal, from which another gateway undoes
// what one has begun that ended in the middle, and the answers. A store that cannot be asked has requests refused with 503.
//
// # Explain
//
// It lists the steps, what undoes them, and what is shared with other gateways.
//
// # Metrics
//
//	cardea_sequence_requests_total{route,result}               done, undone, stuck (something could not be undone), or failed (all was done before with
//	                                                           the same key, and is not undone), replayed (the answer was kept), unsure (all was done,
//	                                                           and the store could not be told)
//	cardea_sequence_steps_total{route,step,result}             done, failed, unknown, skipped
//	cardea_sequence_undone_total{route,step,result}            undone, stuck
//	cardea_sequence_step_duration_seconds{route,step}          until the answer of the step was there
//	cardea_sequence_recovered_total{route,result}              what became of sequences whose gateway ended in the middle: undone, stuck, nothing, or
//	                                                           unknown
//	cardea_sequence_abandoned{route}                           sequences whose gateway ended in the middle, and which nobody has undone yet
//	cardea_sequence_store_failures_total                       how often the store, or the disk, failed, or did not answer in time
package sequence
