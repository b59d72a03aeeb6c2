//go:build linux

package process

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// CPUs lists the cores that this process may run on.
func CPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("cannot list processor cores: %w", err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// Exec becomes another program that runs on some cores only. It returns only when that fails. What an exec takes over is the
// calling thread's cores, and those of all threads and processes that come from it follow.
func Exec(cpus string, command []string) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	for text := range strings.SplitSeq(cpus, ",") {
		cpu, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("cannot use core %q: %w", text, err)
		}
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("cannot run on cores %s: %w", cpus, err)
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, command, os.Environ())
}

// List writes cores as Exec takes them.
func List(cpus []int) string {
	texts := make([]string, len(cpus))
	for i, cpu := range cpus {
		texts[i] = strconv.Itoa(cpu)
	}
	return strings.Join(texts, ",")
}
