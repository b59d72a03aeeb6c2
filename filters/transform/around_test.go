package transform_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// TestThereIsNoWayAround: what a client says of its request cannot keep the request, or its response, from being transformed.
func TestThereIsNoWayAround(t *testing.T) {
	g := gatewaytest.New(t, upstream(t, "request: {drop: [admin]}\nresponse: {drop: [secret]}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		if len(body) == 0 {
			body = []byte(`null`)
		}
		_, _ = io.WriteString(w, `{"secret":1,"got":`+string(body)+`}`)
	}))
	for _, fields := range [][]string{
		{"Connection: Upgrade", "Upgrade: websocket"},
		{"Content-Type: application/grpc"},
		{"Content-Type: application/grpc+json"},
		{"Content-Type: text/plain"},
		{"Content-Type: application/json", "Content-Type: text/plain"},
		{"Content-Type: application/json; charset=utf-7"},
		{"Content-Encoding: identity"},
		{"Content-Encoding: x-unknown"},
		{"Range: bytes=0-"},
		{"Accept-Encoding: br"},
		{"TE: trailers"},
		{"Cache-Control: no-transform"},
		{"Expect: 100-continue"},
		{"X-HTTP-Method-Override: GET"},
	} {
		for _, method := range []string{"GET", "POST"} {
			body := `{"admin":true,"a":1}`
			if method == "GET" {
				body = ""
			}
			_, got := g.Do(method, "/x", body, fields...)
			if strings.Contains(got, "secret") || strings.Contains(got, "admin") {
				t.Errorf("%s %v: got %s", method, fields, got)
			}
		}
	}
}

// TestUpgradesPass: after 101, the bytes are left alone, both ways.
func TestUpgradesPass(t *testing.T) {
	g := gatewaytest.New(t, upstream(t, "request: {set: {a: 1}, method: POST}\nresponse: {drop: [a]}", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" {
			t.Errorf("the upstream gets %s", r.Method)
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, line)
	}))
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("got %v, %v", resp, err)
	}
	_, _ = io.WriteString(conn, "{\"a\":1}\n")
	if line, err := r.ReadString('\n'); line != "{\"a\":1}\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

// TestResponsesThatHideNothing: whatever a service says of its response, what is dropped does not come through.
func TestResponsesThatHideNothing(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		types  []string
	}{
		"gRPC":                    {200, []string{"application/grpc"}},
		"gRPC and JSON":           {200, []string{"application/grpc", "application/json"}},
		"JSON and something":      {200, []string{"application/json", "text/plain"}},
		"nothing and something":   {200, []string{"", "text/plain"}},
		"nearly gRPC":             {200, []string{"application/grpcx"}},
		"205":                     {205, []string{"application/json"}},
		"a status without a name": {299, []string{"application/json"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, upstream(t, `response: {drop: [hidden]}`, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = test.types
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, `{"hidden":1}`)
			}))
			for _, said := range []string{"application/json", "application/grpc"} {
				if said == "application/grpc" && name == "gRPC" {
					continue // that is gRPC
				}
				if _, body := g.Get("/x", "Content-Type: "+said); strings.Contains(body, "hidden") {
					t.Errorf("%s: got %s", said, body)
				}
			}
		})
	}
}

// TestSeveralTypes: a service may read another Content-Type than the gateway.
func TestSeveralTypes(t *testing.T) {
	g := gatewaytest.New(t, upstream(t, `request: {drop: [admin]}`, echo))
	resp, body := g.Do("POST", "/x", `{"a":"&admin=1&"}`, "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded")
	if resp.StatusCode != 415 {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

// TestGRPCPasses where both the client and the service speak it.
func TestGRPCPasses(t *testing.T) {
	g := gatewaytest.New(t, upstream(t, `response: {drop: [a]}`, answers("application/grpc-web+proto", "\x00")))
	if resp, body := g.Do("POST", "/x", "\x00", "Content-Type: application/grpc-web+proto"); resp.StatusCode != 200 || body != "\x00" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}
