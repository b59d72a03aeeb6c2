// Package compile turns a configuration into what runs: config.Config into engine.Snapshot. It is the only package that knows
// all kinds of policies and targets, and the only one that constructs routers, clusters, filters and targets.
//
// It starts nothing: a snapshot begins to act when the engine starts it, so that a configuration can be checked and explained
// without touching the network.
package compile
