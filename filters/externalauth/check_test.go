package externalauth_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/porttest"
)

// extAuthz is a real ext_authz server, of grpc-go and Envoy's own messages.
type extAuthz struct {
	auth.UnimplementedAuthorizationServer
	answer func(ctx context.Context, r *auth.AttributeContext) (*auth.CheckResponse, error)
	server *grpc.Server
}

// Check answers.
func (e *extAuthz) Check(ctx context.Context, r *auth.CheckRequest) (*auth.CheckResponse, error) {
	return e.answer(ctx, r.GetAttributes())
}

// startExtAuthz runs one until the end of the test, and returns where.
func startExtAuthz(t testing.TB, answer func(context.Context, *auth.AttributeContext) (*auth.CheckResponse, error), o ...grpc.ServerOption) string {
	t.Helper()
	address, _ := serveExtAuthz(t, "127.0.0.1:0", answer, o...)
	return address
}

func serveExtAuthz(t testing.TB, at string, answer func(context.Context, *auth.AttributeContext) (*auth.CheckResponse, error), o ...grpc.ServerOption) (string, *grpc.Server) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	e := &extAuthz{answer: answer, server: grpc.NewServer(o...)}
	auth.RegisterAuthorizationServer(e.server, e)
	var wait sync.WaitGroup
	wait.Go(func() { _ = e.server.Serve(l) })
	t.Cleanup(func() { e.server.Stop(); wait.Wait() })
	return l.Addr().String(), e.server
}

func header(name, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{Header: &core.HeaderValue{Key: name, Value: value}}
}

func appended(name, value string) *core.HeaderValueOption {
	o := header(name, value)
	o.Append = wrapperspb.Bool(true) //nolint:staticcheck // it is deprecated, and still what most authorizers use
	return o
}

func accepts(ok *auth.OkHttpResponse) *auth.CheckResponse {
	return &auth.CheckResponse{Status: &status.Status{}, HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: ok}}
}

func refuses(denied *auth.DeniedHttpResponse) *auth.CheckResponse {
	return &auth.CheckResponse{Status: &status.Status{Code: int32(codes.PermissionDenied)}, HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: denied}}
}

func TestExtAuthzAttributes(t *testing.T) {
	var mu sync.Mutex
	var got *auth.AttributeContext
	var meta metadata.MD
	var limited bool
	to := startExtAuthz(t, func(ctx context.Context, r *auth.AttributeContext) (*auth.CheckResponse, error) {
		mu.Lock()
		defer mu.Unlock()
		got = r
		meta, _ = metadata.FromIncomingContext(ctx)
		_, limited = ctx.Deadline()
		return accepts(nil), nil
	})
	g := gateway(t, `{grpc: "`+to+`", body: 1KiB, context_extensions: {team: orders}, set: {X-Key: secret}}`)
	resp, body := g.Do("POST", "/a%20b?x=1&y=%0a", "hello", "Host: shop.example.com:8080", "X-One: 1", "X-One: 2", "X-Bad: \xff", "X-Original-Uri: /forged",
		"X_Forwarded_For: 6.6.6.6", "Cookie: a=1", "Cookie: b=2", "Content-Type: text/plain")
	if resp.StatusCode != 200 || !strings.HasSuffix(body, "\n\nhello") {
		t.Fatalf("got %d %s", resp.StatusCode, body)
	}
	h := got.GetRequest().GetHttp()
	for what, pair := range map[string][2]any{
		"method": {h.GetMethod(), "POST"}, "path": {h.GetPath(), "/a%20b?x=1&y=%0a"}, "host": {h.GetHost(), "shop.example.com:8080"},
		"scheme": {h.GetScheme(), "http"}, "protocol": {h.GetProtocol(), "HTTP/1.1"}, "body": {h.GetBody(), "hello"}, "size": {h.GetSize(), int64(5)},
		"id": {h.GetId(), resp.Header.Get("X-Request-Id")}, "source": {got.GetSource().GetAddress().GetSocketAddress().GetAddress(), "127.0.0.1"},
		"destination": {fmt.Sprintf("http://127.0.0.1:%d", got.GetDestination().GetAddress().GetSocketAddress().GetPortValue()), g.URL},
		"x-one":       {h.GetHeaders()["x-one"], "1,2"}, "cookie": {h.GetHeaders()["cookie"], "a=1; b=2"}, ":path": {h.GetHeaders()[":path"], "/a%20b?x=1&y=%0a"},
		":authority": {h.GetHeaders()[":authority"], "shop.example.com:8080"}, "x-bad": {h.GetHeaders()["x-bad"], "!"},
		"content-type": {h.GetHeaders()["content-type"], "text/plain"}, "x-original-uri": {h.GetHeaders()["x-original-uri"], ""},
		"x_forwarded_for": {h.GetHeaders()["x_forwarded_for"], ""}, "x-forwarded-for": {h.GetHeaders()["x-forwarded-for"], "127.0.0.1"},
		"team": {got.GetContextExtensions()["team"], "orders"}, "limited": {limited, true}, "x-key": {strings.Join(meta["x-key"], ","), "secret"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", what, pair[0], pair[1])
		}
	}
	if got.GetRequest().GetTime().AsTime().IsZero() || got.GetSource().GetAddress().GetSocketAddress().GetPortValue() == 0 {
		t.Errorf("got %v", got)
	}
	if resp, _ := g.Do("POST", "/", "\xff\x00"); resp.StatusCode != 200 || string(got.GetRequest().GetHttp().GetRawBody()) != "\xff\x00" {
		t.Errorf("got %d %v", resp.StatusCode, got)
	}
}

