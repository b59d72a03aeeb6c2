// Package suite is a conformance suite for HTTP caches: a table of scenarios, each of which names the section of the RFC that it is about, an origin
// that answers as scenarios say, and a runner that plays them through a cache, over TCP, and looks at what both sides see. It knows caches by
// their address alone. It is for tests and comparisons; nothing of the gateway may import it.
package suite
