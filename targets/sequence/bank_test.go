package sequence_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"cardea.dev/cardea/internal/redis/redistest"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		os.Exit(child(text))
	}
	goleak.VerifyTestMain(m, append(redistest.Ending(), goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))...)
}

// shop is a bank of three services with a state: orders, reservations and charges. They know requests again by their keys.
type shop struct {
	urls map[string]string // of the services

	mu      sync.Mutex
	next    int
	things  map[string]map[string]*thing // by service and id
	byKey   map[string]*thing
	barred  map[string]bool // keys that were undone before they came
	calls   []string        // as they came: "POST orders key"
	fault   func(service string, r *http.Request, key string) string
	body    string      // of the last call
	arrived chan string // tells of calls, if there is one
}

// thing is an order, a reservation or a charge.
type thing struct {
	ID      string `json:"id"`
	Order   string `json:"order,omitempty"`
	Total   int    `json:"total,omitempty"`
	Deleted bool   `json:"-"`
}

func newShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{urls: map[string]string{}, things: map[string]map[string]*thing{}, byKey: map[string]*thing{}, barred: map[string]bool{}}
	for _, name := range []string{"orders", "stock", "payments"} {
		s.things[name] = map[string]*thing{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(name, w, r) }))
		t.Cleanup(server.Close)
		t.Cleanup(server.CloseClientConnections)
		s.urls[name] = server.URL
	}
	return s
}

// serve answers a call, with the fault that it is to have.
func (s *shop) serve(name string, w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	b, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.body = string(b)
	s.calls = append(s.calls, r.Method+" "+name+r.URL.Path+" "+key)
	fault, arrived := s.fault, s.arrived
	s.mu.Unlock()
	if arrived != nil {
		arrived <- r.Method + " " + name
	}
	how := ""
	if fault != nil {
		how = fault(name, r, key)
	}
	s.answer(name, how, w, r, key, b)
}

// last is the body of the last call.
func (s *shop) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.body
}

// answer does what is asked for, unless a fault comes first.
func (s *shop) answer(name, how string, w http.ResponseWriter, r *http.Request, key string, b []byte) {
	how, done := strings.CutPrefix(how, "done, ")
	status, made := 0, (*thing)(nil)
	if how == "" || how == "garbage" || done {
		status, made = s.do(name, r, key, b)
	}
	switch how {
	case "slow":
		<-r.Context().Done()
	case "reset":
		panic(http.ErrAbortHandler)
	case "400", "404", "409", "500", "503":
		status, _ = strconv.Atoi(how)
		http.Error(w, "secret stack trace", status)
	case "garbage":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id": 1`)
	default:
		if made == nil {
			w.WriteHeader(status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(made)
	}
}

// do changes the state.
func (s *shop) do(name string, r *http.Request, key string, b []byte) (int, *thing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodDelete {
		return s.remove(name, r.URL.Path), nil
	}
	if s.barred[key] {
		return http.StatusConflict, nil
	}
	if known := s.byKey[name+key]; known != nil {
		return http.StatusCreated, known
	}
	var asked thing
	if err := json.Unmarshal(b, &asked); err != nil {
		return http.StatusBadRequest, nil
	}
	if order := s.things["orders"][asked.Order]; name != "orders" && (order == nil || order.Deleted) {
		return http.StatusUnprocessableEntity, nil
	}
	s.next++
	made := &thing{ID: fmt.Sprint(s.next), Order: asked.Order, Total: 7}
	s.things[name][made.ID], s.byKey[name+key] = made, made
	return http.StatusCreated, made
}

// remove deletes by id, or by the key of the call that made it, which never will, then.
func (s *shop) remove(name, path string) int {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	last := parts[len(parts)-1]
	made := s.things[name][last]
	if parts[0] == "by-key" {
		made = s.byKey[name+last]
		s.barred[last] = true
	}
	if made == nil {
		return http.StatusNotFound
	}
	made.Deleted = true
	return http.StatusNoContent
}

// taken are the calls so far, with the part of their keys that all have in common as "K".
func (s *shop) taken(t *testing.T) []string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := slices.Clone(s.calls)
	base := ""
	for i, c := range calls {
		key := c[strings.LastIndex(c, " ")+1:]
		for _, suffix := range []string{"-undo", "-order", "-stock", "-charge"} {
			key = strings.TrimSuffix(key, suffix)
		}
		if base == "" {
			base = key
		}
		if key != base || len(key) < 20 {
			t.Errorf("call %q has another key than %q", c, base)
		}
		calls[i] = strings.ReplaceAll(c, base, "K")
	}
	return calls
}

// live are the things that there are, and were not undone.
func (s *shop) live(name string) (all []*thing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, th := range s.things[name] {
		if !th.Deleted {
			all = append(all, th)
		}
	}
	return all
}

// config is a gateway with a sequence over the services. More are settings of the steps, and of the sequence.
func (s *shop) config(order, stock, charge, more string) string {
	return fmt.Sprintf(`
upstreams:
  orders: {endpoints: [%s], retry: off, eject: off, breaker: off}
  stock: {endpoints: [%s], retry: off, eject: off, breaker: off}
  payments: {endpoints: [%s], retry: off, eject: off, breaker: off}
overload: off
routes:
  - match: /buy
    sequence:
      order: {call: "POST orders/orders", body: {items: "{body.items}"}, on_error: "DELETE orders/orders/{order.id}"%s}
      stock: {call: "POST stock/reservations", body: {order: "{order.id}"}, on_error: "DELETE stock/reservations/{stock.id}"%s}
      charge: {call: "POST payments/charges", body: {order: "{order.id}", total: "{order.total}"}, on_error: "DELETE payments/by-key/{idempotency_key}"%s}
      undo: {within: 20s, timeout: 10s, times: 3, backoff: 1ms}
%s`, s.urls["orders"], s.urls["stock"], s.urls["payments"], order, stock, charge, more)
}
