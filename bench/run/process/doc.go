//go:build linux

// Package process starts programs on chosen processor cores, stops them with all that they started, and tells how much
// processor time they used. It knows nothing of what the programs do.
package process
