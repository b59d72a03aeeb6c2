// Package gatewaytest runs a whole gateway inside a test, from the text of a configuration, on a port of its own. Policies, built-in
// and foreign ones alike, are tested with it as users will meet them.
package gatewaytest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/control"
)

// Gateway is a gateway under test. It ends with the test.
type Gateway struct {
	*control.Gateway
	URL    string       // of its first listener: "http://127.0.0.1:41234"
	Client *http.Client // follows no redirects, decompresses nothing, trusts any certificate

	t    testing.TB
	mu   sync.Mutex
	text string
	log  syncBuffer
}

// New starts a gateway. A configuration without `listen` and `admin` gets a free port on loopback, where clients may be slow to begin, and no admin API. The test
// fails where the configuration is wrong.
func New(t testing.TB, text string, extra ...filter.Kind) *Gateway {
	t.Helper()
	g, err := Start(t, text, extra...)
	if err != nil {
		t.Fatalf("the gateway does not start:\n%v", err)
	}
	return g
}

// Start is New for configurations that may be wrong.
func Start(t testing.TB, text string, extra ...filter.Kind) (*Gateway, error) {
	t.Helper()
	g := &Gateway{t: t, text: complete(text)}
	dir := t.TempDir()
	g.Gateway = control.New(control.Options{
		Load: func() (*config.Config, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			return config.Parse("cardea.yaml", []byte(g.text), config.Options{Dir: dir})
		},
		Dir: dir, Kinds: compile.Builtin(extra...), Version: "test",
		Log: slog.New(slog.NewTextHandler(&g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	t.Cleanup(g.end)
	if _, err := g.Gateway.Start(context.Background()); err != nil {
		return nil, err
	}
	if addrs := g.Listen.Addrs(); len(addrs) > 0 {
		scheme := "http://"
		if first := g.Engine.Snapshot().Config.Listen[0]; first.Secure() {
			scheme = "https://"
		}
		g.URL = scheme + addrs[0].Actual
	}
	g.Client = client()
	return g, nil
}

// complete adds what a test need not say.
func complete(text string) string {
	lines := "\n" + text
	if !strings.Contains(lines, "\nlisten:") {
		text += "\nlisten: {address: \"127.0.0.1:0\", limits: {header_timeout: 1min}}\n"
	}
	if !strings.Contains(lines, "\nadmin:") {
		text += "\nadmin: off\n"
	}
	if !strings.Contains(lines, "\nlog:") {
		text += "\nlog: off\n"
	}
	return text
}

// SetConfig changes the configuration and reloads it.
func (g *Gateway) SetConfig(text string) error {
	g.mu.Lock()
	g.text = complete(text)
	g.mu.Unlock()
	_, err := g.Reload(context.Background(), "test")
	return err
}

// Log is what the gateway has logged.
func (g *Gateway) Log() string { return g.log.String() }

// Get sends a GET and returns the response, its body read.
func (g *Gateway) Get(path string, fields ...string) (*http.Response, string) {
	g.t.Helper()
	return g.Do("GET", path, "", fields...)
}

// Do sends a request and returns the response, its body read. Fields are "Name: value"; Host is one of them.
func (g *Gateway) Do(method, path, body string, fields ...string) (*http.Response, string) {
	g.t.Helper()
	r, err := http.NewRequest(method, g.URL+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if strings.EqualFold(name, "Host") {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	resp, err := g.Client.Do(r)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatalf("%s %s: cannot read the body: %v", method, path, err)
	}
	return resp, string(text)
}

func (g *Gateway) end() {
	if g.Client != nil {
		g.Client.CloseIdleConnections()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	g.Shutdown(ctx)
	if g.t.Failed() {
		g.t.Logf("the gateway's log:\n%s", g.Log())
	}
}

// syncBuffer is a buffer that several goroutines write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
