// Package cardea is the gateway as a program. A custom build, with policies of one's own, is a main of five lines:
//
//	package main
//
//	import "cardea.dev/cardea"
//
//	func main() { cardea.Main(mypolicy.Kind()) }
package cardea

import (
	"os"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cli"
)

// Main runs the command that the arguments of the process name, and ends the process with its exit code: 0 fine, 1 the
// configuration or what was asked is wrong, 2 the command line is wrong. Extra are kinds of policies that the gateway does not
// come with.
func Main(extra ...filter.Kind) {
	os.Exit(cli.Main(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, extra...))
}
