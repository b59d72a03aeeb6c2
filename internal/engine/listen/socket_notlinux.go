//go:build !linux

package listen

import "syscall"

// keepAliveEach is what package net does for each connection: its default.
const keepAliveEach = 0

func keepAlive(syscall.RawConn) error { return nil }
