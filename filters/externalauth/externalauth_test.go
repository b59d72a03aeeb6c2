package externalauth_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"cardea.dev/cardea/gatewaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestIdentity(t *testing.T) {
	authz := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Consumer", r.Header.Get("X-Name"))
		w.Header().Set("X-Groups", "staff, admins")
		w.Header().Set("X-Scopes", "read write")
		w.Header().Set("X-Email", "ada@example.com")
		w.Header().Set("Set-Cookie", "session=renewed")
	})
	g := gateway(t, `{url: "`+authz.URL+`", client_headers: [Set-Cookie],
		identity: {subject: X-Email, consumer: X-Consumer, groups: X-Groups, scopes: X-Scopes, claims: {email: X-Email}}}`,
		`consumers: {acme: {groups: [partners, staff]}}`,
		`headers: {request: {set: {Who: "{identity.subject} {identity.consumer} {identity.method} {jwt.email}"}}}`)
	resp, body := g.Get("/", "X-Name: acme")
	if resp.StatusCode != 200 || !strings.Contains(body, "Who: ada@example.com acme external_auth ada@example.com\r\n") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	if got := resp.Header["Set-Cookie"]; len(got) != 1 || got[0] != "session=renewed" || resp.Header.Get("Cache-Control") != "private" {
		t.Errorf("got %v", resp.Header)
	}
	if _, body := g.Get("/", "X-Name: acme", "X-Email: eve@example.com"); strings.Contains(body, "eve") {
		t.Errorf("a forged identity reaches the upstream: %s", body)
	}
	resp, body = g.Get("/", "X-Name: nobody")
	if resp.StatusCode != 403 || !strings.Contains(body, "access_denied") || strings.Contains(body, "nobody") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

func TestBesideOtherPolicies(t *testing.T) {
	var asked atomic.Int64
	authz := server(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("X-Token") != "good" {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(401)
			fmt.Fprint(w, "log in")
		}
	})
	g := gateway(t, `{url: "`+authz.URL+`", response_headers: [X-User]}`, "authenticate: any", "api_key: {}", "consumers: {acme: {keys: [key-1234567890123456]}}")
	resp, body := g.Get("/", "X-Api-Key: key-1234567890123456", "X-User: eve")
	if resp.StatusCode != 200 || asked.Load() != 0 || strings.Contains(body, "eve") {
		t.Errorf("got %d after %d questions: %s", resp.StatusCode, asked.Load(), body)
	}
	if resp, _ := g.Get("/", "X-Token: good"); resp.StatusCode != 200 || asked.Load() != 1 {
		t.Errorf("got %d after %d questions", resp.StatusCode, asked.Load())
	}
	resp, body = g.Get("/")
	if resp.StatusCode != 401 || body != "log in" || strings.Join(resp.Header["Www-Authenticate"], ",") != "Bearer,ApiKey" {
		t.Errorf("got %d %v %s", resp.StatusCode, resp.Header, body)
	}
}

func TestBody(t *testing.T) {
	authz := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != "PATCH" || !strings.HasPrefix(string(body), "good") || r.Header.Get("Content-Type") != "text/x" || r.ContentLength != int64(len(body)) {
			w.WriteHeader(403)
		}
	})
	g := gateway(t, `{url: "`+authz.URL+`", method: same, body: 8}`)
	for body, want := range map[string]int{"good": 200, "good1234": 200, "bad": 403, "good56789": 413} {
		resp, got := g.Do("PATCH", "/", body, "Content-Type: text/x")
		if resp.StatusCode != want || want == 200 && !strings.HasSuffix(got, "\n\n"+body) {
			t.Errorf("%s: got %d %s", body, resp.StatusCode, got)
		}
		r, _ := http.NewRequest("PATCH", g.URL, io.MultiReader(strings.NewReader(body))) // chunked
		r.Header.Set("Content-Type", "text/x")
		chunked, err := g.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(chunked.Body)
		chunked.Body.Close()
		if chunked.StatusCode != want || want == 200 && !strings.HasSuffix(string(text), "\n\n"+body) {
			t.Errorf("%s: got %d %s", body, chunked.StatusCode, text)
		}
	}
}

