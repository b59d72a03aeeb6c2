package gatewaytest_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"cardea.dev/cardea/gatewaytest"
)

func TestGRPCPassesWithItsTrailers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	up, service := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(up, service)
	go func() { _ = up.Serve(l) }()
	defer up.Stop()
	g := gatewaytest.New(t, `
upstreams:
  health: {endpoints: "http://`+l.Addr().String()+`", protocol: h2c}
routes:
  - {match: /grpc.health.v1.Health/*, to: health}
`)
	conn, err := grpc.NewClient(strings.TrimPrefix(g.URL, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := healthpb.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	answer, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil || answer.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("check: %v, %v", answer, err)
	}
	_, err = client.Check(ctx, &healthpb.HealthCheckRequest{Service: "none"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("the status of the upstream: %v", err)
	}
	watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
		if got, err := watch.Recv(); err != nil || got.Status != want {
			t.Fatalf("stream: got %v, %v, want %v", got, err, want)
		}
		service.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	}
	err = conn.Invoke(ctx, "/nothing.Here/Call", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "route_not_found") {
		t.Errorf("an error of the gateway's own: %v", err)
	}
}

// dial opens a raw connection to the gateway.
func dial(t *testing.T, g *gatewaytest.Gateway) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c, bufio.NewReader(c)
}

func upstream(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

func one(up *httptest.Server) string {
	return "upstreams: {u: " + up.URL + "}\nroutes: [{match: /**, to: u}]"
}

func TestExpectContinueWaitsForTheUpstream(t *testing.T) {
	g := gatewaytest.New(t, one(upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})))
	c, r := dial(t, g)
	fmt.Fprint(c, "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 403 {
		t.Fatalf("refused: %v, %v", resp, err)
	}
	c, r = dial(t, g)
	fmt.Fprint(c, "POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	line, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("got %q, %v", line, err)
	}
	_, _ = r.ReadString('\n')
	fmt.Fprint(c, "hello")
	resp, err = http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "hello" {
		t.Errorf("got %q", body)
	}
}

func TestAnEarlyAnswerPassesWhileTheBodyIsStillComing(t *testing.T) {
	g := gatewaytest.New(t, one(upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		buf := make([]byte, 5)
		for {
			n, err := io.ReadFull(r.Body, buf)
			if n > 0 {
				_, _ = w.Write(bytes.ToUpper(buf[:n]))
				_ = http.NewResponseController(w).Flush()
			}
			if err != nil {
				return
			}
		}
	})))
	c, r := dial(t, g)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "HELLO" {
		t.Fatalf("first half: %q, %v", buf, err)
	}
	fmt.Fprint(c, "5\r\nworld\r\n0\r\n\r\n")
	if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "WORLD" {
		t.Fatalf("second half: %q, %v", buf, err)
	}
}

func TestTrailersPassBothWays(t *testing.T) {
	g := gatewaytest.New(t, one(upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprintf(w, "%s:%s", body, r.Trailer.Get("X-Check"))
		w.Header().Set("X-Sum", "42")
	})))
	r, _ := http.NewRequest("POST", g.URL, io.MultiReader(strings.NewReader("body")))
	r.Trailer = http.Header{"X-Check": {"abc"}}
	resp, err := g.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "body:abc" || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("got %q, %v, %v", body, err, resp.Trailer)
	}
}

func TestStatusesWithoutBodies(t *testing.T) {
	g := gatewaytest.New(t, "compress: {}\n"+one(upstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.Header().Set("ETag", `"x"`)
			w.WriteHeader(304)
		default:
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(make([]byte, 1000))
		}
	})))
	for _, c := range []struct {
		method, path string
		status       int
		length       int64
	}{{"GET", "/204", 204, 0}, {"GET", "/304", 304, 0}, {"HEAD", "/head", 200, 1000}, {"GET", "/get", 200, 1000}} {
		resp, body := g.Do(c.method, c.path, "")
		if resp.StatusCode != c.status || resp.ContentLength != c.length || c.method == "HEAD" && body != "" {
			t.Errorf("%s %s: %d, length %d, body %d bytes", c.method, c.path, resp.StatusCode, resp.ContentLength, len(body))
		}
	}
}

