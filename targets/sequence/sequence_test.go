package sequence_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

const items = `{"items":[1]}`

func TestAllGoesWell(t *testing.T) {
	for name, test := range map[string]struct {
		more, want string
		status     int
		location   string
	}{
		"an object":        {"", `{"order":{"id":"1","total":7},"stock":{"id":"2","order":"1","total":7},"charge":{"id":"3","order":"1","total":7}}`, 200, ""},
		"one answer":       {"      answer: order\n      status: 201\n      location: '/orders/{order.id}?c={charge.id}'\n", `{"id":"1","total":7}`, 201, "/orders/1?c=3"},
		"a field":          {"      headers: {x-order: 'o {order.id}', content-type: application/x+json}\n      answer: charge\n", `{"id":"3","order":"1","total":7}`, 200, ""},
		"composed":         {"      compose: '{o: .order.id, c: .charge.id}'\n", `{"c":"3","o":"1"}`, 200, ""},
		"without content":  {"      status: 204\n", "", 204, ""},
		"nothing to point": {"      location: '/orders/{order.none}'\n", `{"order":{"id":"1","total":7},"stock":{"id":"2","order":"1","total":7},"charge":{"id":"3","order":"1","total":7}}`, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			g := gatewaytest.New(t, s.config("", "", "", test.more))
			resp, body := g.Do("POST", "/buy", items)
			if resp.StatusCode != test.status || strings.ReplaceAll(body, "\n", "") != test.want || resp.Header.Get("Location") != test.location {
				t.Errorf("%d %s, to %q", resp.StatusCode, body, resp.Header.Get("Location"))
			}
			if order := resp.Header.Get("X-Order"); strings.Contains(test.more, "x-order") != (order == "o 1") {
				t.Errorf("X-Order is %q", order)
			}
			if control := resp.Header.Get("Cache-Control"); control != "no-store" {
				t.Errorf("Cache-Control is %q", control)
			}
			want := []string{"POST orders/orders K-order", "POST stock/reservations K-stock", "POST payments/charges K-charge"}
			if got := s.taken(t); !slices.Equal(got, want) {
				t.Errorf("calls %q", got)
			}
		})
	}
}

