// Command cardea is the gateway.
package main

import "cardea.dev/cardea"

func main() { cardea.Main() }