func TestHostileAuthorizers(t *testing.T) {
	huge := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		answer string
		status int
		body   string
	}{
		"garbage":          {"\x00\x01\x02 garbage\r\n\r\n", 503, "authentication_unavailable"},
		"nothing":          {"", 503, "authentication_unavailable"},
		"half a head":      {"HTTP/1.1 200 OK\r\nX-A: b", 503, "authentication_unavailable"},
		"not modified":     {"HTTP/1.1 304 Not Modified\r\n\r\n", 503, "authentication_unavailable"},
		"switch":           {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 503, "authentication_unavailable"},
		"huge head":        {"HTTP/1.1 200 OK\r\nX-A: " + huge + "\r\n\r\n", 503, "authentication_unavailable"},
		"endless body":     {"HTTP/1.1 403 Forbidden\r\nContent-Length: 9999999999\r\n\r\nx", 403, "access_denied"},
		"chunks too large": {"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + huge + "\r\n0\r\n\r\n", 403, "access_denied"},
		"broken body":      {"HTTP/1.1 403 Forbidden\r\nContent-Length: 50\r\n\r\nx", 403, "access_denied"},
		"accepts, endless": {"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\nx", 200, "GET /"},
		"accepts, broken":  {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nx", 200, "GET /"},
		"status 999":       {"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 503, "authentication_unavailable"},
		"splits":           {"HTTP/1.1 403 Forbidden\r\nLocation: /\rX-Evil: 1\r\nContent-Length: 0\r\n\r\n", 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := raw(t, c.answer)
			g := gateway(t, `{url: "http://`+l+`/", timeout: 300ms}`)
			resp, body := g.Get("/")
			if resp.StatusCode != c.status && (name != "splits" || resp.StatusCode != 503) || !strings.Contains(body, c.body) || resp.Header.Get("X-Evil") != "" {
				t.Errorf("got %d %v %s", resp.StatusCode, resp.Header, body)
			}
		})
	}
}

// raw is a server that answers everything with the same bytes.
func raw(t testing.TB, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, answer)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); wait.Wait() })
	return l.Addr().String()
}

func TestHangingAuthorizer(t *testing.T) {
	release, left := make(chan struct{}), make(chan struct{}, 10)
	authz := server(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			left <- struct{}{}
		case <-release:
		}
	})
	defer close(release)
	g := gateway(t, `{url: "`+authz.URL+`", timeout: 100ms}`)
	began := time.Now()
	if resp, _ := g.Get("/"); resp.StatusCode != 503 || time.Since(began) > 5*time.Second {
		t.Errorf("got %d after %s", resp.StatusCode, time.Since(began))
	}
	<-left
	if !strings.Contains(g.Log(), "there was no answer within 100ms") {
		t.Error(g.Log())
	}

	slow := gateway(t, `{url: "`+authz.URL+`", timeout: 1m}`)
	ctx, leave := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer leave()
	r, _ := http.NewRequestWithContext(ctx, "GET", slow.URL, nil)
	if resp, err := slow.Client.Do(r); err == nil {
		resp.Body.Close()
		t.Error("there was an answer")
	}
	<-left // the client's leaving ends the question
}

func TestCache(t *testing.T) {
	var asked atomic.Int64
	authz := server(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("X-User", "user of "+r.Header.Get("Authorization"))
		switch r.Header.Get("Authorization") {
		case "bad":
			w.WriteHeader(403)
		case "session":
			w.Header().Set("Set-Cookie", "a=b")
		case "broken":
			w.WriteHeader(500)
		}
	})
	g := gateway(t, `{url: "`+authz.URL+`", response_headers: [X-User], client_headers: [Set-Cookie],
		cache: {key: [header.authorization, method], ttl: 1h, refusal_ttl: 1h}}`)
	for _, c := range []struct {
		method, authorization string
		status, asked         int
	}{
		{"GET", "good", 200, 1},
		{"GET", "good", 200, 1},
		{"POST", "good", 200, 2},
		{"GET", "other", 200, 3},
		{"GET", "good", 200, 3},
		{"GET", "bad", 403, 4},
		{"GET", "bad", 403, 4},
		{"GET", "session", 200, 5},
		{"GET", "session", 200, 6},
		{"GET", "", 200, 7},
		{"GET", "", 200, 8},
		{"GET", "broken", 503, 9},
		{"GET", "broken", 503, 10},
	} {
		fields := []string{"X-User: eve"}
		if c.authorization != "" {
			fields = append(fields, "Authorization: "+c.authorization)
		}
		resp, body := g.Do(c.method, "/", "", fields...)
		if resp.StatusCode != c.status || asked.Load() != int64(c.asked) || c.status == 200 && !strings.Contains(body, "X-User: "+strings.TrimSpace("user of "+c.authorization)+"\r\n") {
			t.Errorf("%+v: got %d after %d questions: %s", c, resp.StatusCode, asked.Load(), body)
		}
	}
}

// TestOneQuestionForMany asks once for all that want to know the same at the same time.
func TestOneQuestionForMany(t *testing.T) {
	var asked atomic.Int64
	release, begun := make(chan struct{}), make(chan struct{}, 100)
	authz := server(t, func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		begun <- struct{}{}
		<-release
	})
	g := gateway(t, `{url: "`+authz.URL+`", timeout: 1m, cache: {key: header.authorization, ttl: 1h}}`)
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if resp, _ := g.Get("/", "Authorization: good"); resp.StatusCode != 200 {
				t.Errorf("got %d", resp.StatusCode)
			}
		})
	}
	<-begun
	close(release)
	wait.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestRefusalsOfHEAD refuses requests whose answers have no body, and goes on with the same connection.