func TestExtAuthzAccepts(t *testing.T) {
	claims, _ := structpb.NewStruct(map[string]any{"tenant": "t1"})
	to := startExtAuthz(t, func(context.Context, *auth.AttributeContext) (*auth.CheckResponse, error) {
		r := accepts(&auth.OkHttpResponse{
			Headers:                 []*core.HeaderValueOption{header("X-User", "ada"), appended("X-Trail", "authz"), header("X-New", "1")},
			HeadersToRemove:         []string{"X-Secret", "Host", ":path"},
			ResponseHeadersToAdd:    []*core.HeaderValueOption{header("Set-Cookie", "a=b"), header("X-From-Authz", "1")},
			QueryParametersToSet:    []*core.QueryParameter{{Key: "user", Value: "a&b"}},
			QueryParametersToRemove: []string{"token"},
		})
		r.DynamicMetadata = claims
		return r, nil
	})
	for _, policy := range []string{`{grpc: "` + to + `", identity: X-User}`, `{grpc: authz, identity: X-User}`} {
		g := gateway(t, policy, "  authz: {endpoints: 'http://"+to+"', protocol: h2c}", `headers: {request: {set: {Who: "{identity.subject} {jwt.tenant}"}}}`)
		resp, body := g.Get("/x?a=%20&token=secret&user=eve&b", "X-User: eve", "X-Trail: client", "X-Secret: 1")
		if resp.StatusCode != 200 || !strings.HasPrefix(body, "GET /x?a=%20&b&user=a%26b\n") {
			t.Errorf("got %d %s", resp.StatusCode, body)
		}
		for _, want := range []string{"X-User: ada\r\n", "X-Trail: client\r\nX-Trail: authz\r\n", "X-New: 1\r\n", "Who: ada t1\r\n"} {
			if !strings.Contains(body, want) {
				t.Errorf("%q is missing: %s", want, body)
			}
		}
		if strings.Contains(body, "eve") || strings.Contains(body, "X-Secret") || resp.Header.Get("Set-Cookie") != "a=b" || resp.Header.Get("X-From-Authz") != "1" {
			t.Errorf("got %v %s", resp.Header, body)
		}
	}
	bound := gateway(t, `{grpc: "`+to+`", response_headers: [X-User]}`)
	if _, body := bound.Get("/", "X-New: client"); !strings.Contains(body, "X-User: ada\r\n") || !strings.Contains(body, "X-New: client\r\n") {
		t.Errorf("got %s", body)
	}
}

