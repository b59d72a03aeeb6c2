package health

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"cardea.dev/cardea/internal/porttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// change is one call of onChange.
type change struct {
	Healthy bool
	Reason  string
}

// clock hands out the waits that a checker asks for.
type clock chan wait

type wait struct {
	d   time.Duration
	end chan time.Time
}

func (c clock) After(d time.Duration) <-chan time.Time {
	w := wait{d, make(chan time.Time, 1)}
	c <- w
	return w.end
}

// run starts a checker.
func run(t *testing.T, o Options, to Target) (clock, chan change, *Checker) {
	c := make(clock, 10)
	o.After = c.After
	ch := make(chan change, 10)
	k := New(o, to, func(healthy bool, reason string) { ch <- change{healthy, reason} })
	k.Start()
	t.Cleanup(k.Close)
	return c, ch, k
}

func serve(t *testing.T, h http.HandlerFunc) Target {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return Target{Scheme: "http", Address: s.Listener.Addr().String()}
}

func TestThresholds(t *testing.T) {
	var status atomic.Int32
	status.Store(200)
	to := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(int(status.Load())) })
	c, ch, k := run(t, Options{Interval: 10 * time.Second, Healthy: 2, Unhealthy: 3}, to)
	var got []string
	for i, code := range []int32{500, 500, 200, 500, 500, 500, 200, 500, 200, 200, 200} {
		w := <-c // the check before is done
		s := k.State()
		got = append(got, s.Status.String()+" "+s.Reason)
		if len(ch) > 0 {
			got[i] += " !"
			<-ch
		}
		if w.d < 9*time.Second || w.d > 11*time.Second {
			t.Errorf("pause of %v", w.d)
		}
		status.Store(code)
		w.end <- time.Time{}
	}
	want := []string{
		"healthy status 200 !", "healthy status 500", "healthy status 500", "healthy status 200", "healthy status 500",
		"healthy status 500", "unhealthy status 500 !", "unhealthy status 200", "unhealthy status 500", "unhealthy status 200",
		"healthy status 200 !",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestUnknownUntilTheFirstCheck(t *testing.T) {
	hold := make(chan struct{})
	to := serve(t, func(w http.ResponseWriter, r *http.Request) { <-hold; w.WriteHeader(503) })
	c, ch, k := run(t, Options{Timeout: time.Minute}, to)
	if got := k.State(); got != (State{}) {
		t.Errorf("got %+v", got)
	}
	close(hold)
	if got := <-ch; got != (change{false, "status 503"}) { // the first decides alone
		t.Errorf("got %+v", got)
	}
	<-c
	if s := k.State(); s.Status != Unhealthy || s.Since.IsZero() || s.Checked.IsZero() || s.Reason != "status 503" {
		t.Errorf("got %+v", s)
	}
}

func TestCloseEndsACheck(t *testing.T) {
	began := make(chan struct{})
	to := serve(t, func(w http.ResponseWriter, r *http.Request) { close(began); <-r.Context().Done() })
	_, ch, k := run(t, Options{Timeout: time.Hour}, to)
	<-began
	k.Close()
	if len(ch) > 0 {
		t.Errorf("got %+v", <-ch)
	}
}

func TestHTTP(t *testing.T) {
	to := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			io.WriteString(w, strings.Join([]string{r.Method, r.Host, r.RequestURI, r.UserAgent(), r.Header.Get("X-A"), r.Proto}, " "))
		case "/redirect":
			http.Redirect(w, r, "/500", 302)
		case "/slow":
			<-r.Context().Done()
		case "/cut":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "ok")
		default:
			w.WriteHeader(500)
		}
	})
	addr := to.Address
	for _, c := range []struct {
		name string
		o    Options
		want change
	}{
		{"defaults", Options{Path: "/echo", Body: "GET " + addr + " /echo cardea-health  HTTP/1.1"}, change{true, "status 200"}},
		{"all given", Options{
			Path: "/echo?x=1&y=%20", Method: "POST", Host: "shop.example", Header: http.Header{"X-A": {"1"}, "User-Agent": {"me"}},
			Match: regexp.MustCompile(`^POST shop\.example /echo\?x=1&y=%20 me 1 HTTP/1.1$`),
		}, change{true, "status 200"}},
		{"redirects are not followed", Options{Path: "/redirect"}, change{true, "status 302"}},
		{"unless not allowed", Options{Path: "/redirect", Status: []Range{{200, 299}}}, change{false, "status 302"}},
		{"an expected error", Options{Path: "/x", Status: []Range{{200, 299}, {500, 500}}}, change{true, "status 500"}},
		{"wrong text", Options{Path: "/echo", Body: "fine"}, change{false, `status 200, but "fine" is not in the body`}},
		{"no match", Options{Path: "/echo", Match: regexp.MustCompile("^x")}, change{false, `status 200, but "^x" does not match in the body`}},
		{"slow", Options{Path: "/slow", Timeout: 30 * time.Millisecond}, change{false, "no answer in time"}},
		{"cut", Options{Path: "/cut", Body: "ok"}, change{false, "cannot read the body: unexpected EOF"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, ch, _ := run(t, c.o, to)
			if d := cmp.Diff(c.want, <-ch); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestProtocolsAndTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	address := s.Listener.Addr().String()
	ok := &tls.Config{RootCAs: roots}
	for _, c := range []struct {
		name string
		o    Options
		to   Target
		want string // of the reason
	}{
		{"auto", Options{TLS: ok, Body: "HTTP/2.0"}, Target{"https", address, "example.com"}, "status 200"},
		{"http1", Options{TLS: ok, Protocol: "http1", Body: "HTTP/1.1"}, Target{"https", address, "example.com"}, "status 200"},
		{"http2", Options{TLS: ok, Protocol: "http2", Body: "HTTP/2.0"}, Target{"", address, "example.com"}, "status 200"},
		{"tcp", Options{TLS: ok, Kind: TCP}, Target{"https", address, "example.com"}, "connected"},
		{"wrong name", Options{TLS: ok}, Target{"https", address, "example.net"}, "certificate is valid for"},
		{"tcp, unknown root", Options{Kind: TCP}, Target{"https", address, "example.com"}, "cannot secure the connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, ch, _ := run(t, c.o, c.to)
			if got := <-ch; !strings.Contains(got.Reason, c.want) || got.Healthy != (c.want == "status 200" || c.want == "connected") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestTCPAndUnixSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) })}
	go s.Serve(l)
	defer s.Close()
	gone := porttest.Address(t)
	for _, c := range []struct {
		name string
		o    Options
		to   Target
		want change
	}{
		{"http over a socket", Options{Body: "localhost"}, Target{"http", "unix:" + path, ""}, change{true, "status 200"}},
		{"a socket", Options{Kind: TCP}, Target{"http", "unix:" + path, ""}, change{true, "connected"}},
		{"no socket", Options{Kind: TCP}, Target{"http", "unix:/nowhere", ""}, change{false, "cannot connect: connect: no such file or directory"}},
		{"refused", Options{Kind: TCP}, Target{"http", gone, ""}, change{false, "cannot connect: connect: connection refused"}},
		{"refused, http", Options{}, Target{"http", gone, ""}, change{false, "cannot connect: connect: connection refused"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, ch, _ := run(t, c.o, c.to)
			if d := cmp.Diff(c.want, <-ch); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLiars(t *testing.T) {
	for name, answer := range map[string]string{
		"closes":  "",
		"garbage": "what?\r\n\r\n",
		"endless": "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 10000),
	} {
		t.Run(name, func(t *testing.T) {
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
					http.ReadRequest(bufio.NewReader(c))
					io.WriteString(c, answer)
					c.Close()
				}
			}()
			_, ch, _ := run(t, Options{}, Target{"http", l.Addr().String(), ""})
			if got := <-ch; got.Healthy || got.Reason == "" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestGRPC(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	cert := s.TLS.Certificates[0]
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	s.Close()
	for _, secure := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		to, o := Target{Scheme: "http", Address: l.Addr().String()}, Options{Kind: GRPC}
		var opts []grpc.ServerOption
		if secure {
			opts = append(opts, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}})))
			to.Scheme, to.ServerName, o.TLS = "https", "example.com", &tls.Config{RootCAs: roots}
		}
		server, status := grpc.NewServer(opts...), grpchealth.NewServer()
		healthpb.RegisterHealthServer(server, status)
		go server.Serve(l)
		defer server.Stop()
		status.SetServingStatus("orders", healthpb.HealthCheckResponse_NOT_SERVING)
		for service, want := range map[string]change{
			"": {true, "SERVING"}, "orders": {false, "NOT_SERVING"}, "other": {false, "grpc-status 5: the service is not known"},
		} {
			o.Service = service
			_, ch, _ := run(t, o, to)
			if d := cmp.Diff(want, <-ch); d != "" {
				t.Errorf("%q, TLS %v: %s", service, secure, d)
			}
		}
		o.Service, o.Unhealthy, o.Healthy = "orders", 1, 1
		c, ch, _ := run(t, o, to)
		<-ch
		w := <-c
		status.SetServingStatus("orders", healthpb.HealthCheckResponse_SERVING)
		w.end <- time.Time{}
		if got := <-ch; got != (change{true, "SERVING"}) {
			t.Errorf("got %+v", got)
		}
	}
}

func TestGRPCWithoutHealth(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	go server.Serve(l)
	defer server.Stop()
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	h2c := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	h2c.Config.Protocols = new(http.Protocols)
	h2c.Config.Protocols.SetUnencryptedHTTP2(true)
	h2c.Start()
	defer h2c.Close()
	for address, want := range map[string]string{
		l.Addr().String():            "grpc-status 12: the health service is not implemented",
		plain.Address:                "", // either side may break off first
		h2c.Listener.Addr().String(): "the answer is not gRPC",
	} {
		_, ch, _ := run(t, Options{Kind: GRPC}, Target{"http", address, ""})
		if got := <-ch; got.Healthy || !strings.Contains(got.Reason, want) {
			t.Errorf("got %+v, want %s", got, want)
		}
	}
}

func TestSchemeH2C(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	_, ch, _ := run(t, Options{TLS: &tls.Config{}, Body: "HTTP/2.0"}, Target{"h2c", s.Listener.Addr().String(), ""})
	if got := <-ch; !got.Healthy {
		t.Errorf("got %+v", got)
	}
}

func TestCheckResponse(t *testing.T) {
	for _, c := range []struct {
		frame string
		want  uint64
		ok    bool
	}{
		{"\x00\x00\x00\x00\x02\x08\x01", 1, true},
		{"\x00\x00\x00\x00\x00", 0, true},
		{"\x00\x00\x00\x00\x09\x12\x03abc\x08\x02\x18\x07", 2, true}, // other fields
		{"\x01\x00\x00\x00\x02\x08\x01", 0, false},                   // compressed
		{"\x00\x00\x00\x00\x03\x08\x01", 0, false},
		{"\x00\x00\x00\x00\x01\x08", 0, false},
		{"\x00\x00\x00\x00\x02\x12\xff", 0, false},
		{"\x00\x00\x00\x00\x03\x12\x02a", 0, false},
		{"\x00\x00\x00\x00\x02\x09\x01", 0, false},
		{"\x00\x00\x00\x00\x02\x0f\x01", 0, false},
		{"", 0, false},
	} {
		got, err := checkResponse([]byte(c.frame))
		if got != c.want && c.ok || (err == nil) != c.ok {
			t.Errorf("%q: %d, %v", c.frame, got, err)
		}
	}
}

func FuzzCheckResponse(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x02\x08\x01"))
	f.Fuzz(func(t *testing.T, frame []byte) { checkResponse(frame) })
}

func TestJitter(t *testing.T) {
	for _, c := range []struct {
		jitter   float64
		min, max time.Duration
	}{{0, 9, 11}, {-1, 10, 10}, {0.5, 5, 15}, {7, 0, 20}} {
		k := New(Options{Interval: 10 * time.Second, Jitter: c.jitter}, Target{}, nil)
		seen := map[time.Duration]bool{}
		for range 100 {
			d := k.pause()
			seen[d] = true
			if d < c.min*time.Second || d > c.max*time.Second {
				t.Errorf("jitter %v: %v", c.jitter, d)
			}
		}
		if c.jitter >= 0 && len(seen) < 50 {
			t.Errorf("jitter %v gives %d lengths", c.jitter, len(seen))
		}
	}
}
