//go:build !unix

package socket

import "syscall"

// directly says that there are no system calls for Direct.
const directly = false

func Receive(uintptr, []byte) (int, syscall.Errno) { return 0, syscall.EINVAL }

func peek(uintptr, []byte) (int, syscall.Errno) { return 0, syscall.EINVAL }

func send(uintptr, []byte) (int, syscall.Errno) { return 0, syscall.EINVAL }

// gather is the number of pieces that sendAll takes: package net writes several by itself.
const gather = 0

func sendAll(uintptr, [][]byte) (int, syscall.Errno) { return 0, syscall.EINVAL }