func TestExtAuthzRefuses(t *testing.T) {
	to := startExtAuthz(t, func(_ context.Context, r *auth.AttributeContext) (*auth.CheckResponse, error) {
		switch r.GetRequest().GetHttp().GetPath() {
		case "/login":
			return refuses(&auth.DeniedHttpResponse{Status: &types.HttpStatus{Code: 302}, Headers: []*core.HeaderValueOption{header("Location", "/in"), header("Set-Cookie", "a=1"), header("Set-Cookie", "b=2")}}), nil
		case "/body":
			return refuses(&auth.DeniedHttpResponse{Status: &types.HttpStatus{Code: 401}, Body: "who?"}), nil
		case "/plain":
			return &auth.CheckResponse{Status: &status.Status{Code: 7}}, nil
		case "/error":
			return &auth.CheckResponse{Status: &status.Status{Code: 13}, HttpResponse: &auth.CheckResponse_ErrorResponse{}}, nil
		case "/broken":
			return nil, grpcstatus.Error(codes.Unavailable, "come back later")
		case "/split":
			return refuses(&auth.DeniedHttpResponse{Headers: []*core.HeaderValueOption{header("X-A", "1\r\nSet-Cookie: evil=1")}}), nil
		case "/smuggle":
			return accepts(&auth.OkHttpResponse{Headers: []*core.HeaderValueOption{header("Content-Length", "1000")}}), nil
		case "/path":
			return accepts(&auth.OkHttpResponse{Headers: []*core.HeaderValueOption{header(":path", "/admin")}}), nil
		case "/ok":
			return refuses(&auth.DeniedHttpResponse{Status: &types.HttpStatus{Code: 200}}), nil
		case "/large":
			return accepts(&auth.OkHttpResponse{Headers: []*core.HeaderValueOption{header("X-A", strings.Repeat("x", 2<<20))}}), nil
		}
		return accepts(nil), nil
	})
	g := gateway(t, `{grpc: "`+to+`"}`)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/login": {302, ""}, "/body": {401, "who?"}, "/plain": {403, "access_denied"}, "/error": {503, "authentication_unavailable"},
		"/broken": {503, "authentication_unavailable"}, "/split": {503, "authentication_unavailable"}, "/smuggle": {503, "authentication_unavailable"},
		"/path": {503, "authentication_unavailable"}, "/ok": {503, "authentication_unavailable"}, "/large": {503, "authentication_unavailable"},
		"/": {200, "GET /"},
	} {
		resp, body := g.Get(path)
		if resp.StatusCode != want.status || !strings.Contains(body, want.text) {
			t.Errorf("%s: got %d %v %s", path, resp.StatusCode, resp.Header, body)
		}
		if path == "/login" && (resp.Header.Get("Location") != "/in" || len(resp.Header["Set-Cookie"]) != 2) {
			t.Errorf("got %v", resp.Header)
		}
	}
	if !strings.Contains(g.Log(), "come back later") {
		t.Error(g.Log())
	}
	resp, _ := g.Do("POST", "/plain", "", "Content-Type: application/grpc")
	if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != "7" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
}

func TestExtAuthzOverTLS(t *testing.T) {
	certs := httptest.NewUnstartedServer(nil)
	certs.StartTLS()
	defer certs.Close()
	to := startExtAuthz(t, func(context.Context, *auth.AttributeContext) (*auth.CheckResponse, error) { return accepts(nil), nil },
		grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: certs.TLS.Certificates, NextProtos: []string{"h2"}})))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gateway(t, "{grpc: authz}", "  authz: {endpoints: 'https://"+to+"', protocol: http2, tls: {ca: "+ca+", server_name: example.com}}")
	if resp, body := g.Get("/"); resp.StatusCode != 200 {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	unknown := gateway(t, "{grpc: 'https://"+to+"'}")
	if resp, _ := unknown.Get("/"); resp.StatusCode != 503 || !strings.Contains(unknown.Log(), "certificate") {
		t.Errorf("got %d", resp.StatusCode)
	}
}