// TestBodiesOfAnySizeInConstantMemory sends as much as CARDEA_TEST_GIB says through the gateway, both ways; by default 1 GiB.
func TestBodiesOfAnySizeInConstantMemory(t *testing.T) {
	size := int64(1 << 30)
	if raceEnabled {
		size = 64 << 20
	}
	if gib := os.Getenv("CARDEA_TEST_GIB"); gib != "" {
		var n int64
		if _, err := fmt.Sscan(gib, &n); err != nil {
			t.Fatal(err)
		}
		size = n << 30
	}
	g := gatewaytest.New(t, one(upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(sum, w), r.Body)
		if err != nil || n != size {
			t.Errorf("the upstream got %d bytes, %v", n, err)
		}
		w.Header().Set(http.TrailerPrefix+"Sum", fmt.Sprintf("%x", sum.Sum(nil)))
	})))
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	sent, received := sha256.New(), sha256.New()
	noise := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), size), sent)
	r, _ := http.NewRequest("POST", g.URL, noise)
	resp, err := g.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	peak := uint64(0)
	watch := writerFunc(func(p []byte) (int, error) {
		if rand.IntN(2000) == 0 {
			runtime.ReadMemStats(&during)
			peak = max(peak, during.HeapInuse)
		}
		return len(p), nil
	})
	n, err := io.Copy(io.MultiWriter(received, watch), resp.Body)
	if err != nil || n != size {
		t.Fatalf("got %d bytes, %v", n, err)
	}
	if want := fmt.Sprintf("%x", sent.Sum(nil)); fmt.Sprintf("%x", received.Sum(nil)) != want || resp.Trailer.Get("Sum") != want {
		t.Error("the bytes differ")
	}
	if grown := int64(peak) - int64(before.HeapInuse); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestAnAnswerCutShortIsNotEndedCleanly(t *testing.T) {
	g := gatewaytest.New(t, "compress: {}\n"+one(upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(bytes.Repeat([]byte("x"), 10000))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})))
	for _, encoding := range []string{"identity", "gzip", "zstd", "br"} {
		r, _ := http.NewRequest("GET", g.URL, nil)
		r.Header.Set("Accept-Encoding", encoding)
		resp, err := g.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("%s: the client took %d bytes for the whole", encoding, len(body))
		}
		resp.Body.Close()
	}
}

func TestKillingAnEndpointUnderLoadIsNotSeenByClients(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(time.Millisecond)
		_, _ = io.WriteString(w, "ok")
	})
	stays, dies := httptest.NewServer(handler), httptest.NewServer(handler)
	defer stays.Close()
	g := gatewaytest.New(t, `
upstreams:
  u:
    endpoints: [`+stays.URL+`, `+dies.URL+`]
    balance: least_request
routes: [{match: /**, to: u}]
`)
	ctx, stop := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	var total atomic.Int64
	failures := make(chan string, 1000)
	for range 16 {
		wait.Go(func() {
			for ctx.Err() == nil {
				resp, err := g.Client.Get(g.URL)
				total.Add(1)
				if err != nil {
					failures <- err.Error()
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 || err != nil {
					failures <- fmt.Sprint(resp.StatusCode, " ", string(body), " ", err)
				}
			}
		})
	}
	waitFor(t, func() bool { return total.Load() > 200 })
	dies.Listener.Close()
	dies.CloseClientConnections()
	after := total.Load()
	waitFor(t, func() bool { return total.Load() > after+500 })
	stop()
	wait.Wait()
	close(failures)
	for f := range failures {
		t.Errorf("a client saw: %s", f)
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(end) {
			t.Fatal("it takes too long")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEachFailureHasItsCode(t *testing.T) {
	slow := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
			c.Close()
		}
	}()
	g := gatewaytest.New(t, `
listen: {address: "127.0.0.1:0", limits: {header: 4KiB, uri: 1KiB}}
upstreams:
  gone: {endpoints: "http://127.0.0.1:1", retry: off}
  slow: {endpoints: "`+slow.URL+`", timeout: {first_byte: 100ms}, retry: off}
  patient: `+slow.URL+`
  liar: {endpoints: "http://`+l.Addr().String()+`", retry: off}
  unknown: {endpoints: "http://does-not-exist.invalid:80", retry: off, timeout: {connect: 500ms}}
  sick: {endpoints: {url: "http://127.0.0.1:1", weight: 0}}
routes:
  - {match: /gone, to: gone}
  - {match: /slow, to: slow}
  - {match: /timeout, to: patient, timeout: 100ms}
  - {match: /liar, to: liar}
  - {match: /unknown, to: unknown}
  - {match: /sick, to: sick}
  - {match: /small, to: patient, body_limit: 10}
  - {match: /denied, to: gone, ip: {deny: [127.0.0.0/8]}}
`)
	for _, c := range []struct {
		method, path, body string
		fields             []string
		status             int
		code               string
	}{
		{"GET", "/gone", "", nil, 502, "upstream_connect_failed"},
		{"GET", "/slow", "", nil, 504, "upstream_timeout"},
		{"GET", "/timeout", "", nil, 504, "upstream_timeout"},
		{"GET", "/liar", "", nil, 502, "upstream_bad_response"},
		{"GET", "/unknown", "", nil, 502, "upstream_not_resolved"},
		{"GET", "/sick", "", nil, 503, "upstream_unavailable"},
		{"POST", "/small", "more than ten bytes", nil, 413, "body_too_large"},
		{"GET", "/denied", "", nil, 403, "address_denied"},
		{"GET", "/gone", "", []string{"X-Large: " + strings.Repeat("x", 5000)}, 431, "header_too_large"},
		{"GET", "/" + strings.Repeat("x", 2000), "", nil, 414, "uri_too_long"},
		{"GET", "/a%2", "", nil, 400, ""},
		{"GET", "/%2e%2e/%00", "", nil, 400, "bad_path"},
	} {
		t.Run(c.path[:min(len(c.path), 20)], func(t *testing.T) {
			conn, r := dial(t, g)
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n%s", c.method, c.path, len(c.body), fields(c.fields), c.body)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != c.status || !strings.Contains(string(body), c.code) {
				t.Errorf("got %d %s, want %d %s", resp.StatusCode, body, c.status, c.code)
			}
		})
	}
}

