// Package ip is the policy `ip`: which client addresses may come, by range, country and autonomous system.
//
// # What it does
//
// It compares the client's address, as found after trusted proxies, with two lists of ranges. The longest range that holds
// the address decides, whichever list it is in; where both lists have the same range, deny wins.
//
// An address in no range is looked up in the databases, if there are lists of countries or autonomous systems. It is refused if its
// country or system is in a list of the refused, and else let in if one of them is in a list of the allowed.
//
// An address in no list at all is refused if there is a list of those who may come, and passes if there is none; `default` changes that.
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
// By country and autonomous system, with files in the MaxMind DB format:
//
//	ip:
//	  countries: {allow: [DE, AT, CH]}       # short: [DE, AT, CH]
//	  asns: {deny: [AS64500, AS64501]}
//	  database: [GeoLite2-Country.mmdb, GeoLite2-ASN.mmdb]
//	  allow: [10.0.0.0/8]                    # wherever that is
//	  unknown: deny                          # addresses that are not in the databases
//
// Keep a country out, except for a partner:
//
//	ip: {countries: {deny: [FR]}, database: GeoLite2-Country.mmdb, allow: [192.0.2.0/24], default: allow}
//
// A client without an address, as on a Unix socket, is in no range and no database. IPv4 addresses
// written as IPv6 (::ffff:192.0.2.1) count as IPv4. Zones of link-local addresses are ignored.
//
// # Databases
//
// GeoLite2 and GeoIP2 of MaxMind fit, and all that have their fields: `country.iso_code`, or else `registered_country.iso_code`, and
// `autonomous_system_number`. The file is held in memory and looked through when it is read, so that one that is damaged or of another
// kind is refused at load. It is looked at every ten seconds, and at each reload. A new one that cannot be used is told of in the log; what was
// read before stays in use. The gateway downloads nothing: geoipupdate does.
//
// # Stage
//
// guard: before anything looks at credentials. A refused request gets 403 address_denied. The nearest policy wins as a whole:
// a route's lists replace those of the root.
//
// # Explain
//
// Which range decided, and in which list it is; or the country and the system, and which list they are in; or that none did.
//
// # Metrics
//
// None of its own. Refusals are in cardea_errors_total{code="address_denied"}.
package ip