// TestExtAuthzRestarts stops the authorizer under load, and starts it again.
func TestExtAuthzRestarts(t *testing.T) {
	answer := func(_ context.Context, r *auth.AttributeContext) (*auth.CheckResponse, error) {
		if r.GetRequest().GetHttp().GetHeaders()["authorization"] != "good" {
			return refuses(&auth.DeniedHttpResponse{Status: &types.HttpStatus{Code: 401}}), nil
		}
		return accepts(nil), nil
	}
	at, running := serveExtAuthz(t, porttest.Address(t), answer)
	g := gateway(t, `{grpc: "`+at+`", timeout: 500ms}`)
	stop, done := make(chan struct{}), make(chan map[int]int, 2)
	go load(g, []string{"Authorization: good"}, stop, done)
	go load(g, nil, stop, done)
	code := func() int { resp, _ := g.Get("/", "Authorization: good"); return resp.StatusCode }
	soon(t, "it lets requests pass", func() bool { return code() == 200 })
	running.Stop()
	soon(t, "it refuses requests", func() bool { return code() == 503 })
	serveExtAuthz(t, at, answer)
	soon(t, "it lets requests pass again", func() bool { return code() == 200 })
	close(stop)
	for range 2 {
		if seen := <-done; seen[200] > 0 && seen[401] > 0 || seen[0] > 0 {
			t.Errorf("got %v", seen)
		}
	}
}

// TestReloadUnderLoad changes the configuration while requests are asked about. None of them may notice.
func TestReloadUnderLoad(t *testing.T) {
	n := startNginx(t, authorizing)
	to := startExtAuthz(t, func(context.Context, *auth.AttributeContext) (*auth.CheckResponse, error) { return accepts(nil), nil })
	for _, policy := range []string{`{url: "http://` + n.Address + `/auth", timeout: %ds}`, `{grpc: "` + to + `", timeout: %ds, cache: header.absent}`} {
		text := config(t, policy)
		g := gatewaytest.New(t, fmt.Sprintf(text, 10))
		stop, done := make(chan struct{}), make(chan map[int]int, 4)
		for range 4 {
			go load(g, []string{"Authorization: Bearer good"}, stop, done)
		}
		for i := range 10 {
			if err := g.SetConfig(fmt.Sprintf(text, 11+i)); err != nil {
				t.Fatal(err)
			}
			if resp, _ := g.Get("/", "Authorization: Bearer good"); resp.StatusCode != 200 {
				t.Errorf("got %d", resp.StatusCode)
			}
		}
		close(stop)
		for range 4 {
			if seen := <-done; len(seen) != 1 || seen[200] == 0 {
				t.Errorf("got %v", seen)
			}
		}
	}
}

// TestGarbageForGRPC answers with what is not gRPC, or not whole.
func TestGarbageForGRPC(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no gRPC":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		"not found":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"no message":   grpcBytes("", "0"),
		"cut":          grpcBytes("\x00\x00\x00\x00\x09\x0a", "0"),
		"compressed":   grpcBytes("\x01\x00\x00\x00\x00", "0"),
		"no status":    grpcBytes("\x00\x00\x00\x00\x00", ""),
		"two messages": grpcBytes("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "0"),
		"bad length":   grpcBytes("\x00\xff\xff\xff\xff", "0"),
		"bad message":  grpcBytes("\x00\x00\x00\x00\x02\x0a\xff", "0"),
		"huge":         grpcBytes("\x00\x00\x10\x00\x01"+strings.Repeat("\x00", 1<<20+1), "0"),
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(answer)
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Start()
			t.Cleanup(s.Close)
			to, _ := url.Parse(s.URL)
			g := gateway(t, `{grpc: "`+to.Host+`"}`)
			if resp, body := g.Get("/"); resp.StatusCode != 503 {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
		})
	}
	old := gateway(t, `{grpc: "`+echo(t).Listener.Addr().String()+`", timeout: 300ms}`) // it knows HTTP/1.1 only
	if resp, _ := old.Get("/"); resp.StatusCode != 503 {
		t.Errorf("got %d", resp.StatusCode)
	}
	empty := gatewaytest.New(t, config(t, `{grpc: "`+raw(t, "")+`", timeout: 300ms}`))
	if resp, _ := empty.Get("/"); resp.StatusCode != 503 {
		t.Errorf("got %d", resp.StatusCode)
	}
}

func grpcBytes(body, status string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write([]byte(body))
		if status != "" {
			w.Header().Set("Grpc-Status", status)
		}
	}
}
