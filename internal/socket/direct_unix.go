//go:build unix && !(linux && (amd64 || arm64) && !race)

package socket

import "syscall"

// directly says that there are the system calls that Direct needs. These here are for where others would be faster, and for the race
// detector, which knows by them that what was sent comes before what was received.
const directly = true

// Receive reads from a socket.
func Receive(fd uintptr, p []byte) (int, syscall.Errno) {
	return again(func() (int, error) { return syscall.Read(int(fd), p) })
}

// peek reads from a socket what will be read again.
func peek(fd uintptr, p []byte) (int, syscall.Errno) {
	return again(func() (int, error) {
		n, _, err := syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return n, err
	})
}

// send writes to a socket.
func send(fd uintptr, p []byte) (int, syscall.Errno) {
	return again(func() (int, error) { return syscall.Write(int(fd), p) })
}

// again makes a system call until no signal interrupts it.
func again(call func() (int, error)) (int, syscall.Errno) {
	for {
		n, err := call()
		switch errno, _ := err.(syscall.Errno); errno {
		case 0:
			return max(0, n), 0
		case syscall.EINTR:
			continue
		default:
			return 0, errno
		}
	}
}

// gather is the number of pieces that sendAll takes: package net writes several by itself.
const gather = 0

func sendAll(uintptr, [][]byte) (int, syscall.Errno) { return 0, syscall.EINVAL }