func fields(fields []string) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	return b.String()
}

func TestShutdownDrains(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	up := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	})
	g := gatewaytest.New(t, one(up))
	answer := make(chan string, 1)
	go func() {
		resp, err := g.Client.Get(g.URL)
		if err != nil {
			answer <- err.Error()
			return
		}
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-entered
	ended := make(chan struct{})
	go func() {
		g.Shutdown(context.Background())
		close(ended)
	}()
	waitFor(t, func() bool { return g.Ready() != nil })
	waitFor(t, func() bool {
		_, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		return err != nil
	})
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("the exchange that had begun ended with %q", got)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the shutdown does not end")
	}
}

func TestStaticFilesAndSecretsFromFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gatewaytest.New(t, "routes: [{match: /files/**, static: "+dir+"}]")
	resp, body := g.Get("/files/a.txt", "Range: bytes=2-4")
	if resp.StatusCode != 206 || body != "234" {
		t.Errorf("range: %d %q", resp.StatusCode, body)
	}
	etag := resp.Header.Get("Etag")
	if resp, _ := g.Get("/files/a.txt", "If-None-Match: "+etag); resp.StatusCode != 304 {
		t.Errorf("conditional: %d", resp.StatusCode)
	}
	if resp, _ := g.Get("/files/../../etc/passwd"); resp.StatusCode != 404 {
		t.Errorf("outside: %d", resp.StatusCode)
	}
}

func TestAPortInUseIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = gatewaytest.Start(t, "listen: "+l.Addr().String()+"\nroutes: [{match: /, respond: x}]")
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
}

func TestASlowBodyTimesOut(t *testing.T) {
	g := gatewaytest.New(t, "listen: {address: '127.0.0.1:0', limits: {body_idle: 100ms}}\n"+one(upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})))
	c, r := dial(t, g)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhello")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 408 || !strings.Contains(string(body), "request_timeout") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

func TestUnreadableMessagesAreRefusedAndRemembered(t *testing.T) {
	g := gatewaytest.New(t, "routes: [{match: /**, respond: ok}]")
	for message, want := range map[string]int{
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                                                  400,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n":                                                            400,
		"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n":                                                       400,
		"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n":                                               400,
		"GET / HTTP/3.7\r\nHost: a\r\n\r\n":                                                             505,
		"GET / HTTP/1.1\r\n\r\n":                                                                        400,
	} {
		c, r := dial(t, g)
		fmt.Fprint(c, message)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Errorf("%q: %v", message, err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		failure, known := g.Engine.Past(resp.Header.Get("X-Request-Id"))
		if resp.StatusCode != want || !strings.Contains(string(body), `"code":"bad_request"`) || !resp.Close || !known || failure.Cause == "" {
			t.Errorf("%q: %d %s, remembered as %+v", message, resp.StatusCode, body, failure)
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("%q: the connection goes on: %v", message, err)
		}
	}
}
