package fault_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"cardea.dev/cardea/gatewaytest"
)

// service counts what it is asked, and answers with 64 KiB.
func service(t *testing.T) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, strings.Repeat("x", 64<<10))
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func TestFaultsThroughAGateway(t *testing.T) {
	up, asked := service(t)
	lines := filepath.Join(t.TempDir(), "log")
	g := gatewaytest.New(t, `
log: {file: `+lines+`, fields: [status, error, aborted, fault]}
upstreams: {a: `+up+`}
routes:
  - match: /**
    to: a
    headers: {response: {set: {X-After: "yes"}}}
    fault:
      - {header: {x-fault: abort}, abort: 503}
      - {header: {x-fault: reset}, abort: reset}
      - {header: {x-fault: slow}, delay: 1ms}
      - {header: {x-fault: cut}, truncate: 1KiB}
      - {header: {x-fault: grpc}, abort: {status: 500, grpc_status: 10}}
`)
	resp, body := g.Get("/x", "X-Fault: abort")
	if resp.StatusCode != 503 || !strings.Contains(body, `"fault_injected"`) || resp.Header.Get("Cardea-Fault") != "abort" || resp.Header.Get("X-After") != "yes" || asked.Load() != 0 {
		t.Errorf("abort: %d %v %s, asked %d times", resp.StatusCode, resp.Header, body, asked.Load())
	}
	resp, body = g.Get("/x", "X-Fault: slow")
	if len(body) != 64<<10 || resp.Header.Get("Cardea-Fault") != "delay" {
		t.Errorf("delay: %d bytes, %v", len(body), resp.Header)
	}
	resp, body = g.Get("/x")
	if len(body) != 64<<10 || resp.Header.Get("Cardea-Fault") != "" {
		t.Errorf("none: %d bytes, %v", len(body), resp.Header)
	}
	resp, _ = g.Get("/x", "X-Fault: grpc", "Content-Type: application/grpc")
	if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != "10" {
		t.Errorf("gRPC: %d %v", resp.StatusCode, resp.Header)
	}
	if _, _, err := get(g.Client, g.URL, "reset"); err == nil {
		t.Error("reset: there is an answer")
	}
	status, n, err := get(g.Client, g.URL, "cut")
	if status != 200 || n != 1<<10 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %d, %d bytes, %v", status, n, err)
	}
	want := []string{
		`{"status":503,"error":"fault_injected","fault":"abort"}`, `{"status":200,"fault":"delay"}`, `{"status":200}`, `{"status":200,"error":"fault_injected","fault":"abort"}`,
		`"error":"fault_injected","aborted":true,"fault":"reset"}`, `{"status":200,"error":"fault_injected","aborted":true,"fault":"truncate"}`,
	}
	eventually(t, func() bool {
		text, _ := os.ReadFile(lines)
		for _, line := range want {
			if !strings.Contains(string(text), line+"\n") {
				return false
			}
		}
		return true
	}, func() string { text, _ := os.ReadFile(lines); return string(text) })
}

// eventually waits until something holds.
func eventually(t *testing.T, holds func() bool, state func() string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("it never came:\n%s", state())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// get asks for a fault, and returns the status and how many bytes of a body came.
func get(c *http.Client, url, fault string) (status int, n int64, err error) {
	r, _ := http.NewRequest("GET", url+"/x", nil)
	r.Header.Set("X-Fault", fault)
	resp, err := c.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	n, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, n, err
}

// The field is there also where an error does not come back through this policy.
func TestFaultsUnderCoalesce(t *testing.T) {
	up, asked := service(t)
	g := gatewaytest.New(t, "upstreams: {a: "+up+"}\nroutes: [{match: /**, to: a, coalesce: {}, fault: {delay: 1ms, abort: 503}}]")
	resp, body := g.Get("/x")
	if v := resp.Header["Cardea-Fault"]; resp.StatusCode != 503 || len(v) != 1 || v[0] != "delay, abort" || asked.Load() != 0 {
		t.Errorf("%d %v %s, asked %d times", resp.StatusCode, resp.Header, body, asked.Load())
	}
}

func TestResetsOfHTTP2(t *testing.T) {
	up, asked := service(t)
	g := gatewaytest.New(t, `
upstreams: {a: `+up+`}
routes: [{match: /**, to: a, fault: [{header: {x-fault: reset}, abort: reset}, {header: {x-fault: cut}, truncate: 1KiB}]}]
`)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport}
	var reset http2.StreamError
	if _, _, err := get(c, g.URL, "reset"); err == nil || !errors.As(err, &reset) && !strings.Contains(err.Error(), "stream error") {
		t.Errorf("reset: %v", err)
	}
	if status, n, err := get(c, g.URL, "cut"); status != 200 || n != 1<<10 || err == nil {
		t.Errorf("cut: %d, %d bytes, %v", status, n, err)
	}
	if status, n, err := get(c, g.URL, "none"); status != 200 || n != 64<<10 || err != nil || asked.Load() != 2 {
		t.Errorf("none: %d, %d bytes, %v", status, n, err)
	}
}

func TestAFaultForAllIsToldOf(t *testing.T) {
	g := gatewaytest.New(t, "routes: [{match: /**, respond: ok, fault: {delay: 1ms}}]")
	if !strings.Contains(g.Log(), "a fault is injected into every request") {
		t.Error("the log does not say so")
	}
}
