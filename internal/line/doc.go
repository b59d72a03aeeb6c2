// Package line bounds how many requests are under way at once, by key, and lets those beyond wait in line: the more important first, and among
// the equally important the one that came first. It knows nothing of policies, upstreams or HTTP. Policies and upstreams may import it.
//
// A key takes memory only while something of it is under way or waits. There are no goroutines: whoever leaves lets the next one in.
package line
