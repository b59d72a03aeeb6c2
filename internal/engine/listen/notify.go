package listen

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Notify tells systemd how the process is: "READY=1", "RELOADING=1", "STOPPING=1", "STATUS=…", several of them in lines
// (sd_notify(3)). It does nothing where systemd does not ask. To "RELOADING=1" it adds the time, which units of Type=notify-reload
// want.
func Notify(state string) error { return notify(os.Getenv("NOTIFY_SOCKET"), state) }

func notify(socket, state string) error {
	if socket == "" {
		return nil
	}
	if strings.Contains(state, "RELOADING=1") && !strings.Contains(state, "MONOTONIC_USEC=") {
		if now := monotonicMicroseconds(); now > 0 {
			state += "\nMONOTONIC_USEC=" + strconv.FormatInt(now, 10)
		}
	}
	if socket[0] != '/' && socket[0] != '@' {
		return fmt.Errorf("cannot notify systemd: NOTIFY_SOCKET is %q, which is no Unix socket", socket)
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("cannot notify systemd: %w", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("cannot notify systemd: %w", err)
	}
	return nil
}
