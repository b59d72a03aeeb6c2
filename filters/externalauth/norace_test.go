//go:build !race

package externalauth

const raceEnabled = false
