// Package config is the vocabulary of Cardea's configuration: the structs that a file decodes into, the values
// (durations, sizes, rates) that stand in it, and, from package lang, the tree of what was written and the errors about it.
//
// It is data only. It starts nothing, resolves nothing and imports no other package of the project but its own part lang; everyone may
// import it. What a configuration means at run time is decided by internal/compile.
package config
