// Package mirror sends copies of requests to another upstream, and forgets the answers: for trying a new version with real
// traffic, or warming it up.
//
// It is no failover and no split: what the client gets never depends on it. It may be imported by whoever lists the kinds.
//
// # Syntax
//
//	mirror: orders-next                      # short form: the upstream; all requests
//	mirror: off
//
//	mirror:
//	  to: orders-next
//	  share: 5%                              # of the requests
//	  timeout: 5s                            # for each copy, answer included
//	  max_body: 1MiB                         # requests with larger bodies are not mirrored
//	  max_in_flight: 100                     # copies under way at once, on this route
//
// # Stage
//
// dispatch: the copy is what the target is about to get, after all changes by other policies. A request without a body is
// copied at once. A body is copied while the target reads it, and the copy leaves when the target has read all of it; when
// the target answers without reading to the end, or the body is larger than `max_body`, there is no copy.
//
// A copy runs by itself, under its own timeout, with an exchange of its own: nothing of it shows in the client's answer, its
// access log or its trace. When `max_in_flight` copies are under way, counting those whose body is still coming in, further
// requests are not mirrored. A reload or shutdown cuts the copies of the configuration that ends.
//
// The copy has the field `X-Cardea-Mirror: true`, so that the receiver can leave out what must not happen twice (mails, charges).
// A request that has the field already is not mirrored again, so that mirrors cannot chase each other. Upgrades (WebSocket) are
// never mirrored.
//
// # Explain
//
// It says where copies go, and how many requests are mirrored.
//
// # Metrics
//
//	cardea_mirror_requests_total{route,upstream,result}   requests chosen to be mirrored, by result: 1xx … 5xx (the answer),
//	                                                      failed, timeout, canceled, body_too_large, body_unread, busy
//	cardea_mirror_duration_seconds{route,upstream}        until the end of the answer, of copies that were answered
package mirror
