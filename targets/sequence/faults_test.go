package sequence_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/porttest"
)

// TestFaults: each step fails in each way, and what was done is undone, the last first.
func TestFaults(t *testing.T) {
	const undoOrder, undoStock, undoCharge = "DELETE orders/orders/1 K-order-undo", "DELETE stock/reservations/2 K-stock-undo", "DELETE payments/by-key/K-charge K-charge-undo"
	for _, test := range []struct {
		step, fault string
		status      int
		undoing     []string
		told        string // of the states of the steps
		left        string // what remains: services
	}{
		{"order", "refused", 502, nil, "failed waiting waiting", ""},
		{"order", "slow", 504, nil, "stuck waiting waiting", ""},
		{"order", "done, slow", 504, nil, "stuck waiting waiting", "orders"},
		{"order", "reset", 502, nil, "stuck waiting waiting", ""},
		{"order", "done, reset", 502, nil, "stuck waiting waiting", "orders"},
		{"order", "500", 502, nil, "stuck waiting waiting", ""},
		{"order", "done, 500", 502, nil, "stuck waiting waiting", "orders"},
		{"order", "409", 502, nil, "failed waiting waiting", ""},
		{"order", "garbage", 502, nil, "stuck waiting waiting", "orders"},

		{"stock", "refused", 502, []string{undoOrder}, "undone failed waiting", ""},
		{"stock", "slow", 504, []string{undoOrder}, "undone stuck waiting", ""},
		{"stock", "done, slow", 504, []string{undoOrder}, "undone stuck waiting", "stock"},
		{"stock", "reset", 502, []string{undoOrder}, "undone stuck waiting", ""},
		{"stock", "500", 502, []string{undoOrder}, "undone stuck waiting", ""},
		{"stock", "409", 502, []string{undoOrder}, "undone failed waiting", ""},
		{"stock", "garbage", 502, []string{undoOrder}, "undone stuck waiting", "stock"},

		{"charge", "refused", 502, []string{undoStock, undoOrder}, "undone undone failed", ""},
		{"charge", "slow", 504, []string{undoCharge, undoStock, undoOrder}, "undone undone undone", ""},
		{"charge", "done, slow", 504, []string{undoCharge, undoStock, undoOrder}, "undone undone undone", ""},
		{"charge", "reset", 502, []string{undoCharge, undoStock, undoOrder}, "undone undone undone", ""},
		{"charge", "done, reset", 502, []string{undoCharge, undoStock, undoOrder}, "undone undone undone", ""},
		{"charge", "500", 502, []string{undoCharge, undoStock, undoOrder}, "undone undone undone", ""},
		{"charge", "done, 500", 502, []string{undoCharge, undoStock, undoOrder}, "undone undone undone", ""},
		{"charge", "409", 502, []string{undoStock, undoOrder}, "undone undone failed", ""},
		{"charge", "garbage", 502, []string{undoCharge, undoStock, undoOrder}, "undone undone undone", ""},
	} {
		t.Run(test.step+" "+test.fault, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			service := map[string]string{"order": "orders", "stock": "stock", "charge": "payments"}[test.step]
			if test.fault == "refused" {
				s.urls[service] = "http://" + porttest.Address(t)
			} else {
				s.fault = failing(service, "POST", test.fault)
			}
			more := map[string]string{}
			if strings.Contains(test.fault, "slow") {
				more[test.step] = ", timeout: 200ms"
			}
			g := gatewaytest.New(t, s.config(more["order"], more["stock"], more["charge"], ""))
			resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k")
			if resp.StatusCode != test.status || !strings.Contains(body, `"sequence_failed"`) || !strings.Contains(body, fmt.Sprintf(`step \"%s\"`, test.step)) || strings.Contains(body, "secret") {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			told := resp.Header.Get("Cardea-Sequence")
			for i, state := range strings.Fields(test.told) {
				if step := []string{"order", "stock", "charge"}[i]; !strings.Contains(told, step+";state="+state) {
					t.Errorf("told %q, wanted %s to be %s", told, step, state)
				}
			}
			stuck := strings.Contains(test.told, "stuck")
			if stuck != strings.Contains(body, "Not all could be undone") || !stuck && (test.undoing == nil) != strings.Contains(body, "Nothing had been done") {
				t.Errorf("told %s", body)
			}
			if log := g.Log(); stuck != strings.Contains(log, "could not be undone") || stuck && !strings.Contains(log, "idempotency_key="+hexKey(s, t)) {
				t.Errorf("logged %s", log)
			}
			undoing := slices.DeleteFunc(s.taken(t), func(c string) bool { return strings.HasPrefix(c, "POST") })
			if !slices.Equal(undoing, test.undoing) {
				t.Errorf("undone by %q, wanted %q", undoing, test.undoing)
			}
			s.remains(t, test.left)
		})
	}
}

