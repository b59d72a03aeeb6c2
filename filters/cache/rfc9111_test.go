package cache

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// TestIncompleteIsNotStored: what broke off, or is a part, answers nobody else (RFC 9111, sections 3.3 and 3.4).
func TestIncompleteIsNotStored(t *testing.T) {
	cut := func(length int64, err error) func(int64) *http.Response {
		return func(n int64) *http.Response {
			resp := respond(200, "", ten, `Etag: "1"`)
			resp.ContentLength, resp.Body = length, io.NopCloser(io.MultiReader(strings.NewReader(fmt.Sprint(n)), iotest.ErrReader(err)))
			return resp
		}
	}
	for name, answer := range map[string]func(n int64) *http.Response{
		"broken off":                    cut(9, errors.New("connection reset by peer")),
		"broken off, of any length":     cut(-1, io.ErrUnexpectedEOF),
		"shorter than it says":          cut(9, io.EOF),
		"a part":                        func(n int64) *http.Response { return respond(206, fmt.Sprint(n), ten, "Content-Range: bytes 0-0/9") },
		"a part that is said to be all": func(n int64) *http.Response { return respond(200, fmt.Sprint(n), ten, "Content-Range: bytes 0-0/9") },
	} {
		in(t, name, "{}", func(n int64, r *http.Request) (*http.Response, error) {
			if r.Header["If-None-Match"] != nil {
				t.Errorf("%s: it is validated", name)
			}
			return answer(n), nil
		}, func(p *route) {
			for _, said := range []string{"X-No: 1", "Range: bytes=0-0", "X-No: 1"} {
				ex := p.exchange("GET", "/x", said)
				if got := p.run(ex); !strings.HasPrefix(got, "miss ") {
					p.t.Errorf("%s: %s", said, got)
				}
			}
			p.get("miss not_cached", "/x", "Cache-Control: only-if-cached")
		})
	}
}

// TestUnsafeIsWrittenThrough: requests that may change something reach the service each time, whatever is stored (RFC 9111, section 4).
func TestUnsafeIsWrittenThrough(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "PURGE"} {
		in(t, method, "{ttl: 1h, override: true}", numbered(ten), func(p *route) {
			p.get("miss 200 1", "/x")
			for i := range int64(3) {
				if got := p.run(p.exchange(method, "/x")); got != "bypass alone" || p.asked.Load() != i+2 {
					p.t.Errorf("%s: asked %d times", got, p.asked.Load())
				}
			}
			p.get("miss 200 5", "/x")
		})
	}
}

// byTurn answers the n-th request with a Vary.
func byTurn(varies ...string) func(int64, *http.Request) (*http.Response, error) {
	return func(n int64, _ *http.Request) (*http.Response, error) {
		fields := []string{ten}
		if vary := varies[n-1]; vary != "" {
			fields = append(fields, "Vary: "+vary)
		}
		return respond(200, fmt.Sprint(n), fields...), nil
	}
}

// TestMostRecentIsUsed of several responses that suit a request (RFC 9111, section 4).
func TestMostRecentIsUsed(t *testing.T) {
	in(t, "by other fields", "{}", byTurn("X-A", "X-B"), func(p *route) {
		p.get("miss 200 1", "/x", "X-A: 1", "X-B: 1")
		p.get("miss 200 2", "/x", "X-A: 2", "X-B: 1")
		p.get("hit 200 2", "/x", "X-A: 1", "X-B: 1") // both suit
		p.get("hit 200 1", "/x", "X-A: 1", "X-B: 2") // the older one alone does
	})
	in(t, "by the same field", "{}", byTurn("X-A", "X-A"), func(p *route) {
		p.get("miss 200 1", "/x", "X-A: 1")
		p.get("miss 200 2", "/x", "X-A: 1", "Cache-Control: no-cache")
		p.get("hit 200 2", "/x", "X-A: 1")
	})
}

