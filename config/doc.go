// Package config is the vocabulary of Cardea's configuration: the structs that a file decodes into, the values
// (durations, sizes, rates) that stand in it, the strict decoder, and the errors that say what is wrong and where.
//
// It is data only. It starts nothing, resolves nothing and imports no other package of the project; everyone may
// import it. What a configuration means at run time is decided by internal/compile.
package config