// hexKey is the beginning of the keys of all calls.
func hexKey(s *shop, t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.calls[0]
	return first[strings.LastIndex(first, " ")+1:][:20]
}

// remains checks what is left in services.
func (s *shop) remains(t *testing.T, want string) {
	t.Helper()
	var left []string
	for _, name := range []string{"orders", "stock", "payments"} {
		if len(s.live(name)) > 0 {
			left = append(left, name)
		}
	}
	if got := strings.Join(left, " "); got != want {
		t.Errorf("%q remain, wanted %q", got, want)
	}
}

// TestUnknownOutcomes: what is done about a step of which nobody knows whether it was done.
func TestUnknownOutcomes(t *testing.T) {
	for name, test := range map[string]struct {
		how, unknown string
		times        int64 // that the step fails
		told         string
		left         string
	}{
		"undo, without the answer":      {"done, reset", "undo", 1, "stuck", "orders"},
		"keep":                          {"done, reset", "keep", 1, "kept", "orders"},
		"repeat, it was done":           {"done, reset", "repeat", 1, "undone", ""},
		"repeat, it was not":            {"reset", "repeat", 1, "undone", ""},
		"repeat, after several times":   {"done, 503", "repeat", 3, "undone", ""},
		"repeat, an answer of no use":   {"garbage", "repeat", 2, "undone", ""},
		"repeat, never one of use":      {"garbage", "repeat", 100, "stuck", "orders"},
		"repeat, it never is answered":  {"done, reset", "repeat", 100, "stuck", "orders"},
		"repeat, refused by its status": {"500 400", "repeat", 1, "failed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			var n atomic.Int64
			first, then, _ := strings.Cut(test.how, " 4")
			s.fault = func(name string, r *http.Request, _ string) string {
				if name != "orders" || r.Method != "POST" {
					return ""
				}
				if n.Add(1) <= test.times {
					return first
				}
				if then != "" {
					return "4" + then
				}
				return ""
			}
			g := gatewaytest.New(t, s.config(", unknown: "+test.unknown, "", "", ""))
			resp, body := g.Do("POST", "/buy", items)
			if told := resp.Header.Get("Cardea-Sequence"); resp.StatusCode != 502 || !strings.HasPrefix(told, "order;state="+test.told+",") {
				t.Errorf("%d %s, told %q", resp.StatusCode, body, told)
			}
			s.taken(t) // all have the same key
			s.remains(t, test.left)
		})
	}
}

// TestUndoingFails: once, always, for good, and in between.
func TestUndoingFails(t *testing.T) {
	for name, test := range map[string]struct {
		how   string
		times int64 // that undoing stock fails
		tries int64
		told  string
		left  string
	}{
		"once":       {"503", 1, 2, "undone", ""},
		"thrice":     {"reset", 3, 4, "undone", ""},
		"slow once":  {"slow", 1, 2, "undone", ""},
		"always":     {"500", 1000, 4, "stuck", "stock"},
		"for good":   {"400", 1000, 1, "stuck", "stock"},
		"it is gone": {"404", 1000, 1, "undone", "stock"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			var n atomic.Int64
			s.fault = func(name string, r *http.Request, _ string) string {
				switch {
				case name == "payments" && r.Method == "POST":
					return "409"
				case name == "stock" && r.Method == "DELETE":
					if n.Add(1) <= test.times {
						return test.how
					}
				}
				return ""
			}
			config := s.config("", "", "", "")
			if test.how == "slow" {
				config = strings.Replace(config, "timeout: 10s", "timeout: 1s", 1)
			}
			g := gatewaytest.New(t, config)
			resp, body := g.Do("POST", "/buy", items)
			want := "order;state=undone, stock;state=" + test.told + ", charge;state=failed"
			if told := resp.Header.Get("Cardea-Sequence"); resp.StatusCode != 502 || told != want || n.Load() != test.tries {
				t.Errorf("%d %s, told %q after %d tries", resp.StatusCode, body, told, n.Load())
			}
			if stuck := test.told == "stuck"; stuck != strings.Contains(g.Log(), "DELETE stock/reservations/2") {
				t.Errorf("logged %s", g.Log())
			}
			s.remains(t, test.left)
		})
	}
}

