// Package lang is the language of configuration files: YAML read strictly into a tree that knows its places, `${…}` in it, secrets kept
// out of sight, the decoder from the tree into structs, JSON Schema and reference of such structs, and the errors that say what is wrong
// and where.
//
// It knows no key: what can be written is said by the structs that are decoded, those of package config and of policies and targets.
// Only config imports it, and passes on what others need.
package lang
