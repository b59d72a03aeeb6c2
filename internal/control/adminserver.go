package control

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/control/admin"
	"cardea.dev/cardea/internal/overload"
)

// adminServer serves the admin API where the configuration wants it.
type adminServer struct {
	address  string
	handler  atomic.Pointer[http.Handler]
	server   *http.Server
	listener net.Listener
}

// open does all of a change that can fail: it opens the address that the settings want, if it is another one than now. The socket
// is for apply; it is nil where none is needed.
func (s *adminServer) open(ctx context.Context, g *Gateway, settings config.Admin) (net.Listener, error) {
	if settings.Off || s.server != nil && s.address == settings.Address {
		return nil, nil
	}
	l, err := g.Listen.Open(ctx, settings.Address)
	if err != nil {
		return nil, config.FieldErrorf("address", "%w", err)
	}
	return l, nil
}

// apply serves as the settings want it, on a socket that open has opened. Where the address stays, so do connections.
func (s *adminServer) apply(g *Gateway, settings config.Admin, l net.Listener) {
	if settings.Off {
		s.close()
		return
	}
	handler := admin.Handler(g.adminView(), settings)
	s.handler.Store(&handler)
	if l == nil {
		return
	}
	s.close()
	s.address, s.listener = settings.Address, l
	s.server = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.handler.Load()).ServeHTTP(w, r) }),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(g.o.Log.Handler(), slog.LevelWarn),
	}
	go func(server *http.Server) { // ends with close
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			g.o.Log.Error("the admin API ended", "error", err)
		}
	}(s.server)
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
		Version: g.o.Version, Ready: g.Ready, Snapshot: g.Engine.Snapshot, Past: g.Engine.Past,
		Metrics: g.Metrics.Handler(), Status: func() any { return g.Status() },
		Reload: func() (any, error) { return g.Reload(context.Background(), "admin") }, Limiters: g.Limiters, Caches: g.Caches, Log: g.o.Log,
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

	Overload *overload.Status `json:"overload,omitempty"` // absent where it is off
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
	g.Keeper.Each(func(v any) {
		if m, ok := v.(*overload.Monitor); ok {
			now := m.Status()
			s.Overload = &now
		}
	})
	return s
}

// AdminAddr is where the admin API listens, or "".
func (g *Gateway) AdminAddr() string {
	g.reloads.Lock()
	defer g.reloads.Unlock()
	return g.admin.addr()
}

func (s *adminServer) addr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}
