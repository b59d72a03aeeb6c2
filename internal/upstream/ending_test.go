package upstream

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

func TestTimeouts(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	silent := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	half := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	short := config.Duration(100 * time.Millisecond)
	for _, c := range []struct {
		name   string
		url    string
		change func(*config.Upstream)
		want   result
	}{
		{"first byte", silent.URL, func(u *config.Upstream) { u.Timeout.FirstByte = short }, result{Code: filter.UpstreamTimeout, Tries: 3}},
		{"try", silent.URL, func(u *config.Upstream) { u.Timeout.Try = short }, result{Code: filter.UpstreamTimeout, Tries: 3}},
		{"request", silent.URL, func(u *config.Upstream) { u.Timeout.Request = short }, result{Code: filter.UpstreamTimeout, Tries: 1}},
		{"request, in the body", half.URL, func(u *config.Upstream) { u.Timeout.Request = short }, result{200, "half", filter.UpstreamTimeout, 1}},
		{"idle, in the body", half.URL, func(u *config.Upstream) { u.Timeout.Idle = short }, result{200, "half", filter.UpstreamTimeout, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := newCluster(t, c.change, c.url)
			if got := do(cl, get()); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if s := cl.Status(); s.InFlight != 0 || s.Endpoints[0].Failures != int64(c.want.Tries) {
				t.Errorf("the status is %+v", s)
			}
		})
	}
	t.Run("try does not end a body", func(t *testing.T) {
		slow := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "slow ")
			w.(http.Flusher).Flush()
			time.Sleep(2 * time.Duration(short))
			_, _ = io.WriteString(w, "end")
		})
		cl := newCluster(t, func(u *config.Upstream) { u.Timeout.Try = short }, slow.URL)
		if got, want := do(cl, get()), (result{200, "slow end", "", 1}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func TestClientLeaves(t *testing.T) {
	for _, headFirst := range []bool{false, true} {
		arrived, left := make(chan struct{}, 1), make(chan struct{}, 1)
		b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
			if headFirst {
				w.(http.Flusher).Flush()
			}
			arrived <- struct{}{}
			<-r.Context().Done()
			left <- struct{}{}
		})
		c := newCluster(t, func(u *config.Upstream) {
			u.Breaker = new(config.Breaker)
			u.Breaker.Default()
		}, b.URL)
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			<-arrived
			cancel()
		}()
		got := do(c, get().WithContext(ctx))
		if got.Code != filter.ClientClosed || got.Tries != 1 {
			t.Errorf("%+v", got)
		}
		<-left
		s := c.Status()
		if s.InFlight != 0 || s.Endpoints[0].Failures != 0 || s.Breaker.Requests != 0 {
			t.Errorf("it was counted: %+v %+v", s, s.Breaker)
		}
	}
}

// A deadline that a policy has set answers with the policy's own error.
func TestDeadlineOfAPolicy(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := newCluster(t, nil, b.URL)
	ex := &filter.Exchange{Request: get(), Start: time.Now()}
	ex.Limit(20*time.Millisecond, filter.Reject(filter.RequestTimeout, "too slow"))
	defer ex.Release()
	_, err := c.Do(ex, ex.Request)
	if e := filter.AsError(err); e.Code != filter.RequestTimeout || e.Detail != "too slow" {
		t.Errorf("%v", err)
	}
}

// What cannot be read of the client's body is not the service's fault, and keeps its code.
func TestBadRequestBody(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	for _, c := range []struct {
		err  error
		want filter.Code
	}{
		{filter.Reject(filter.BodyTooLarge, ""), filter.BodyTooLarge},
		{&http.MaxBytesError{Limit: 1}, filter.BodyTooLarge},
		{io.ErrUnexpectedEOF, filter.ClientClosed},
	} {
		cl := newCluster(t, nil, b.URL)
		req := request("PUT", "")
		req.Body, req.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("abc"), unreadable{c.err})), -1
		got := do(cl, req)
		if got.Code != c.want || got.Tries != 1 {
			t.Errorf("%v: %+v, want %s", c.err, got, c.want)
		}
		if s := cl.Status(); s.Endpoints[0].Failures != 0 {
			t.Errorf("%v counted as a failure", c.err)
		}
	}
}

func TestBodyBreaksOff(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "only this")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	c := newCluster(t, nil, b.URL)
	if got, want := do(c, get()), (result{200, "only this", filter.UpstreamReset, 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if s := c.Status(); s.Endpoints[0].Failures != 1 || s.InFlight != 0 {
		t.Errorf("the status is %+v", s)
	}
}

// What is counted as under way ends with the body, however it ends, and ends once.
func TestInFlightEndsWithTheBody(t *testing.T) {
	b := newBackend(t, says(200, "a body"))
	c := newCluster(t, nil, b.URL)
	ex := &filter.Exchange{Request: get()}
	resp, err := c.Do(ex, ex.Request)
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Status().Endpoints[0].InFlight; n != 1 {
		t.Errorf("with the head here, %d are under way", n)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	if n := c.Status().Endpoints[0].InFlight; n != 0 {
		t.Errorf("with the body here, %d are under way", n)
	}
	resp.Body.Close()
	resp.Body.Close()
	if n := c.Status().Endpoints[0].InFlight; n != 0 {
		t.Errorf("with the body closed, %d are under way", n)
	}
	req := request("HEAD", "")
	if got := do(c, req); got.Status != 200 || c.Status().InFlight != 0 {
		t.Errorf("HEAD: %+v, and %d under way", got, c.Status().InFlight)
	}
}

func TestUpgrade(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, rw)
	})
	c := newCluster(t, func(u *config.Upstream) {
		u.Timeout.Request, u.Timeout.Try = config.Duration(250*time.Millisecond), config.Duration(200*time.Millisecond)
	}, b.URL)
	req := get()
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	ex := &filter.Exchange{Request: req}
	resp, err := c.Do(ex, req)
	if err != nil {
		t.Fatal(err)
	}
	tunnel, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || resp.StatusCode != 101 {
		t.Fatalf("status %d with a %T", resp.StatusCode, resp.Body)
	}
	time.Sleep(300 * time.Millisecond) // the limits of requests are not those of tunnels
	_, _ = io.WriteString(tunnel, "hello")
	buf := make([]byte, 5)
	if _, err := io.ReadFull(tunnel, buf); err != nil || string(buf) != "hello" {
		t.Errorf("%q, %v", buf, err)
	}
	if n := c.Status().InFlight; n != 1 {
		t.Errorf("%d are under way", n)
	}
	_ = tunnel.(interface{ CloseWrite() error }).CloseWrite()
	rest, _ := io.ReadAll(tunnel)
	tunnel.Close()
	if len(rest) != 0 || c.Status().InFlight != 0 {
		t.Errorf("at the end %q came, and %d are under way", rest, c.Status().InFlight)
	}
}
