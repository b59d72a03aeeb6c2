package bodylimit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newFilter builds the policy from its configuration as a user writes it, and an exchange for its route.
func newFilter(t testing.TB, text string) (*filter.Filter, func(*http.Request) *filter.Exchange, error) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	return f, func(req *http.Request) *filter.Exchange {
		ex := &filter.Exchange{Request: req, Route: env.Route}
		ex.Prepare(env.Slots())
		return ex
	}, err
}

// result is what became of a request and its body.
type result struct {
	Rejected string // by the policy itself
	Body     string // what was read of it
	ReadErr  string
	Explain  filter.Verdict
}

func TestRequest(t *testing.T) {
	const tooLarge = "body_too_large: The body of the request may have at most 4B."
	chunked := func(body string) func(*http.Request) {
		return func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), -1 }
	}
	for name, test := range map[string]struct {
		change func(*http.Request)
		want   result
	}{
		"no body":        {func(r *http.Request) { r.Body = nil }, result{Explain: filter.Verdict{Action: filter.Passes, Note: "there is no body"}}},
		"NoBody":         {func(r *http.Request) { r.Body = http.NoBody }, result{Explain: filter.Verdict{Action: filter.Passes, Note: "there is no body"}}},
		"NoBody, unsaid": {func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, -1 }, result{Explain: filter.Verdict{Action: filter.Passes, Note: "there is no body"}}},
		"announced, as large as allowed": {
			func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("1234")), 4 },
			result{Body: "1234", Explain: filter.Verdict{Action: filter.Passes, Note: "the body has 4B, of at most 4B"}},
		},
		"announced, too large": {
			func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(iotest.ErrReader(errors.New("read"))), 5 },
			result{Rejected: tooLarge, Explain: filter.Verdict{Action: filter.Rejects, Note: "the body has 5B, more than 4B"}},
		},
		"counted, empty":               {chunked(""), result{Explain: filter.Verdict{Action: filter.Passes, Note: "the body is counted as it comes, up to 4B"}}},
		"counted, as large as allowed": {chunked("1234"), result{Body: "1234", Explain: filter.Verdict{Action: filter.Passes, Note: "the body is counted as it comes, up to 4B"}}},
		"counted, one too many":        {chunked("12345"), result{Body: "1234", ReadErr: tooLarge, Explain: filter.Verdict{Action: filter.Passes, Note: "the body is counted as it comes, up to 4B"}}},
		"counted, far too many":        {chunked(strings.Repeat("1234", 1000)), result{Body: "1234", ReadErr: tooLarge, Explain: filter.Verdict{Action: filter.Passes, Note: "the body is counted as it comes, up to 4B"}}},
		"length of 0 with a body":      {func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("12345")), 0 }, result{Body: "1234", ReadErr: tooLarge, Explain: filter.Verdict{Action: filter.Passes, Note: "the body is counted as it comes, up to 4B"}}},
		"client breaks off": {
			func(r *http.Request) {
				r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("12"), iotest.ErrReader(io.ErrUnexpectedEOF))), -1
			},
			result{Body: "12", ReadErr: "unexpected EOF", Explain: filter.Verdict{Action: filter.Passes, Note: "the body is counted as it comes, up to 4B"}},
		},
	} {
		for _, oneByte := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/one byte %v", name, oneByte), func(t *testing.T) {
				f, exchange, err := newFilter(t, "4")
				if err != nil {
					t.Fatal(err)
				}
				req := httptest.NewRequest("POST", "/", nil)
				test.change(req)
				ex := exchange(req)
				got := result{Explain: f.Explain(ex)}
				if err := f.Request(ex); err != nil {
					got.Rejected = err.Error()
					if filter.AsError(err).HTTPStatus() != 413 {
						t.Errorf("status %d", filter.AsError(err).HTTPStatus())
					}
				} else if ex.Request.Body != nil {
					var r io.Reader = ex.Request.Body
					if oneByte {
						r = iotest.OneByteReader(r)
					}
					body, err := io.ReadAll(r)
					if got.Body = string(body); err != nil {
						got.ReadErr = err.Error()
						if n, again := ex.Request.Body.Read(make([]byte, 10)); n != 0 || again == nil {
							t.Errorf("a later read gave %d, %v", n, again)
						}
					}
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// What the client hears is that its body was too large, whatever the upstream's failed call made of that.
func TestUpstreamErrorGivesWay(t *testing.T) {
	f, exchange, _ := newFilter(t, "{max: 4}")
	for _, test := range []struct {
		body string
		err  error
		want filter.Code
	}{
		{"12345", filter.Reject(filter.UpstreamReset, "").Because(io.ErrClosedPipe), filter.BodyTooLarge},
		{"12345", io.ErrClosedPipe, filter.BodyTooLarge},
		{"12345", filter.Reject(filter.BodyTooLarge, ""), ""}, // stays
		{"12345", nil, ""}, // the upstream answered before
		{"1234", filter.Reject(filter.UpstreamReset, ""), ""},
	} {
		req := httptest.NewRequest("POST", "/", io.NopCloser(strings.NewReader(test.body)))
		req.ContentLength = -1
		ex := exchange(req)
		if err := f.Request(ex); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, ex.Request.Body)
		ex.Err, ex.Response = test.err, &http.Response{StatusCode: 502}
		var got filter.Code
		if err := f.Response(ex); err != nil {
			got = filter.AsError(err).Code
		}
		if got != test.want {
			t.Errorf("%q, %v: got %q, want %q", test.body, test.err, got, test.want)
		}
	}
}

// A real upstream must never take the part of a body that was allowed for the whole.
func TestUpstreamSeesBrokenBody(t *testing.T) {
	seen := make(chan error, 1)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		seen <- err
	}))
	defer upstream.Close()
	f, exchange, _ := newFilter(t, "64KiB")
	req, _ := http.NewRequest("POST", upstream.URL, io.NopCloser(bytes.NewReader(make([]byte, 1<<20))))
	req.ContentLength = -1
	ex := exchange(req)
	if err := f.Request(ex); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	_, err := transport.RoundTrip(ex.Request)
	if got := filter.AsError(err); got.Code != filter.BodyTooLarge {
		t.Errorf("the call ended with %v", err)
	}
	select {
	case err := <-seen:
		if err == nil {
			t.Error("the upstream saw a complete body")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the upstream was not called")
	}
}

