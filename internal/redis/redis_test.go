package redis

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestURLs(t *testing.T) {
	for text, right := range map[string]bool{
		"redis://h:6379": true, "redis://h:1/2": true, "redis://:secret@[::1]:6379": true, "redis://me:secret@h:1": true, "rediss://h:6379": true,
		"redis://": false, "redis://h:1/x": false, "redis://h:1/-1": false, "redis://me:secret@h:port": false, "https://me:secret@h": false,
		"redis://me:se%zzcret@h": false, "": false,
	} {
		s, err := New(text)
		if (err == nil) != right || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
		if s != nil && (s.options.ReadBufferEachConn > 64<<10 || s.options.RingScaleEachConn > 8) {
			t.Errorf("%s: a connection takes too much memory", text)
		}
	}
}

// TestNobodyIsThere: a server that cannot be reached is not asked again at once.
func TestNobodyIsThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	s, err := New("redis://" + address)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		return s.Ask(t.Context(), func(context.Context, rueidis.Client) error { return nil })
	}
	first := ask()
	if second := ask(); first == nil || second != first {
		t.Errorf("%v, then %v", first, second)
	}
	_ = s.Close()
	if err := ask(); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("closed: %v", err)
	}
}
