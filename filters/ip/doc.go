// Package ip is the policy `ip`: which client addresses may come.
//
// # What it does
//
// It compares the client's address, as found after trusted proxies, with two lists of ranges. The longest range that holds
// the address decides, whichever list it is in; where both lists have the same range, deny wins. An address in neither list
// is refused if there is an allow list, and passes if there is none.
//
// # Syntax
//
// Short, the list of those who may:
//
//	ip: [10.0.0.0/8, 2001:db8::/32]
//
// Long:
//
//	ip:
//	  allow: [10.0.0.0/8]
//	  deny: [10.1.0.0/16, 10.9.8.7]
//
// Carve a hole into a hole by naming the longer range in the other list:
//
//	ip: {deny: [0.0.0.0/0, "::/0"], allow: [192.0.2.0/24]}
//
// A client without an address, as on a Unix socket, is in no range: it is refused if there is an allow list. IPv4 addresses
// written as IPv6 (::ffff:192.0.2.1) count as IPv4. Zones of link-local addresses are ignored.
//
// # Stage
//
// guard: before anything looks at credentials. A refused request gets 403 address_denied. The nearest policy wins as a whole:
// a route's lists replace those of the root.
//
// # Explain
//
// Which range decided, and in which list it is; or that none did.
//
// # Metrics
//
// None of its own. Refusals are in cardea_errors_total{code="address_denied"}.
package ip
