package mirror

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// received is what a mirror got.
type received struct {
	method, uri, host, body, mark, id, length string
}

func receive(r *http.Request, into chan<- received) {
	b, _ := io.ReadAll(r.Body)
	into <- received{r.Method, r.RequestURI, r.Host, string(b), r.Header.Get(Mark), r.Header.Get("X-Request-Id"), r.Header.Get("Content-Length")}
}

// exchange is a request, and what its target does with the body.
func exchange(env *filter.Env, method, body string) *filter.Exchange {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, "http://api.example.com/orders/7?x=1", content)
	r.Header.Set("X-Request-Id", "id-1")
	ex := &filter.Exchange{Request: r, Route: env.Route, ID: "id-1", Start: time.Now(), Params: routerParams{params{{"id", "7"}}}}
	ex.Prepare(env.Slots())
	return ex
}

func TestCopies(t *testing.T) {
	tests := []struct {
		name, method, body string
		chunked            bool
		want               received
	}{
		{"without a body", "GET", "", false, received{"GET", "/orders/7?x=1", "api.example.com", "", "true", "id-1", ""}},
		{"with a body", "POST", "hello", false, received{"POST", "/orders/7?x=1", "api.example.com", "hello", "true", "id-1", "5"}},
		{"with one of unknown length", "POST", "hello", true, received{"POST", "/orders/7?x=1", "api.example.com", "hello", "true", "id-1", "5"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan received, 1)
			env := filtertest.NewEnv(t, "orders", filtertest.Server(t, "next", func(w http.ResponseWriter, r *http.Request) { receive(r, got) }))
			f := newFilter(t, env, "mirror: next")
			ex := exchange(env, tt.method, tt.body)
			if tt.chunked {
				ex.Request.ContentLength = -1
			}
			if err := f.Request(ex); err != nil {
				t.Fatal(err)
			}
			real, err := io.ReadAll(iotest.OneByteReader(ex.Request.Body))
			if err != nil || string(real) != tt.body || ex.Request.Header.Get(Mark) != "" {
				t.Errorf("the target got %q, %v, %v", real, err, ex.Request.Header)
			}
			if m := <-got; m != tt.want {
				t.Errorf("the mirror got\n%+v, want\n%+v", m, tt.want)
			}
			f.Finish(ex)
			eventually(t, env, map[string]float64{"2xx": 1})
			_ = f.Close()
		})
	}
}

// eventually waits until the results are what they should be: real servers do not live in synctest bubbles.
func eventually(t *testing.T, env *filter.Env, want map[string]float64) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		got := results(t, env)
		if maps.Equal(got, want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("results %v, want %v", got, want)
		}
	}
}

func TestABodyIsCompleteWhenItsLengthIsThere(t *testing.T) {
	got := make(chan received, 1)
	env := newEnv(t, func(_ *filter.Exchange, r *http.Request) (*http.Response, error) {
		receive(r, got)
		return &http.Response{StatusCode: 503, Body: http.NoBody}, nil
	})
	f := newFilter(t, env, "mirror: next")
	ex := exchange(env, "PUT", "hello")
	_ = f.Request(ex)
	if _, err := io.ReadFull(ex.Request.Body, make([]byte, 5)); err != nil { // never sees io.EOF
		t.Fatal(err)
	}
	if m := <-got; m.body != "hello" {
		t.Errorf("got %+v", m)
	}
	f.Finish(ex)
	eventually(t, env, map[string]float64{"5xx": 1})
	_ = f.Close()
}

