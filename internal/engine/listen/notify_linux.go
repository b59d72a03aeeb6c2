package listen

import "golang.org/x/sys/unix"

// monotonicMicroseconds is the time since the machine started.
func monotonicMicroseconds() int64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0
	}
	return now.Nano() / 1000
}
