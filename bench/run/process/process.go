//go:build linux

package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// patience is how long a program may take to end after it was told to.
const patience = 3 * time.Second

// Program is what to start.
type Program struct {
	Name    string   // in messages
	Command []string // the program and its arguments
	Env     []string // added to the environment
	Dir     string   // where it runs; by default here
	Stdout  *os.File // where its output goes; by default nowhere
	Log     string   // file for its error output; the end of it is shown when the program fails
	Stdin   bool     // whether it reads from Process.Stdin
}

// Process is a program that was started.
type Process struct {
	Stdin io.WriteCloser // nil unless asked for

	program Program
	cmd     *exec.Cmd
	ended   chan struct{} // closed when it ended; cmd.ProcessState is set then
}

// Start starts a program. Stop must be called, and ends the goroutine that waits for it. When the caller dies without that,
// the program is told to end by the kernel.
func Start(p Program) (*Process, error) {
	cmd := exec.Command(p.Command[0], p.Command[1:]...)
	cmd.Env, cmd.Dir = append(os.Environ(), p.Env...), p.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if p.Stdout != nil {
		cmd.Stdout = p.Stdout
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", p.Name, err)
	}
	defer log.Close()
	cmd.Stderr = log
	started := &Process{program: p, cmd: cmd, ended: make(chan struct{})}
	if p.Stdin {
		if started.Stdin, err = cmd.StdinPipe(); err != nil {
			return nil, fmt.Errorf("cannot start %s: %w", p.Name, err)
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", p.Name, err)
	}
	go func() { // ends with the program
		_ = cmd.Wait()
		close(started.ended)
	}()
	return started, nil
}

// PID is its number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Failure says that the program ended and why, and is nil while it runs.
func (p *Process) Failure() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended (%v):\n%s", p.program.Name, p.cmd.ProcessState, p.logged())
	default:
		return nil
	}
}

// logged is the end of what it wrote to its error output.
func (p *Process) logged() string {
	text, err := os.ReadFile(p.program.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// Stop tells the program to end, and after a while ends it. What it started and left behind ends with it: all of them are one
// process group. It returns when the program is gone.
func (p *Process) Stop() {
	if p.Failure() == nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
	}
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.ended
}