// TestVaryAfterNone: once a response says by which fields responses differ, one that said none is not used any more (RFC 9111, section 4.1).
func TestVaryAfterNone(t *testing.T) {
	in(t, "none first", "{}", byTurn("", "X-A", "X-A"), func(p *route) {
		p.get("miss 200 1", "/x", "X-A: 1")
		p.get("miss 200 2", "/x", "X-A: 1", "Cache-Control: no-cache")
		p.get("hit 200 2", "/x", "X-A: 1")
		p.get("miss 200 3", "/x", "X-A: 2")
	})
	in(t, "none then", "{}", byTurn("X-A", ""), func(p *route) {
		p.get("miss 200 1", "/x", "X-A: 1")
		p.get("miss 200 2", "/x", "X-A: 2")
		p.get("hit 200 2", "/x", "X-A: 3")
	})
}

// TestConditionsAfterValidation: a client's conditions are about what the client has, those of the validation about what is stored (RFC 9111, section 4.3.2).
func TestConditionsAfterValidation(t *testing.T) {
	const modified, later = "Thu, 01 Jan 2015 00:00:00 GMT", "Fri, 02 Jan 2015 00:00:00 GMT"
	for _, c := range []struct{ said, want string }{
		{"X-No: 1", "revalidated 200 text"},
		{`If-None-Match: "old"`, "revalidated 200 text"},
		{`If-None-Match: "1"`, "revalidated 304 "},
		{`If-None-Match: "old", W/"1"`, "revalidated 304 "},
		{"If-None-Match: *", "revalidated 304 "},
		{"If-Modified-Since: " + modified, "revalidated 304 "},
		{"If-Modified-Since: " + later, "revalidated 304 "},
		{"If-Modified-Since: Wed, 31 Dec 2014 00:00:00 GMT", "revalidated 200 text"},
		{"Range: bytes=1-2", "revalidated 206 ex"},
	} {
		in(t, c.said, "{}", func(n int64, r *http.Request) (*http.Response, error) {
			if n == 1 {
				return respond(200, "text", ten, `Etag: "1"`, "Last-Modified: "+modified), nil
			}
			if got := r.Header.Get("If-None-Match") + r.Header.Get("If-Modified-Since") + r.Header.Get("Range"); got != `"1"`+modified {
				t.Errorf("%s: the service is asked with %s", c.said, got)
			}
			return respond(304, "", ten, `Etag: "1"`), nil
		}, func(p *route) {
			p.get("miss 200 text", "/x")
			pause(11)
			p.get(c.want, "/x", c.said)
		})
	}
}

// TestWholeAnswerReplacesWhatIsStored: a validation that is answered with another response gives that one, to this client and those after it (RFC 9111, section 4.3.3).
func TestWholeAnswerReplacesWhatIsStored(t *testing.T) {
	for _, c := range []struct {
		name, want, after string
		status            int
		fields            []string
	}{
		{"another one", "miss 200 2", "hit 200 2", 200, []string{ten, `Etag: "2"`}},
		{"without a tag", "miss 200 2", "hit 200 2", 200, []string{ten}},
		{"gone", "miss 410 2", "hit 410 2", 410, []string{ten}},
		{"not to be stored", "miss 200 2", "miss 200 3", 200, []string{"Cache-Control: no-store"}},
		{"forbidden", "miss 403 2", "miss 403 3", 403, nil},
	} {
		in(t, c.name, "{}", func(n int64, r *http.Request) (*http.Response, error) {
			switch {
			case n == 1:
				return respond(200, "1", ten, `Etag: "1"`), nil
			case n == 2 && r.Header.Get("If-None-Match") != `"1"`:
				t.Errorf("%s: it is not validated", c.name)
			}
			return respond(c.status, fmt.Sprint(n), c.fields...), nil
		}, func(p *route) {
			p.get("miss 200 1", "/x")
			pause(11)
			p.get(c.want, "/x")
			pause(1)
			if strings.HasPrefix(c.after, "miss") {
				pause(10) // for so long all ask for themselves
			}
			if got := p.run(p.exchange("GET", "/x")); got != c.after {
				p.t.Errorf("%s: then %s, wanted %s", c.name, got, c.after)
			}
		})
	}
}
