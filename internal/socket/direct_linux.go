//go:build linux && (amd64 || arm64) && !race

package socket

import (
	"syscall"
	"unsafe"
)

// directly says that there are the system calls that Direct needs.
const directly = true

// The calls do not go through package syscall, which tells the scheduler of each that it may last. These never wait, as the sockets
// of package net do not: to be told would cost more than it saves, and wakes the scheduler's monitor all the time.

// Receive reads from a socket.
func Receive(fd uintptr, p []byte) (int, syscall.Errno) { return receive(fd, p, syscall.MSG_DONTWAIT) }

// peek reads from a socket what will be read again.
func peek(fd uintptr, p []byte) (int, syscall.Errno) {
	return receive(fd, p, syscall.MSG_DONTWAIT|syscall.MSG_PEEK)
}

func receive(fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	return transferred(syscall.SYS_RECVFROM, fd, p, flags)
}

// send writes to a socket.
func send(fd uintptr, p []byte) (int, syscall.Errno) {
	return transferred(syscall.SYS_SENDTO, fd, p, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

// gather is the number of pieces that sendAll takes.
const gather = 3

// sendAll writes several pieces to a socket, as if they were one.
func sendAll(fd uintptr, pieces [][]byte) (int, syscall.Errno) {
	var vectors [gather]syscall.Iovec
	n := 0
	for _, p := range pieces {
		if len(p) > 0 {
			vectors[n].Base = unsafe.SliceData(p)
			vectors[n].SetLen(len(p))
			n++
		}
	}
	for {
		sent, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&vectors)), uintptr(n))
		switch errno {
		case 0:
			return int(sent), 0
		case syscall.EINTR:
			continue
		}
		return 0, errno
	}
}

func transferred(call, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
			continue
		}
		return 0, errno
	}
}
