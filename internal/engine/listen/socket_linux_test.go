package listen

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"cardea.dev/cardea/config"
)

func TestConnectionsInheritKeepAlive(t *testing.T) {
	l, err := listenTCP(t.Context(), &config.Listener{}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range []struct{ level, name, want int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	} {
		var got int
		failed := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), option.level, option.name) })
		if failed != nil || err != nil || got != option.want {
			t.Errorf("option %d of level %d is %d: %v %v", option.name, option.level, got, failed, err)
		}
	}
}
