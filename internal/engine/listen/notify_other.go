//go:build !linux

package listen

// monotonicMicroseconds is not known: only Linux has systemd.
func monotonicMicroseconds() int64 { return 0 }