func TestWhatIsNotMirrored(t *testing.T) {
	never := func(*filter.Exchange, *http.Request) (*http.Response, error) { panic("mirrored") }
	tests := []struct {
		name, text string
		change     func(*filter.Exchange)
		target     func(io.Reader)
		want       map[string]float64
	}{
		{"a mirrored one", "mirror: next", func(ex *filter.Exchange) { ex.Request.Header.Set(Mark, "true") }, readAll, nil},
		{"an upgrade", "mirror: next", func(ex *filter.Exchange) { ex.Request.Header.Set("Upgrade", "websocket") }, readAll, nil},
		{"an explained one", "mirror: next", func(ex *filter.Exchange) { ex.Dry = true }, readAll, nil},
		{"none of the share", "mirror: {to: next, share: 0}", nil, readAll, nil},
		{"too large a length", "mirror: {to: next, max_body: 4B}", nil, readAll, map[string]float64{"body_too_large": 1}},
		{"too large while read", "mirror: {to: next, max_body: 4B}", unknownLength, readAll, map[string]float64{"body_too_large": 1}},
		{"not read at all", "mirror: next", nil, func(io.Reader) {}, map[string]float64{"body_unread": 1}},
		{"not read to its end", "mirror: next", nil, func(r io.Reader) { _, _ = r.Read(make([]byte, 2)) }, map[string]float64{"body_unread": 1}},
		{"broken off", "mirror: next", func(ex *filter.Exchange) {
			ex.Request.Body = io.NopCloser(io.MultiReader(strings.NewReader("he"), iotest.ErrReader(errors.New("reset"))))
		}, readAll, map[string]float64{"body_unread": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := newEnv(t, never)
			f := newFilter(t, env, tt.text)
			for range 3 { // places are given back
				ex := exchange(env, "POST", "hello")
				if tt.change != nil {
					tt.change(ex)
				}
				if err := f.Request(ex); err != nil {
					t.Fatal(err)
				}
				tt.target(ex.Request.Body)
				f.Finish(ex)
			}
			want := map[string]float64{}
			for name, n := range tt.want {
				want[name] = 3 * n
			}
			if got := results(t, env); !maps.Equal(got, want) {
				t.Errorf("results %v, want %v", got, want)
			}
			_ = f.Close() // would wait for ever for a place that is not given back
		})
	}
}

func readAll(r io.Reader) { _, _ = io.Copy(io.Discard, r) }

func unknownLength(ex *filter.Exchange) { ex.Request.ContentLength = -1 }

func TestBusyTimeoutFailureAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := func(_ *filter.Exchange, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		}
		behave := stuck
		env := newEnv(t, func(ex *filter.Exchange, r *http.Request) (*http.Response, error) { return behave(ex, r) })
		f := newFilter(t, env, "mirror: {to: next, max_in_flight: 2, timeout: 3s}")
		go1 := func() {
			ex := exchange(env, "GET", "")
			_ = f.Request(ex)
			f.Finish(ex)
			ex.Release()
		}
		check := func(want map[string]float64) {
			t.Helper()
			synctest.Wait()
			if got := results(t, env); !maps.Equal(got, want) {
				t.Errorf("results %v, want %v", got, want)
			}
		}
		begin := time.Now()
		go1()
		go1()
		go1()
		check(map[string]float64{"busy": 1})
		if time.Since(begin) != 0 {
			t.Error("the exchange waited")
		}
		time.Sleep(3 * time.Second)
		check(map[string]float64{"busy": 1, "timeout": 2})

		behave = func(*filter.Exchange, *http.Request) (*http.Response, error) { return nil, errors.New("refused") }
		go1()
		synctest.Wait()
		behave = func(*filter.Exchange, *http.Request) (*http.Response, error) { panic("a fault") }
		go1()
		synctest.Wait()
		behave = func(*filter.Exchange, *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(iotest.ErrReader(errors.New("reset")))}, nil
		}
		go1()
		check(map[string]float64{"busy": 1, "timeout": 2, "failed": 3})

		behave = stuck
		go1()
		synctest.Wait()
		_ = f.Close()
		check(map[string]float64{"busy": 1, "timeout": 2, "failed": 3, "canceled": 1})
	})
}

