package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a service that tests send to.
type backend struct {
	*httptest.Server
	hits   atomic.Int64
	handle atomic.Pointer[http.HandlerFunc]
}

// newBackend starts a service.
func newBackend(t testing.TB, handle http.HandlerFunc) *backend {
	b := new(backend)
	b.set(handle)
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.hits.Add(1)
		(*b.handle.Load())(w, r)
	}))
	t.Cleanup(b.Close)
	return b
}

// set changes what the service does.
func (b *backend) set(handle http.HandlerFunc) { b.handle.Store(&handle) }

// address is the service's host and port.
func (b *backend) address() string { return b.Listener.Addr().String() }

// says answers with a status and a text.
func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// settings are those of an upstream with its defaults, changed.
func settings(change func(*config.Upstream), urls ...string) *config.Upstream {
	c := new(config.Upstream)
	c.Default()
	for _, u := range urls {
		c.Endpoints = append(c.Endpoints, config.Endpoint{URL: u, Weight: 1})
	}
	c.Retry.Backoff = config.Duration(time.Millisecond)
	if change != nil {
		change(c)
	}
	return c
}

// newCluster starts a cluster that is closed with the test.
func newCluster(t testing.TB, change func(*config.Upstream), urls ...string) *Cluster {
	t.Helper()
	c, err := New("orders", settings(change, urls...), Env{Metrics: observe.NewMetrics(), Expr: keys{}})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// keys compiles header.<name> and address, which is all that tests need.
type keys struct{ filter.Expressions }

func (keys) Value(source string) (filter.Value, error) {
	name, ok := strings.CutPrefix(source, "header.")
	if !ok && source != "address" {
		return nil, fmt.Errorf("there is no variable %q", source)
	}
	return func(ex *filter.Exchange) (string, bool) {
		v := ex.Request.Header.Get(name)
		return v, v != ""
	}, nil
}

// result is what came of a request.
type result struct {
	Status int
	Body   string
	Code   filter.Code // of the error
	Tries  int
}

// do sends a request and reads the answer.
func do(c *Cluster, req *http.Request) result {
	ex := &filter.Exchange{Request: req, Start: time.Now()}
	resp, err := c.Do(ex, req)
	r := result{Tries: len(ex.Attempts)}
	if err != nil {
		r.Code = codeOf(err)
		return r
	}
	defer resp.Body.Close()
	r.Status = resp.StatusCode
	text, err := io.ReadAll(resp.Body)
	r.Body = string(text)
	if err != nil {
		r.Code = codeOf(err)
	}
	return r
}

// codeOf is the code of an error, which must be a *filter.Error itself.
func codeOf(err error) filter.Code {
	e, ok := err.(*filter.Error)
	if !ok {
		return filter.Code(fmt.Sprintf("no filter.Error: %T %v", err, err))
	}
	return e.Code
}

// request makes a request as the engine gives it to a target. A body is sent as it would come from a client, not from memory.
func request(method, body string) *http.Request {
	req, _ := http.NewRequest(method, "http://client.example/path?q=1", nil)
	if body != "" {
		req.Body, req.ContentLength = io.NopCloser(struct{ io.Reader }{strings.NewReader(body)}), int64(len(body))
	}
	return req
}

func get() *http.Request { return request("GET", "") }

func TestRoundTrip(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.URL, text)
	})
	for _, c := range []struct{ host, want string }{
		{"keep", "PUT client.example /path?q=1 hello"},
		{"rewrite", "PUT " + b.address() + " /path?q=1 hello"},
		{"svc.local", "PUT svc.local /path?q=1 hello"},
	} {
		cl := newCluster(t, func(u *config.Upstream) { u.Host = c.host }, b.URL)
		if got, want := do(cl, request("PUT", "hello")), (result{200, c.want, "", 1}); got != want {
			t.Errorf("host %s: %+v, want %+v", c.host, got, want)
		}
	}
}

func TestAttempts(t *testing.T) {
	b := newBackend(t, says(200, "fine"))
	gone := dead(t)
	c := newCluster(t, nil, gone)
	ex := &filter.Exchange{Request: get()}
	if _, err := c.Do(ex, ex.Request); codeOf(err) != filter.UpstreamConnectFailed || len(ex.Attempts) != 3 {
		t.Errorf("%v after %d tries", err, len(ex.Attempts))
	}
	for i, a := range ex.Attempts {
		if a.Upstream != "orders" || "http://"+a.Endpoint != gone || codeOf(a.Err) != filter.UpstreamConnectFailed || a.Start.IsZero() {
			t.Errorf("try %d is %+v", i, a)
		}
	}
	ok := newCluster(t, nil, b.URL)
	ex = &filter.Exchange{Request: get()}
	resp, err := ok.Do(ex, ex.Request)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if a := ex.Attempts[0]; a.Status != 200 || a.Connect == 0 || a.FirstByte == 0 || a.Reused || a.Err != nil || a.Endpoint != b.address() {
		t.Errorf("the try is %+v", a)
	}
}

func TestHashGoesByKey(t *testing.T) {
	a, b := newBackend(t, says(200, "a")), newBackend(t, says(200, "b"))
	c := newCluster(t, func(u *config.Upstream) { u.Balance.By, u.Balance.Key = "hash", "header.x-user" }, a.URL, b.URL)
	answers := map[string]int{}
	for k := range 40 {
		req := get()
		req.Header.Set("X-User", fmt.Sprint(k))
		first, again := do(c, req), do(c, req)
		if first != again {
			t.Errorf("user %d went to %s and %s", k, first.Body, again.Body)
		}
		answers[first.Body]++
	}
	if len(answers) != 2 {
		t.Errorf("all users go the same way: %v", answers)
	}
	if _, err := New("x", settings(func(u *config.Upstream) { u.Balance.By, u.Balance.Key = "hash", "nothing" }, a.URL), Env{Expr: keys{}}); err == nil {
		t.Error("a key that does not exist was taken")
	}
}

func TestUnixSocket(t *testing.T) {
	path := t.TempDir() + "/s.sock"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: says(200, "socket")}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	c := newCluster(t, nil, "unix://"+path)
	if got, want := do(c, get()), (result{200, "socket", "", 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestDryExchangeSendsNothing(t *testing.T) {
	b := newBackend(t, says(200, ""))
	c := newCluster(t, nil, b.URL)
	if _, err := c.Do(&filter.Exchange{Request: get(), Dry: true}, get()); !errors.Is(err, errDry) || b.hits.Load() != 0 {
		t.Errorf("%v, and %d were sent", err, b.hits.Load())
	}
}
