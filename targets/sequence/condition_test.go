package sequence_test

import (
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// TestConditionsThatCannotBeSaid fail: to leave out a charge since nobody knows whether it is wanted gives goods away.
func TestConditionsThatCannotBeSaid(t *testing.T) {
	for name, test := range map[string]struct {
		when, body string
		status     int
		told, log  string
		left       string
	}{
		"holds":                            {"body.total > 0", `{"items": [1], "total": 3}`, 200, "", "", "orders stock payments"},
		"does not hold":                    {"body.total > 0", `{"items": [1], "total": 0}`, 200, "", "", "orders stock"},
		"the client's value is missing":    {"body.total > 0", items, 400, "undone undone failed", "no such key: total", ""},
		"the client's value is no number":  {"body.total > 0", `{"items": [1], "total": "3"}`, 400, "undone undone failed", "no such overload", ""},
		"a service's value is missing":     {"order.free == false", items, 502, "undone undone failed", "no such key: free", ""},
		"it may be missing, and is":        {"has(body.total) && body.total > 0", items, 200, "", "", "orders stock"},
		"it may be missing, and is there":  {"has(body.total) && body.total > 0", `{"items": [1], "total": 3}`, 200, "", "", "orders stock payments"},
		"it may be missing, but is a text": {"has(body.total) && body.total > 0", `{"items": [1], "total": ""}`, 400, "undone undone failed", "no such overload", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			g := gatewaytest.New(t, s.config("", "", ", when: '"+test.when+"'", ""))
			resp, body := g.Do("POST", "/buy", test.body)
			detail := map[int]string{200: "{", 400: `The request lacks a value that the step \"charge\" needs`, 502: `The step \"charge\" failed`}[test.status]
			if resp.StatusCode != test.status || test.status != 200 && !strings.Contains(body, "sequence_failed") || !strings.Contains(body, detail) {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			var states []string
			for item := range strings.SplitSeq(resp.Header.Get("Cardea-Sequence"), ", ") {
				_, state, _ := strings.Cut(item, "=")
				states = append(states, state)
			}
			if got := strings.Join(states, " "); got != test.told {
				t.Errorf("told %q", got)
			}
			if log := g.Log(); !strings.Contains(log, test.log) {
				t.Errorf("the log has no %q: %s", test.log, log)
			}
			s.remains(t, test.left)
		})
	}
}

// TestWhatTheClientLacks: where a step needs nothing of others, it is told so with 400.
func TestWhatTheClientLacks(t *testing.T) {
	for name, more := range map[string]string{
		"a condition": `{call: POST orders/orders, body: {items: 1}, when: body.total > 0}`,
		"a path":      `{call: "POST orders/orders/{body.total}"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			g := gatewaytest.New(t, "upstreams: {orders: "+s.urls["orders"]+"}\nroutes: [{match: /, sequence: {first: "+more+"}}]\n")
			resp, body := g.Do("POST", "/", items)
			if resp.StatusCode != 400 || !strings.Contains(body, "sequence_failed") || !strings.Contains(body, `lacks a value that the step \"first\" needs`) || !strings.Contains(body, "Nothing had been done") {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			if log := g.Log(); !strings.Contains(log, "total") {
				t.Errorf("logged %s", log)
			}
		})
	}
}

// TestUndoingOnACondition that cannot be said leaves the step to operators.
func TestUndoingOnACondition(t *testing.T) {
	for when, state := range map[string]string{"order.paid": "stuck", "has(order.paid) && order.paid": "undone"} {
		s := newShop(t)
		s.fault = func(name string, r *http.Request, _ string) string {
			if name == "stock" && r.Method == "POST" {
				return "409"
			}
			return ""
		}
		g := gatewaytest.New(t, strings.Replace(s.config("", "", "", ""), `on_error: "DELETE orders/orders/{order.id}"`, `on_error: {call: "DELETE orders/orders/{order.id}", when: "`+when+`"}`, 1))
		resp, body := g.Do("POST", "/buy", items)
		if got := resp.Header.Get("Cardea-Sequence"); resp.StatusCode != 502 || !strings.HasPrefix(got, "order;state="+state+",") {
			t.Errorf("%s: %d %q %s", when, resp.StatusCode, got, body)
		}
		if log := g.Log(); strings.Contains(log, "whether its condition holds") != (state == "stuck") {
			t.Errorf("%s: logged %s", when, log)
		}
	}
}