// TestACopyIsIndependent changes and ends the exchange while the copy waits.
func TestACopyIsIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan bool)
		got := ""
		env := newEnv(t, func(ex *filter.Exchange, r *http.Request) (*http.Response, error) {
			<-free
			ex.Attempts = append(ex.Attempts, filter.Attempt{})
			ex.Limit(time.Second, errors.New("slow"))
			b, _ := io.ReadAll(r.Body)
			again, _ := r.GetBody()
			b2, _ := io.ReadAll(again)
			got = r.URL.Path + " " + r.Header.Get("X") + " " + ex.Param("id") + " " + string(b) + " " + string(b2)
			return &http.Response{StatusCode: 200, Body: http.NoBody}, r.Context().Err()
		})
		f := newFilter(t, env, "mirror: next")
		ex := exchange(env, "POST", "hello")
		ctx, leave := context.WithCancel(ex.Context())
		ex.Request = ex.Request.WithContext(ctx)
		ex.Request.Header.Set("X", "before")
		p := ex.Params.(routerParams).params
		_ = f.Request(ex)
		buf := make([]byte, 5)
		_, _ = io.ReadFull(ex.Request.Body, buf)
		copy(buf, "XXXXX")
		ex.Request.Header.Set("X", "after")
		ex.Request.URL.Path = "/after"
		p[0].value = "after"
		f.Finish(ex)
		leave()
		ex.Release()
		close(free)
		synctest.Wait()
		if got != "/orders/7 before 7 hello hello" {
			t.Errorf("the mirror got %q", got)
		}
		if r := results(t, env); !maps.Equal(r, map[string]float64{"2xx": 1}) {
			t.Errorf("results %v", r)
		}
		_ = f.Close()
	})
}

func TestShare(t *testing.T) {
	n := 0
	env := newEnv(t, nil)
	m := &mirror{share: 0.05}
	for range 20000 {
		if m.chosen(exchange(env, "GET", "")) {
			n++
		}
	}
	if n < 800 || n > 1200 {
		t.Errorf("%d of 20000, want about 1000", n)
	}
}

func TestConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		"mirror: {}":                             `the key "to" is missing`,
		"mirror: nowhere":                        `there is no upstream "nowhere"`,
		"mirror:\n  share: 5%\n  to: nowhere":    "test.yaml:3:7",
		"mirror: {to: next, share: 101%}":        "mirror.share",
		"mirror: {to: next, timeout: off}":       "mirror.timeout",
		"mirror: {to: next, max_in_flight: 0}":   "mirror.max_in_flight",
		"mirror: {to: next, max_body: anything}": "mirror.max_body",
	} {
		_, err := Kind().Build(newEnv(t, nil), filtertest.Parse(t, text).Field("mirror"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

func TestExplain(t *testing.T) {
	env := newEnv(t, nil)
	f := newFilter(t, env, "mirror: {to: next, share: 5%}")
	for field, want := range map[string]string{
		"X-Other": "a copy of 5% of the requests goes to next",
		Mark:      "not mirrored: it is a copy already",
		"Upgrade": "not mirrored: it changes the protocol",
	} {
		ex := exchange(env, "GET", "")
		ex.Dry = true
		ex.Request.Header.Set(field, "x")
		if got := f.Explain(ex); got != (filter.Verdict{Action: filter.Passes, Note: want}) {
			t.Errorf("%s: got %+v", field, got)
		}
	}
	_ = f.Close()
	if k := Kind(); k.Name() != "mirror" || k.Stage() != filter.Dispatch {
		t.Errorf("got %s in %s", k.Name(), k.Stage())
	}
}

func TestNotMirroringDoesNotAllocate(t *testing.T) {
	env := newEnv(t, nil)
	f := newFilter(t, env, "mirror: {to: next, share: 0}")
	ex := exchange(env, "POST", "hello")
	if n := testing.AllocsPerRun(100, func() { _ = f.Request(ex); f.Finish(ex) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMirror(b *testing.B) {
	env := newEnv(b, func(*filter.Exchange, *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})
	f := newFilter(b, env, "mirror: {to: next, max_in_flight: 1000}")
	defer f.Close()
	body := bytes.Repeat([]byte("x"), 1024)
	ex := exchange(env, "POST", "hello")
	original := ex.Request
	b.ReportAllocs()
	for b.Loop() {
		ex.Request = original
		ex.Request.Body, ex.Request.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		_ = f.Request(ex)
		_, _ = io.Copy(io.Discard, ex.Request.Body)
		f.Finish(ex)
	}
}