func TestTunnelIsNotCounted(t *testing.T) {
	f, exchange, _ := newFilter(t, "4")
	req := httptest.NewRequest("CONNECT", "example.com:443", nil)
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader("12345")), -1
	ex := exchange(req)
	if err := f.Request(ex); err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(ex.Request.Body); string(body) != "12345" || err != nil {
		t.Errorf("read %q, %v", body, err)
	}
}

func TestRefusedConfig(t *testing.T) {
	for _, text := range []string{"{}", "0", "{max: off}", "-1", "1 lightyear", "[1, 2]", "{maximum: 1}"} {
		if _, _, err := newFilter(t, text); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func TestAllocations(t *testing.T) {
	f, exchange, _ := newFilter(t, "1MiB")
	for _, body := range []io.Reader{nil, http.NoBody, strings.NewReader("announced")} {
		ex := exchange(httptest.NewRequest("POST", "/", body))
		if n := testing.AllocsPerRun(100, func() { _, _ = f.Request(ex), f.Response(ex) }); n != 0 {
			t.Errorf("%T: %v allocations", body, n)
		}
	}
}

func BenchmarkAnnounced(b *testing.B) {
	f, exchange, _ := newFilter(b, "1MiB")
	ex := exchange(httptest.NewRequest("POST", "/", strings.NewReader("body")))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = f.Request(ex), f.Response(ex)
	}
}

func BenchmarkCounted(b *testing.B) {
	f, exchange, _ := newFilter(b, "1MiB")
	data := make([]byte, 256<<10)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		ex := exchange(&http.Request{Method: "POST", ContentLength: -1, Body: io.NopCloser(bytes.NewReader(data))})
		_ = f.Request(ex)
		_, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{ex.Request.Body}, make([]byte, 32<<10))
	}
}
