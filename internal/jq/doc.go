// Package jq is programs in jq that shape documents: compiled once, run within bounds.
//
// A program sees its input and the values that it is given, and nothing else: no environment, no files or modules, no further inputs. What it
// may do is bounded: by the context, and by counts of steps, outputs, and bytes. Numbers keep their digits (json.Number) until a program
// computes with them.
//
// It is not where programs come from, and knows no HTTP. Policies and targets that shape documents import it.
package jq
