package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"cardea.dev/cardea/config"
)

// openSocket opens the socket of a listener. Its error says for which address.
func openSocket(ctx context.Context, c *config.Listener, in *inheritance) (net.Listener, error) {
	network, place, err := config.ParseAddress(c.Address)
	if err != nil {
		return nil, err
	}
	var l net.Listener
	switch network {
	case "unix":
		l, err = listenUnix(ctx, c, place)
	case "systemd", "fd":
		l, err = in.listener(network, place)
	default:
		l, err = listenTCP(ctx, c, place)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", c.Address, plain(err))
	}
	return l, nil
}

// plain takes what the net package puts before the reason off an error: the address is said already.
func plain(err error) error {
	op, ok := err.(*net.OpError)
	if !ok {
		return err
	}
	var call *os.SyscallError
	if !errors.As(err, &call) {
		return op.Err
	}
	if errors.Is(call.Err, syscall.EACCES) {
		return fmt.Errorf("%w (a port below 1024 needs the capability CAP_NET_BIND_SERVICE, or a socket opened by systemd)", call.Err)
	}
	return call.Err
}

// listenTCP opens a TCP socket. Multipath TCP, which Go asks for by default, is of no use in front of a gateway.
func listenTCP(ctx context.Context, c *config.Listener, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: keepAliveEach}
	lc.SetMultipathTCP(false)
	lc.Control = func(_, _ string, raw syscall.RawConn) error {
		if c.ReusePort {
			return errors.Join(reusePort(raw), keepAlive(raw))
		}
		return keepAlive(raw)
	}
	return lc.Listen(ctx, "tcp", address)
}

// listenUnix opens a Unix socket. A file that a dead process left behind is removed first.
func listenUnix(ctx context.Context, c *config.Listener, path string) (net.Listener, error) {
	file := !strings.HasPrefix(path, "@")
	if file {
		if err := removeStale(path); err != nil {
			return nil, err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil || !file {
		return l, err
	}
	if err := permit(c, path); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// permit gives the file of a Unix socket its permissions. Until then those of the process's umask hold, which let nobody else
// write, and so nobody else connect.
func permit(c *config.Listener, path string) error {
	mode, err := c.FileMode()
	if err != nil {
		return err
	}
	return os.Chmod(path, fs.FileMode(mode))
}

// removeStale removes the file of a Unix socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file of that name, and it is no socket")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return errors.New("another process listens on it")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return plain(err)
	}
	return os.Remove(path)
}