func TestRefusalsOfHEAD(t *testing.T) {
	authz := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/x")
		w.WriteHeader(401)
		fmt.Fprint(w, "who?")
	})
	g := gateway(t, authz.URL)
	for range 3 {
		if resp, body := g.Do("HEAD", "/", ""); resp.StatusCode != 401 || body != "" || resp.ContentLength != 4 {
			t.Errorf("got %d %v %s", resp.StatusCode, resp.Header, body)
		}
		if resp, body := g.Get("/"); resp.StatusCode != 401 || body != "who?" || resp.Header.Get("Content-Type") != "text/x" {
			t.Errorf("got %d %v %s", resp.StatusCode, resp.Header, body)
		}
	}
}

// TestTheOneWhoAsksLeaves lets the others ask for themselves when the client leaves for whom all were waiting.
func TestTheOneWhoAsksLeaves(t *testing.T) {
	begun, release := make(chan struct{}, 10), make(chan struct{})
	authz := server(t, func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	g := gateway(t, `{url: "`+authz.URL+`", timeout: 1m, cache: {key: header.authorization}}`)
	ctx, leave := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		r, _ := http.NewRequestWithContext(ctx, "GET", g.URL, nil)
		r.Header.Set("Authorization", "good")
		if resp, err := g.Client.Do(r); err == nil {
			resp.Body.Close()
		}
	})
	<-begun
	wait.Go(func() {
		if resp, _ := g.Get("/", "Authorization: good"); resp.StatusCode != 200 {
			t.Errorf("got %d", resp.StatusCode)
		}
	})
	leave()
	<-begun
	close(release)
	wait.Wait()
}

func TestWebSocket(t *testing.T) {
	app := server(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		_ = c.Write(r.Context(), websocket.MessageText, []byte("hello "+r.Header.Get("X-User")))
	})
	authz := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") != "" {
			t.Errorf("the authorizer sees %v", r.Header)
		}
		w.Header().Set("X-User", "ada")
		if r.Header.Get("Authorization") != "good" {
			w.WriteHeader(401)
		}
	})
	g := gatewaytest.New(t, "upstreams: {app: '"+app.URL+"'}\nroutes: [{match: /**, to: app}]\nexternal_auth: {url: '"+authz.URL+"', response_headers: [X-User]}\n")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, resp, err := websocket.Dial(ctx, g.URL, &websocket.DialOptions{HTTPClient: g.Client})
	if err == nil || resp == nil || resp.StatusCode != 401 {
		t.Errorf("got %v, %v", resp, err)
	}
	c, _, err := websocket.Dial(ctx, g.URL, &websocket.DialOptions{HTTPClient: g.Client, HTTPHeader: http.Header{"Authorization": {"good"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if _, text, err := c.Read(ctx); err != nil || string(text) != "hello ada" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestWrongConfigurations(t *testing.T) {
	for policy, want := range map[string]string{
		"{}":                                   "name who is asked",
		"authz":                                "is no URL that can be asked",
		"http://user:secret@authz/":            "a password does not belong into the URL",
		"{url: 'http://a', to: app}":           "only one is asked",
		"{to: nothing}":                        `there is no upstream "nothing"`,
		"{to: app, path: auth}":                "it begins with /",
		"{url: 'http://a', set: {A: '{b}'}}":   `unknown variable "b"`,
		"{url: 'http://a', timeout: 0}":        "1ms",
		"{url: 'http://a', on_failure: maybe}": "allow",
		"{url: 'http://a', response_headers: [Content-Length]}": "is the gateway's business",
		"{url: 'http://a', identity: {subject: 'X User'}}":      "is no name of a field",
		"{url: 'http://a', cache: {}}":                          "key",
		"{url: 'http://a', cache: {key: nonsense}}":             `unknown variable "nonsense"`,
		"{url: 'http://a', body: 1KiB, cache: path}":            "cannot be remembered",
	} {
		_, err := gatewaytest.Start(t, config(t, policy))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", policy, err)
		}
	}
}

func TestReloadKeepsConnections(t *testing.T) {
	var mu sync.Mutex
	connections := map[string]bool{}
	authz := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		connections[r.RemoteAddr] = true
	}))
	t.Cleanup(authz.Close)
	text := config(t, authz.URL)
	g := gatewaytest.New(t, text)
	for range 5 {
		if resp, _ := g.Get("/"); resp.StatusCode != 200 {
			t.Errorf("got %d", resp.StatusCode)
		}
		if err := g.SetConfig(text + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	if len(connections) != 1 {
		t.Errorf("there were %d connections", len(connections))
	}
}
