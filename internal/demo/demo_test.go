package demo_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"cardea.dev/cardea/internal/demo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServicesAnswer(t *testing.T) {
	s, err := demo.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range []struct {
		service, method, path, body string
		status                      int
		want                        string
	}{
		{"users", "GET", "/users", "", 200, `"name":"Grace"`},
		{"users", "GET", "/users/2", "", 200, `{"id":2,"name":"Grace","segment":"admiral"}`},
		{"users", "GET", "/users/9", "", 404, "no such user"},
		{"users", "GET", "/users/x", "", 404, "no such user"},
		{"orders", "GET", "/orders/7", "", 200, `"item":"hinge, brass"`},
		{"orders", "GET", "/orders?user=2", "", 200, `[{"id":9,`},
		{"orders", "GET", "/orders?user=99", "", 200, `[]`},
		{"orders", "GET", "/orders/99", "", 404, "no such order"},
		{"orders", "POST", "/orders", `{"user": 1, "item": "bolt"}`, 201, `{"id":11,"user":1,"item":"bolt","total":0}`},
		{"orders", "POST", "/orders", `bolt`, 400, "an order is a JSON object"},
		{"catalog", "GET", "/catalog", "", 200, `"version":"v1"`},
		{"catalog-next", "GET", "/catalog", "", 200, `"version":"v2"`},
		{"recommendations", "GET", "/for/1", "", 200, `"for":"/for/1"`},
		{"flaky", "GET", "/flaky", "", 200, `{"status":200}`},
		{"flaky", "GET", "/flaky?status=503&delay=1ms", "", 503, `{"status":503}`},
		{"flaky", "GET", "/flaky?status=99999", "", 200, `{"status":200}`},
	} {
		r, err := http.NewRequest(c.method, "http://"+s.Address(c.service)+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(body), c.want) || resp.Header.Get("X-Service") != c.service {
			t.Errorf("%s %s %s: %d %s %s", c.service, c.method, c.path, resp.StatusCode, body, resp.Header)
		}
	}
	if resp, err := client.Get("http://" + s.Address("flaky") + "/flaky?drop=1"); err == nil {
		resp.Body.Close()
		t.Error("drop=1 was answered")
	}
}

func TestEventsComeOneByOneAndEndWithTheClient(t *testing.T) {
	s, err := demo.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+s.Address("events")+"/events", nil)
	resp, err := new(http.Transport).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 200)
	n, err := resp.Body.Read(buf)
	if got := string(buf[:n]); err != nil || got != "id: 1\ndata: {\"tick\": 1}\n\n" {
		t.Errorf("the first event: %q %v", got, err)
	}
	cancel()
	resp.Body.Close()
}

func TestEchoSendsBack(t *testing.T) {
	s, err := demo.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+s.Address("echo")+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := c.Read(ctx); err != nil || string(text) != "hello" {
		t.Errorf("got %q %v", text, err)
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
}

func TestTheConfigurationIsComplete(t *testing.T) {
	s, err := demo.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	text := demo.Config(s, "127.0.0.1:8080", "127.0.0.1:9090")
	if strings.Contains(text, "{{") {
		t.Errorf("something is not filled in:\n%s", text)
	}
	for _, name := range []string{"users", "orders", "catalog", "catalog-next", "recommendations", "events", "echo", "flaky"} {
		if s.Address(name) == "" || !strings.Contains(text, s.Address(name)) {
			t.Errorf("no upstream is the service %s", name)
		}
	}
	for _, line := range demo.Try("bin/cardea", "127.0.0.1:8080", "127.0.0.1:9090") {
		if !strings.HasPrefix(line, "curl ") && !strings.HasPrefix(line, "bin/cardea ") {
			t.Errorf("what is %q?", line)
		}
	}
}
