//go:build race

package http1test

// RaceEnabled says whether the race detector is on, which allocates.
const RaceEnabled = true
