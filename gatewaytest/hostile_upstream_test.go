package gatewaytest_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// TestAnswersAreNotMixedUp has an upstream say more than it was asked, on a connection that is kept. Whoever asks next must get the
// answer to its own request.
func TestAnswersAreNotMixedUp(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for name, c := range map[string]struct{ method, says, then string }{
		"an answer too many":          {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + evil, ""},
		"an answer too many, later":   {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", evil},
		"a byte too many, later":      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "\n"},
		"an answer after chunks":      {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + evil, ""},
		"an answer as body of HEAD":   {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n" + evil, ""},
		"an answer as body of 304":    {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 42\r\n\r\n" + evil, ""},
		"an answer as body of 204":    {"GET", "HTTP/1.1 204 No Content\r\n\r\n" + evil, ""},
		"an answer behind an interim": {"GET", "HTTP/1.1 103 Early Hints\r\nContent-Length: 42\r\n\r\n" + evil, ""},
		"both lengths":                {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, ""},
		"two lengths":                 {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 44\r\n\r\nok" + evil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, "upstreams: {u: {endpoints: 'http://"+liar(t, c.says, c.then)+"', retry: off}}\nroutes: [{match: /**, to: u}]")
			_, _ = g.Do(c.method, "/first", "")
			if c.then != "" {
				time.Sleep(30 * time.Millisecond) // it comes while the connection rests
			}
			for range 3 {
				if resp, body := g.Get("/next"); resp.StatusCode != http.StatusOK || body != "/next" {
					t.Errorf("the next request gets %s, %q", resp.Status, body)
				}
			}
		})
	}
}

// liar is an upstream that answers its very first request as it is told, and all others with their path.
func liar(t *testing.T, says, then string) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				answerAll(c, &once, says, then)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

func answerAll(c net.Conn, once *sync.Once, says, then string) {
	for r := bufio.NewReader(c); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		answer, later := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"+req.URL.Path, ""
		once.Do(func() { answer, later = says, then })
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
		if later != "" {
			time.Sleep(5 * time.Millisecond) // the first answer has been passed on by then
			_, _ = io.WriteString(c, later)
		}
	}
}
