// Package overload measures whether the gateway itself has too much to do: memory, goroutines, how long work waits for a processor, and
// requests under way. Of that it makes one pressure, from which follows which requests are shed, the least important first.
//
// It is no limit for clients, and knows nothing of upstreams. The policy `overload` asks it for each request; control shows its state.
package overload
