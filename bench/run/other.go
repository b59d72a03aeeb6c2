//go:build !linux

// Command run measures Cardea beside its peers. It reads /proc and uses epoll, and therefore runs on Linux alone.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: the benchmarks need Linux")
	os.Exit(1)
}
