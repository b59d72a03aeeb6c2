// Package geoip looks up the country and the autonomous system of addresses in databases that the user supplies, in the MaxMind DB format
// (https://maxmind.github.io/MaxMind-DB/) with the fields of GeoLite2 and GeoIP2. It notices when a file changes.
//
// It downloads nothing, and knows nothing of what is done with what it finds. Policies may import it.
package geoip
