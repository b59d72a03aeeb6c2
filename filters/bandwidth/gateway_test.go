package bandwidth_test

import (
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"cardea.dev/cardea/gatewaytest"
)

// service answers with as many bytes as the query says, or with how many came.
func service(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			echo(w, r)
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if r.Method == "POST" {
			_, _ = io.WriteString(w, strconv.FormatInt(n, 10))
			return
		}
		size, _ := strconv.Atoi(r.URL.RawQuery)
		_, _ = w.Write(page(size))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// page is something that is not the same everywhere.
func page(size int) []byte {
	b := make([]byte, 0, size+32)
	for i := 0; len(b) < size; i++ {
		sum := sha256.Sum256([]byte(strconv.Itoa(i)))
		b = append(b, sum[:]...)
	}
	return b[:size]
}

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, text, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, text) != nil {
			return
		}
	}
}

// metrics are the lines of the gateway's metrics that begin so.
func metrics(g *gatewaytest.Gateway, prefix string) string {
	w := httptest.NewRecorder()
	g.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var found []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

func TestThroughAGateway(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			g := gatewaytest.New(t, `
upstreams: {a: `+service(t)+`}
routes: [{name: files, match: /**, to: a, bandwidth: {response: 2MiB/s burst 1KiB, request: 2MiB/s burst 1KiB, per: address}}]
`)
			transport := &http.Transport{Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(protocol == "HTTP/1.1")
			transport.Protocols.SetUnencryptedHTTP2(protocol != "HTTP/1.1")
			defer transport.CloseIdleConnections()
			g.Client.Transport = transport
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					resp, body := g.Get("/x?100000")
					if body != string(page(100000)) || resp.Proto != protocol {
						t.Errorf("%s: %d bytes", resp.Proto, len(body))
					}
				})
				all.Go(func() {
					if _, body := g.Do("POST", "/x", string(page(100000))); body != "100000" {
						t.Errorf("%s bytes came", body)
					}
				})
			}
			all.Wait()
			if got := metrics(g, `cardea_bandwidth_bytes_total{direction="response",route="files"}`); !strings.HasSuffix(got, " 300018\n") {
				t.Errorf("answers: %s", got)
			}
			if got := metrics(g, `cardea_bandwidth_bytes_total{direction="request",route="files"}`); !strings.HasSuffix(got, " 300000\n") {
				t.Errorf("requests: %s", got)
			}
			if got := metrics(g, `cardea_bandwidth_wait_seconds_total`); strings.Contains(got, " 0\n") || got == "" {
				t.Errorf("nothing waited:\n%s", got)
			}
		})
	}
}

func TestUpgradesThroughAGateway(t *testing.T) {
	g := gatewaytest.New(t, "upstreams: {a: "+service(t)+"}\nroutes: [{name: files, match: /**, to: a, bandwidth: {response: 1MiB/s burst 1KiB, request: 1MiB/s burst 1KiB}}]")
	c, _, err := websocket.Dial(t.Context(), g.URL+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	text := page(20000)
	if err := c.Write(t.Context(), websocket.MessageBinary, text); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(t.Context()); string(got) != string(text) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got := metrics(g, `cardea_bandwidth_wait_seconds_total`); strings.Contains(got, " 0\n") || got == "" {
		t.Errorf("nothing waited:\n%s", got)
	}
}