func TestSkippedSteps(t *testing.T) {
	s := newShop(t)
	s.fault = failing("payments", "POST", "500")
	g := gatewaytest.New(t, s.config("", ", when: has(body.reserve)", "", ""))
	resp, body := g.Do("POST", "/buy", items)
	if resp.StatusCode != 502 || resp.Header.Get("Cardea-Sequence") != "order;state=undone, stock;state=skipped, charge;state=undone" {
		t.Errorf("%d %s %v", resp.StatusCode, body, resp.Header)
	}
	s.fault = nil
	if resp, body = g.Do("POST", "/buy", items); resp.StatusCode != 200 || strings.Contains(body, "stock") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestWrongRequests(t *testing.T) {
	s := newShop(t)
	g := gatewaytest.New(t, s.config("", "", "", "      require_key: true\n      max_body: 100\n"))
	for name, test := range map[string]struct {
		body   string
		fields []string
		status int
	}{
		"no key":       {items, nil, 400},
		"an empty key": {items, []string{"Idempotency-Key: "}, 400},
		"a quoted one": {items, []string{`Idempotency-Key: ""`}, 400},
		"two keys":     {items, []string{"Idempotency-Key: a", "Idempotency-Key: b"}, 400},
		"a long key":   {items, []string{"Idempotency-Key: " + strings.Repeat("k", 256)}, 400},
		"no JSON":      {`{"items":`, []string{"Idempotency-Key: a"}, 400},
		"a long body":  {`"` + strings.Repeat("x", 100) + `"`, []string{"Idempotency-Key: a"}, 413},
		"twice a name": {`{"a":1,"a":2}`, []string{"Idempotency-Key: a"}, 400},
	} {
		if resp, body := g.Do("POST", "/buy", test.body, test.fields...); resp.StatusCode != test.status {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
	if len(s.calls) > 0 {
		t.Errorf("calls %q", s.calls)
	}
}

func TestWrongSettings(t *testing.T) {
	for name, test := range map[string]struct{ sequence, want string }{
		"no step":           {`{timeout: 1s}`, "there is no step"},
		"a later step":      {`{a: "POST u/{b.id}", b: u}`, `"b", which is not there yet`},
		"itself":            {`{a: "POST u/{a.id}"}`, `"a", which is not there yet`},
		"undone by a later": {`{a: {call: "POST u", on_error: "DELETE u/{b.id}"}, b: u}`, `"b", which is not there yet`},
		"no upstream":       {`{a: {call: "POST u", on_error: [{call: "DELETE nowhere/x"}]}}`, "nowhere"},
		"no such answer":    {`{a: u, answer: b}`, `no step "b"`},
		"two answers":       {`{a: u, answer: a, compose: .}`, "one of"},
		"wrong jq":          {`{a: u, compose: "{"}`, "compose"},
		"a name":            {`{body: u}`, "something else"},
		"another name":      {`{request: u}`, "something else"},
		"no such name":      {`{a: u, headers: {x: "{b.id}"}}`, "b"},
		"a bad key":         {`{a: u, key: "{nobody}"}`, "nobody"},
		"a key for all":     {`{a: u, key: body.number}`, "no value in braces"},
		"a key of a step":   {`{a: u, key: "{a.id}"}`, "not known before"},
		"a key of the key":  {`{a: u, key: "{idempotency_key}"}`, "not known before"},
		"no path":           {`{a: u, location: "orders"}`, "slash"},
		"a bad field":       {`{a: u, headers: {"x y": b}}`, "cannot be the name"},
		"our field":         {`{a: u, headers: {cache-control: public}}`, "never stored"},
		"a later condition": {`{a: {call: POST u, when: b.ok}, b: u}`, `routes[0].sequence.a: it refers`},
		"in the undoing":    {`{a: {call: POST u, on_error: [{call: DELETE u, body: "{b}"}]}, b: u}`, `sequence.a.on_error[0]: it refers`},
		"no call":           {`{a: ""}`, `sequence.a.call: there is no upstream ""`},
		"no call either":    {`{a: {call: ""}, b: u}`, `sequence.a.call: there is no upstream ""`},
		"a status":          {`{a: u, status: 404}`, "299"},
		"twice":             {`{steps: {a: u}, a: u}`, "too"},
	} {
		_, err := gatewaytest.Start(t, "upstreams: {u: 'http://127.0.0.1:1'}\nroutes:\n  - {match: /, sequence: "+test.sequence+"}\n")
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	s := newShop(t)
	config := s.config("", ", headers: {idempotency-key: 'mine-{order.id}'}", "", "")
	g := gatewaytest.New(t, config)
	keys := func(fields ...string) (of [3]string) {
		s.mu.Lock()
		s.calls = nil
		s.mu.Unlock()
		if resp, body := g.Do("POST", "/buy", items, fields...); resp.StatusCode != 200 {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
		for i, c := range s.calls {
			of[i] = c[strings.LastIndex(c, " ")+1:]
		}
		return of
	}
	same := keys("Idempotency-Key: a")
	if again := keys(`Idempotency-Key: "a"`); again[0] != same[0] || again[2] != same[2] || again[1] != "mine-1" {
		t.Errorf("keys %q, then %q", same, again)
	}
	if other := keys("Idempotency-Key: b"); other[0] == same[0] {
		t.Errorf("another key gives %q, too", other)
	}
	if one, two := keys("X-Request-Id: x"), keys("X-Request-Id: x"); one[0] == two[0] {
		t.Errorf("two requests without a key have %q", one)
	}
	if strings.Contains(same[0], "a-order") {
		t.Errorf("the client's key is passed on as it is: %q", same)
	}
	if err := g.SetConfig(strings.Replace(config, "      undo:", "      key: '{body.items[0]}'\n      undo:", 1)); err != nil {
		t.Fatal(err)
	}
	if one, two := keys(), keys("Idempotency-Key: c"); one[0] != two[0] {
		t.Errorf("by the body: %q and %q", one, two)
	}
}

func TestKeysThatAreTaken(t *testing.T) {
	s := newShop(t)
	s.arrived = make(chan string)
	g := gatewaytest.New(t, s.config("", "", "", ""))
	first := make(chan int)
	go func() {
		resp, _ := g.Do("POST", "/buy", items, "Idempotency-Key: a")
		first <- resp.StatusCode
	}()
	<-s.arrived
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: a"); resp.StatusCode != 409 || !strings.Contains(body, "idempotency_conflict") {
		t.Errorf("while it is under way: %d %s", resp.StatusCode, body)
	}
	<-s.arrived
	<-s.arrived
	if status := <-first; status != 200 {
		t.Errorf("the first: %d", status)
	}
	s.arrived = nil
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: a"); resp.StatusCode != 200 || !strings.Contains(body, `"order":{"id":"1"`) {
		t.Errorf("again, once it is done: %d %s", resp.StatusCode, body)
	}
	s.fault = failing("payments", "POST", "500")
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: a"); resp.StatusCode != 502 || !strings.Contains(body, "nothing of it was undone") {
		t.Errorf("again, and it fails: %d %s", resp.StatusCode, body)
	}
	s.remains(t, "orders stock payments")
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: b"); resp.StatusCode != 502 || !strings.Contains(body, "use another key") {
		t.Errorf("one that fails: %d %s", resp.StatusCode, body)
	}
	s.fault = nil
	if err := g.SetConfig(s.config("", "", "", "      status: 201\n")); err != nil {
		t.Fatal(err)
	}
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: b"); resp.StatusCode != 409 || !strings.Contains(body, "use another key") {
		t.Errorf("again, once it is undone: %d %s", resp.StatusCode, body)
	}
	s.fault = failing("orders", "POST", "409")
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: c"); resp.StatusCode != 502 {
		t.Errorf("one that does nothing: %d %s", resp.StatusCode, body)
	}
	s.fault = nil
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: c"); resp.StatusCode != 201 {
		t.Errorf("again, since it had done nothing: %d %s", resp.StatusCode, body)
	}
}

// failing has one service fail in a way, at requests with a method.
func failing(service, method, how string) func(string, *http.Request, string) string {
	return func(name string, r *http.Request, _ string) string {
		if name == service && r.Method == method {
			return how
		}
		return ""
	}
}
