// Package demo is what `cardea demo` shows: a handful of small services, and a configuration with the gateway in front of them.
// The services are real servers on loopback; nothing but the demo and the tests of the manual uses them.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// Services are the running sample services.
type Services struct {
	addresses map[string]string
	servers   []*http.Server
}

// kinds are the services by name.
func kinds() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"users":           users,
		"orders":          orders,
		"catalog":         catalog("v1"),
		"catalog-next":    catalog("v2"),
		"recommendations": recommendations,
		"events":          events,
		"echo":            echo,
		"flaky":           flaky,
	}
}

// Start starts all services, each on a port of its own.
func Start() (*Services, error) {
	s := &Services{addresses: map[string]string{}}
	for name, handler := range kinds() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("cannot start sample service %s: %w", name, err)
		}
		server := &http.Server{Handler: named(name, handler), ReadHeaderTimeout: 10 * time.Second}
		s.addresses[name] = l.Addr().String()
		s.servers = append(s.servers, server)
		go func() { _ = server.Serve(l) }() // ends with Close
	}
	return s, nil
}

// Address is where a service listens.
func (s *Services) Address(name string) string { return s.addresses[name] }

// Close ends all services.
func (s *Services) Close() {
	for _, server := range s.servers {
		_ = server.Close()
	}
}

// named lets answers tell which service they are from.
func named(name string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Service", name)
		next(w, r)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	body, _ := json.Marshal(v)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

type user struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	Segment string `json:"segment"`
}

func people() []user {
	return []user{{1, "Ada", "engineer"}, {2, "Grace", "admiral"}, {3, "Edsger", "scholar"}, {4, "Barbara", "engineer"}}
}

func users(w http.ResponseWriter, r *http.Request) {
	all := people()
	if r.URL.Path == "/users" {
		answer(w, http.StatusOK, all)
		return
	}
	var id int
	if _, err := fmt.Sscanf(r.URL.Path, "/users/%d", &id); err != nil || id < 1 || id > len(all) {
		answer(w, http.StatusNotFound, map[string]string{"error": "no such user"})
		return
	}
	answer(w, http.StatusOK, all[id-1])
}

type order struct {
	ID    int     `json:"id"`
	User  int     `json:"user"`
	Item  string  `json:"item"`
	Total float64 `json:"total"`
}

func orders(w http.ResponseWriter, r *http.Request) {
	all := []order{{7, 1, "hinge, brass", 12.5}, {8, 1, "door handle", 30}, {9, 2, "threshold, oak", 85}, {10, 3, "key, spare", 4.2}}
	if r.Method == http.MethodPost {
		var o order
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&o); err != nil {
			answer(w, http.StatusBadRequest, map[string]string{"error": "an order is a JSON object"})
			return
		}
		o.ID = 11
		answer(w, http.StatusCreated, o)
		return
	}
	user := r.URL.Query().Get("user")
	found := []order{}
	for _, o := range all {
		if "/orders/"+strconv.Itoa(o.ID) == r.URL.Path {
			answer(w, http.StatusOK, o)
			return
		}
		if user == "" || user == strconv.Itoa(o.User) {
			found = append(found, o)
		}
	}
	if r.URL.Path != "/orders" {
		answer(w, http.StatusNotFound, map[string]string{"error": "no such order"})
		return
	}
	answer(w, http.StatusOK, found)
}

func catalog(version string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		items := []map[string]any{}
		for i := range 40 {
			items = append(items, map[string]any{"sku": fmt.Sprintf("H-%03d", i), "name": fmt.Sprintf("hinge no. %d", i), "price": 5 + i})
		}
		answer(w, http.StatusOK, map[string]any{"version": version, "items": items})
	}
}

func recommendations(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, map[string]any{"for": r.URL.Path, "items": []string{"H-007", "H-012"}})
}

// events sends an event each half second, ten in all.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	for i := 1; i <= 10; i++ {
		fmt.Fprintf(w, "id: %d\ndata: {\"tick\": %d}\n\n", i, i)
		if control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// echo sends each WebSocket message back.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	for {
		kind, text, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, text); err != nil {
			return
		}
	}
}

// flaky is as slow as ?delay= says, and answers with ?status=; ?drop=1 breaks the connection.
func flaky(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if d, err := time.ParseDuration(q.Get("delay")); err == nil {
		if wait(r.Context(), min(d, time.Minute)) != nil {
			return
		}
	}
	if q.Get("drop") != "" {
		panic(http.ErrAbortHandler)
	}
	status, err := strconv.Atoi(q.Get("status"))
	if err != nil || status < 200 || status > 599 {
		status = http.StatusOK
	}
	answer(w, status, map[string]any{"status": status})
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return errors.New("the client left")
	case <-t.C:
		return nil
	}
}
