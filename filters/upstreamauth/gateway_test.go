package upstreamauth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/filters/upstreamauth"
	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/porttest"
)

// idp is a token server. Its tokens have numbers.
type idp struct {
	*httptest.Server
	asked atomic.Int64
	down  atomic.Bool
	forms sync.Map // number → url.Values
}

func newIDP(t *testing.T) *idp {
	p := &idp{}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := p.asked.Add(1)
	_ = r.ParseForm()
	p.forms.Store(n, r.PostForm)
	switch user, password, _ := r.BasicAuth(); {
	case p.down.Load():
		http.Error(w, "down: "+password, http.StatusServiceUnavailable)
	case user != "gate" || password != "s3cret":
		w.WriteHeader(401)
		_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"wrong password `+password+`"}`)
	case r.PostForm.Get("subject_token") == "stolen":
		w.WriteHeader(400)
		_, _ = io.WriteString(w, `{"error":"invalid_request","error_description":"stolen is not good"}`)
	default:
		_, _ = fmt.Fprintf(w, `{"access_token":"%st%d","token_type":"Bearer","expires_in":3600}`, r.PostForm.Get("subject_token"), n)
	}
}

// service is an upstream that answers with the Authorization that it got, and refuses those that it is told to.
type service struct {
	*httptest.Server
	refused atomic.Value // of string
	got     atomic.Int64
}

func newService(t *testing.T) *service {
	s := &service{}
	s.refused.Store("")
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.got.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") == s.refused.Load() {
			w.WriteHeader(401)
		}
		_, _ = fmt.Fprintf(w, "%s %s", strings.Join(r.Header["Authorization"], "|"), body)
	}))
	t.Cleanup(s.Close)
	return s
}

// configuration is one in which all is sent to a service, with a policy.
func configuration(s *service, policy string) string {
	return "upstreams: {service: " + s.URL + "}\nroutes:\n  - match: /**\n    to: service\n    " + policy + "\n"
}

func credentials(p *idp) string {
	return "{client_credentials: {token_url: '" + p.URL + "/t', client_id: gate, client_secret: s3cret, scopes: [a, b], audience: service}}"
}

func TestClientCredentials(t *testing.T) {
	p, s := newIDP(t), newService(t)
	config := configuration(s, "upstream_auth: "+credentials(p))
	g := gatewaytest.New(t, config)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if resp, body := g.Get("/", "Authorization: Bearer client"); resp.StatusCode != 200 || body != "Bearer t1 " {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
		})
	}
	wg.Wait()
	form, _ := p.forms.Load(int64(1))
	if got := fmt.Sprint(form); got != "map[audience:[service] grant_type:[client_credentials] scope:[a b]]" {
		t.Errorf("it was asked for %s", got)
	}
	if err := g.SetConfig(config + "  - {match: /other, to: service, upstream_auth: " + credentials(p) + "}\n"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/other"} {
		if _, body := g.Get(path); body != "Bearer t1 " || p.asked.Load() != 1 {
			t.Errorf("after a reload: %s, asked %d times", body, p.asked.Load())
		}
	}
	if err := g.SetConfig(strings.ReplaceAll(config, "s3cret", "other")); err != nil {
		t.Fatal(err)
	}
	resp, body := g.Get("/")
	if resp.StatusCode != 502 || !strings.Contains(body, `"upstream_auth_failed"`) || strings.Contains(body, "invalid_client") || s.got.Load() != 22 {
		t.Errorf("with a wrong secret: %d %s, after %d requests", resp.StatusCode, body, s.got.Load())
	}
	if log := g.Log(); !strings.Contains(log, "invalid_client") || strings.Contains(log, "wrong password") || strings.Contains(log, "s3cret") {
		t.Errorf("the log says:\n%s", log)
	}
}

// clock is a clock that tests move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

func (c *clock) pass(d time.Duration) { c.offset.Add(int64(d)) }

func TestAfterA401ThereIsANewToken(t *testing.T) {
	p, s, c := newIDP(t), newService(t), &clock{}
	g := gatewaytest.New(t, configuration(s, "auth_at: "+credentials(p)), upstreamauth.KindAt("auth_at", c.now))
	const whatever = -1
	want := func(method, body string, status int, answer string, asked, got int64) {
		t.Helper()
		resp, text := g.Do(method, "/", body)
		if resp.StatusCode != status || text != answer || asked != whatever && p.asked.Load() != asked || s.got.Load() != got {
			t.Errorf("got %d %q, after %d tokens and %d requests; want %d %q, %d, %d", resp.StatusCode, text, p.asked.Load(), s.got.Load(), status, answer, asked, got)
		}
	}
	want("GET", "", 200, "Bearer t1 ", 1, 1)
	s.refused.Store("Bearer t1")
	want("GET", "", 401, "Bearer t1 ", 1, 2) // it is quite new: another would be refused as well
	c.pass(time.Minute)
	want("GET", "", 200, "Bearer t2 ", 2, 4) // sent once more
	s.refused.Store("Bearer t2")
	c.pass(time.Minute)
	want("POST", "x", 401, "Bearer t2 x", whatever, 5) // cannot be sent once more
	want("POST", "x", 200, "Bearer t3 x", 3, 6)
	s.refused.Store("Bearer t3")
	c.pass(time.Minute)
	p.down.Store(true)
	want("GET", "", 401, "Bearer t3 ", 4, 7) // the service's own answer says more than that there is no other
	want("GET", "", 401, "Bearer t3 ", 4, 8)
	s.refused.Store("")
	want("GET", "", 200, "Bearer t3 ", 4, 9)
	c.pass(57 * time.Minute)
	if resp, text := g.Get("/"); resp.StatusCode != 200 || text != "Bearer t3 " { // it is good yet; a new one is asked for meanwhile
		t.Errorf("shortly before its end: %d %s", resp.StatusCode, text)
	}
}

func TestWithoutATokenNothingIsSent(t *testing.T) {
	p, s := newIDP(t), newService(t)
	p.down.Store(true)
	g := gatewaytest.New(t, configuration(s, "upstream_auth: "+credentials(p)))
	for range 5 {
		resp, body := g.Get("/")
		if resp.StatusCode != 502 || !strings.Contains(body, "could not identify itself") || s.got.Load() != 0 {
			t.Errorf("got %d %s", resp.StatusCode, body)
		}
	}
	if n := p.asked.Load(); n > 2 {
		t.Errorf("the server that is down was asked %d times", n)
	}
}

func TestTokenExchange(t *testing.T) {
	p, s := newIDP(t), newService(t)
	g := gatewaytest.New(t, configuration(s, "upstream_auth: {token_exchange: {token_url: '"+p.URL+"', client_id: gate, client_secret: s3cret, resource: 'urn:x'}}"))
	for _, test := range []struct {
		fields []string
		status int
		body   string
		asked  int64
	}{
		{[]string{"Authorization: Bearer ann"}, 200, "Bearer annt1 ", 1},
		{[]string{"Authorization: bearer  ann"}, 200, "Bearer annt1 ", 1},
		{[]string{"Authorization: Bearer bob"}, 200, "Bearer bobt2 ", 2},
		{[]string{"Authorization: Bearer ann"}, 200, "Bearer annt1 ", 2},
		{nil, 401, "token_exchange_rejected", 2},
		{[]string{"Authorization: Basic ann"}, 401, "token_exchange_rejected", 2},
		{[]string{"Authorization: Bearer ann", "Authorization: Bearer bob"}, 401, "token_exchange_rejected", 2},
		{[]string{"Authorization: Bearer " + strings.Repeat("x", 17<<10)}, 401, "token_exchange_rejected", 2},
		{[]string{"Authorization: Bearer stolen"}, 401, "token_exchange_rejected", 3},
		{[]string{"Authorization: Bearer stolen"}, 401, "token_exchange_rejected", 3},
	} {
		resp, body := g.Get("/", test.fields...)
		if resp.StatusCode != test.status || !strings.Contains(body, test.body) || p.asked.Load() != test.asked {
			t.Errorf("%.60q: got %d %s after %d tokens", test.fields, resp.StatusCode, body, p.asked.Load())
		}
		if challenge := resp.Header.Get("WWW-Authenticate"); (challenge != "") != (test.status == 401) {
			t.Errorf("%.60q: challenge %q", test.fields, challenge)
		}
	}
	form, _ := p.forms.Load(int64(1))
	want := "map[grant_type:[urn:ietf:params:oauth:grant-type:token-exchange] resource:[urn:x] subject_token:[ann] subject_token_type:[urn:ietf:params:oauth:token-type:access_token]]"
	if got := fmt.Sprint(form); got != want {
		t.Errorf("it was asked for %s", got)
	}
	if log := g.Log(); strings.Contains(log, "stolen") {
		t.Errorf("the log has a caller's token:\n%s", log)
	}
}

func TestSignaturesAreOfWhatTheServiceGets(t *testing.T) {
	aws := upstreamauth.AWS{Region: "eu-central-1", Service: "execute-api", AccessKey: "AKID", SecretKey: "hidden", SessionToken: "session"}
	verify := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sum := sha256.Sum256(body)
		got, payload := r.Header.Get("Authorization"), hex.EncodeToString(sum[:])
		settings := aws
		if r.Host == "bucket.example.com" {
			settings.Service, payload = "s3", r.Header.Get("X-Amz-Content-Sha256")
		}
		if want := upstreamauth.Resign(&settings, r, payload); got != want {
			t.Errorf("%s %s: got %s, want %s", r.Method, r.RequestURI, got, want)
		}
		_, _ = fmt.Fprintf(w, "%s %s %s %q %q", r.Host, r.RequestURI, payload, body, r.Header["X-Amz-Security-Token"])
	}))
	defer verify.Close()
	const keys = "region: eu-central-1, access_key: AKID, secret_key: hidden, session_token: session"
	g := gatewaytest.New(t, "upstreams: {aws: "+verify.URL+"}\nroutes:\n"+
		"  - {match: /api/**, to: aws, upstream_auth: {aws: {service: execute-api, max_body: 10B, "+keys+"}}}\n"+
		"  - {match: /s3/**, to: aws, upstream_auth: {aws: {service: s3, host: bucket.example.com, "+keys+"}}}\n")
	hello := sha256.Sum256([]byte("hello"))
	const host, none = "execute-api.eu-central-1.amazonaws.com", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, test := range []struct {
		method, path, body string
		fields             []string
		want               string
	}{
		{"GET", "/api/a%20b/ü?z=1&a=x+y", "", nil, host + ` /api/a%20b/%C3%BC?a=x%20y&z=1 ` + none + ` "" ["session"]`},
		{"POST", "/api/x", "hello", []string{"Content-Type: text/plain"}, host + ` /api/x ` + hex.EncodeToString(hello[:]) + ` "hello" ["session"]`},
		{"GET", "/api/x?X-Amz-Signature=forged&a=1", "", []string{"Authorization: AWS4-HMAC-SHA256 x", "X-Amz-Security-Token: forged", "X-Amz-Date: 20000101T000000Z", "X-Amz-Meta: m"}, host + ` /api/x?a=1 ` + none + ` "" ["session"]`},
		{"POST", "/api/x", "hello, hello", nil, `"body_too_large"`},
		{"GET", "/api/x?%zz", "", nil, `"bad_request"`},
		{"GET", "/s3/a+b/$?list-type=2&prefix=%2F", "", nil, `bucket.example.com /s3/a+b/$?list-type=2&prefix=%2F ` + none + ` "" ["session"]`},
		{"PUT", "/s3/x", "hello, hello", []string{"X-Amz-Content-Sha256: forged"}, `bucket.example.com /s3/x UNSIGNED-PAYLOAD "hello, hello" ["session"]`},
		{"PUT", "/s3/x", "5\r\nhello\r\n0\r\n\r\n", []string{"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, `bucket.example.com /s3/x STREAMING-UNSIGNED-PAYLOAD-TRAILER "5\r\nhello\r\n0\r\n\r\n" ["session"]`},
		{"PUT", "/s3/x", "hello", []string{"X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, `"bad_request"`},
	} {
		if resp, body := g.Do(test.method, test.path, test.body, test.fields...); body != test.want && !(resp.StatusCode >= 400 && strings.Contains(body, test.want)) {
			t.Errorf("%s %s: got %d %s, want %s", test.method, test.path, resp.StatusCode, body, test.want)
		}
	}
	r, err := http.NewRequest("POST", g.URL+"/api/x", io.MultiReader(strings.NewReader("hel"), strings.NewReader("lo"))) // of unknown length
	if err != nil {
		t.Fatal(err)
	}
	resp, err := g.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if !strings.Contains(string(body), hex.EncodeToString(hello[:])) {
		t.Errorf("got %s", body)
	}
}

func TestBodiesThatCannotBeRead(t *testing.T) {
	s := newService(t)
	g := gatewaytest.New(t, configuration(s, "upstream_auth: {aws: {region: r, service: es, access_key: A, secret_key: b}}"))
	for body, want := range map[string]string{
		"zz\r\nhello\r\n0\r\n\r\n": "HTTP/1.1 4", // no size of a chunk
		"5\r\nhello\r\n":           "HTTP/1.1 4", // and then nothing more
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		_ = conn.Close()
		if len(answer) > 0 && !strings.HasPrefix(string(answer), want) || s.got.Load() != 0 {
			t.Errorf("%q: got %s, after %d requests", body, answer, s.got.Load())
		}
	}
}

func TestCopiesGoWithoutTheCredentials(t *testing.T) {
	s := newService(t)
	copies := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		copies <- fmt.Sprint(r.Header["Authorization"], r.Header["X-Key"])
	}))
	defer other.Close()
	g := gatewaytest.New(t, "upstreams: {service: "+s.URL+", other: "+other.URL+"}\n"+
		"routes: [{match: /**, to: service, mirror: other, upstream_auth: {bearer: hidden, header: {X-Key: hidden}}}]")
	if _, body := g.Get("/", "Authorization: Bearer client"); body != "Bearer hidden " {
		t.Errorf("got %s", body)
	}
	if got := <-copies; got != "[Bearer client] []" {
		t.Errorf("the copy has %s", got)
	}
}

// TestATokenServerIsKilledUnderLoad stops a token server and starts it again while requests come in. None fails: the token is good.
func TestATokenServerIsKilledUnderLoad(t *testing.T) {
	s := newService(t)
	c := &clock{}
	addr := porttest.Address(t)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{}
	first := &httptest.Server{Listener: l, Config: &http.Server{Handler: p}}
	first.Start()
	p.Server = first
	g := gatewaytest.New(t, configuration(s, "auth_at: "+credentials(p)), upstreamauth.KindAt("auth_at", c.now))
	if resp, body := g.Get("/"); resp.StatusCode != 200 {
		t.Fatalf("got %d %s", resp.StatusCode, body)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var served atomic.Int64
	served200 := make(chan struct{}, 1)
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if resp, body := g.Get("/"); resp.StatusCode != 200 {
					t.Errorf("got %d %s", resp.StatusCode, body)
					return
				}
				if served.Add(1)%200 == 0 {
					select {
					case served200 <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	<-served200
	first.CloseClientConnections()
	first.Close()
	c.pass(56 * time.Minute) // it should be renewed, and cannot be
	<-served200
	<-served200
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	second := &httptest.Server{Listener: again, Config: &http.Server{Handler: p}}
	second.Start()
	defer second.Close()
	before := p.asked.Load()
	c.pass(time.Minute) // past the pause
	for p.asked.Load() == before {
		select {
		case <-served200:
		case <-time.After(10 * time.Second):
			t.Fatal("no new token is asked for")
		}
	}
	close(stop)
	wg.Wait()
	if _, body := g.Get("/"); body != "Bearer t2 " {
		t.Errorf("got %s", body)
	}
}

// TestCurlSignsAlike compares with signatures of curl's own, which leave out a Content-Type that it makes up itself.
func TestCurlSignsAlike(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal("there is no curl: make deps installs it")
	}
	aws := upstreamauth.AWS{Region: "eu-central-1", Service: "es", AccessKey: "AKID", SecretKey: "hidden"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sum := sha256.Sum256(body)
		got := r.Header.Get("Authorization")
		if want := upstreamauth.Resign(&aws, r, hex.EncodeToString(sum[:])); got != want {
			_, _ = fmt.Fprintf(w, "got %s, want %s", got, want)
			return
		}
		_, _ = io.WriteString(w, "alike")
	}))
	defer server.Close()
	for _, args := range [][]string{{"/"}, {"/a/b-c_d.e~f"}, {"/x?a=1&b=2"}, {"/x", "-X", "PUT", "-d", "a=b", "-H", "Content-Type: application/json"}} {
		args := append([]string{"-q", "-sS", "--max-time", "10", "--aws-sigv4", "aws:amz:eu-central-1:es", "--user", "AKID:hidden", server.URL + args[0]}, args[1:]...)
		if out, err := exec.Command(curl, args...).CombinedOutput(); err != nil || string(out) != "alike" {
			t.Errorf("%q: %v, %s", args, err, out)
		}
	}
}
