//go:build !race

package gatewaytest_test

const raceEnabled = false
