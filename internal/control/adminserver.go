package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/control/admin"
)

// adminServer serves the admin API where the configuration wants it.
type adminServer struct {
	address  string
	handler  atomic.Pointer[http.Handler]
	server   *http.Server
	listener net.Listener
}

// apply serves as the settings want it. Where the address stays, so do connections. An error changes nothing.
func (s *adminServer) apply(g *Gateway, settings config.Admin) error {
	handler := admin.Handler(g.adminView(), settings)
	if s.server != nil && s.address == settings.Address && !settings.Off {
		s.handler.Store(&handler)
		return nil
	}
	if settings.Off {
		s.close()
		return nil
	}
	l, err := listenAdmin(settings.Address)
	if err != nil {
		return err
	}
	s.close()
	s.handler.Store(&handler)
	s.address, s.listener = settings.Address, l
	s.server = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.handler.Load()).ServeHTTP(w, r) }),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	go func(server *http.Server) { // ends with close
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			g.o.Log.Error("the admin API ended", "error", err)
		}
	}(s.server)
	return nil
}

func listenAdmin(address string) (net.Listener, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
		_ = os.Remove(path)
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the admin API: %w", err)
	}
	return l, nil
}

// close ends it. What it is answering, a reload perhaps that moves it elsewhere, gets a moment in the background.
func (s *adminServer) close() {
	if s.server == nil {
		return
	}
	_ = s.listener.Close()
	go func(server *http.Server) { // ends after a second
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	}(s.server)
	s.server, s.listener = nil, nil
}

// adminView is what the admin API shows and does.
func (g *Gateway) adminView() admin.Gateway {
	return admin.Gateway{
		Version: g.o.Version, Ready: g.Ready, Snapshot: g.Engine.Snapshot, Failure: g.Engine.Failure,
		Metrics: g.Metrics.Handler(), Status: func() any { return g.Status() },
		Reload: func() (any, error) { return g.Reload(context.Background(), "admin") },
	}
}

// Status is what the gateway says of itself.
type Status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Ready   bool      `json:"ready"`
	Reason  string    `json:"reason,omitempty"` // why it is not ready
	Running int64     `json:"running"`          // exchanges
	Listen  []string  `json:"listen"`
	Load    Report    `json:"last_load"`
}

// Status tells version, age, readiness, listeners and the last load.
func (g *Gateway) Status() Status {
	s := Status{Version: g.o.Version, Started: g.started, Running: g.Engine.Running(), Load: g.Last(), Listen: []string{}}
	if err := g.Ready(); err != nil {
		s.Reason = err.Error()
	}
	s.Ready = s.Reason == ""
	for _, a := range g.Listen.Addrs() {
		s.Listen = append(s.Listen, a.Actual)
	}
	return s
}

// AdminAddr is where the admin API listens, or "".
func (g *Gateway) AdminAddr() string {
	g.reloads.Lock()
	defer g.reloads.Unlock()
	if g.admin.listener == nil {
		return ""
	}
	return g.admin.listener.Addr().String()
}
