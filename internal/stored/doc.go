// Package stored is what a cache keeps: responses as RFC 9111 calls them stored, what was found about their use, and what a store of them does.
// It stores nothing itself and decides nothing. The cache's parts and those who look into caches import it.
package stored