// TestTheClientLeaves while a step is under way: that is brought to its end, and no other is begun.
func TestTheClientLeaves(t *testing.T) {
	for name, test := range map[string]struct {
		during    string // the call
		abandoned string
		want      []string // calls after that
		left      string
	}{
		"in the first":             {"POST orders", "undo", []string{"DELETE orders/orders/1 K-order-undo"}, ""},
		"in the second":            {"POST stock", "undo", []string{"DELETE stock/reservations/2 K-stock-undo", "DELETE orders/orders/1 K-order-undo"}, ""},
		"in the last":              {"POST payments", "undo", nil, "orders stock payments"},
		"in the first, and finish": {"POST orders", "finish", []string{"POST stock/reservations K-stock", "POST payments/charges K-charge"}, "orders stock payments"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			reached, goOn := make(chan bool), make(chan bool)
			s.fault = func(name string, r *http.Request, _ string) string {
				if r.Method+" "+name == test.during {
					reached <- true
					<-goOn
				}
				return ""
			}
			gone := make(chan context.Context, 1)
			g := gatewaytest.New(t, s.config("", "", "", "      abandoned: "+test.abandoned+"\n    watch: {}\n"), watch(gone))
			conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "POST /buy HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(items), items)
			<-reached
			_ = conn.Close()
			<-(<-gone).Done()
			before := len(s.taken(t))
			goOn <- true
			waitFor(t, func() bool { return g.Engine.Running() == 0 })
			if got := s.taken(t)[before:]; !slices.Equal(got, test.want) {
				t.Errorf("then %q", got)
			}
			s.remains(t, test.left)
		})
	}
}

// watch is a policy that gives the context of the exchange away.
func watch(to chan<- context.Context) filter.Kind {
	return filter.Define("watch", filter.Dispatch, func(*filter.Env, *struct{}) (*filter.Filter, error) {
		return &filter.Filter{Request: func(ex *filter.Exchange) error { to <- ex.Context(); return nil }}, nil
	})
}

// waitFor waits until something holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	for range 6000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it does not come to that")
}

// TestDeadlines: of the whole, of the route, and of the client's patience with both.
func TestDeadlines(t *testing.T) {
	for name, more := range map[string]string{
		"of the sequence": "      timeout: 300ms\n",
		"of the route":    "    timeout: 300ms\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			s.fault = failing("payments", "POST", "done, slow")
			g := gatewaytest.New(t, s.config("", "", "", more))
			resp, body := g.Do("POST", "/buy", items)
			if resp.StatusCode != 504 || resp.Header.Get("Cardea-Sequence") != "order;state=undone, stock;state=undone, charge;state=undone" {
				t.Errorf("%d %s %v", resp.StatusCode, body, resp.Header)
			}
			s.remains(t, "")
		})
	}
}

// TestTheGatewayEnds in the middle of a step, long before that: the step is cut, and what was done is undone before the gateway is gone.
func TestTheGatewayEnds(t *testing.T) {
	s := newShop(t)
	s.arrived = make(chan string, 100)
	s.fault = failing("payments", "POST", "done, slow")
	g := gatewaytest.New(t, s.config("", "", "", "")+"shutdown: {drain: 100ms}\n")
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /buy HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(items), items)
	for call := range s.arrived {
		if call == "POST payments" {
			break
		}
	}
	g.Shutdown(t.Context())
	s.remains(t, "")
}

// TestReloads in the middle of a sequence: what it needs stays until it has ended.
func TestReloads(t *testing.T) {
	s := newShop(t)
	reached, goOn := make(chan bool), make(chan bool)
	s.fault = func(name string, r *http.Request, _ string) string {
		if name == "payments" && r.Method == "POST" {
			reached <- true
			<-goOn
			return "done, reset"
		}
		return ""
	}
	g := gatewaytest.New(t, s.config("", "", "", ""))
	told := make(chan string)
	go func() {
		resp, _ := g.Do("POST", "/buy", items)
		told <- resp.Header.Get("Cardea-Sequence")
	}()
	<-reached
	if err := g.SetConfig("routes: [{match: /, respond: ok}]"); err != nil {
		t.Fatal(err)
	}
	goOn <- true
	if got := <-told; got != "order;state=undone, stock;state=undone, charge;state=undone" {
		t.Errorf("told %q", got)
	}
	s.remains(t, "")
}

// TestUndoingHasTimeOfItsOwn: the client's deadline, which services heed, is that of the steps alone.
func TestUndoingHasTimeOfItsOwn(t *testing.T) {
	s := newShop(t)
	told := map[string]string{}
	s.fault = func(name string, r *http.Request, _ string) string {
		told[r.Method+" "+name] = r.Header.Get("X-Request-Deadline")
		if name == "payments" && r.Method == "POST" {
			return "409"
		}
		return ""
	}
	g := gatewaytest.New(t, s.config("", "", "", ""))
	clients := time.Now().Add(5 * time.Second).Truncate(time.Second)
	g.Do("POST", "/buy", items, "X-Request-Deadline: "+clients.UTC().Format(time.RFC3339))
	for call, is := range told {
		at, err := time.Parse(time.RFC3339, is)
		if undoes := strings.HasPrefix(call, "DELETE"); err != nil || undoes != at.After(clients.Add(2*time.Second)) {
			t.Errorf("deadline of %s: %s", call, is)
		}
	}
}
