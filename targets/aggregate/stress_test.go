package aggregate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
)

// countedBody is an answer that is counted while it is open.
type countedBody struct {
	io.Reader
	ctx  context.Context
	open *atomic.Int64
	done atomic.Bool
}

func (b *countedBody) Read(p []byte) (int, error) {
	if err := context.Cause(b.ctx); err != nil {
		return 0, err
	}
	return b.Reader.Read(p)
}

func (b *countedBody) Close() error {
	if !b.done.Swap(true) {
		b.open.Add(-1)
	}
	return nil
}

// TestClientsLeaveAtAnyMoment: whatever is under way, all has ended when the body is closed, and all memory is accounted for.
func TestClientsLeaveAtAnyMoment(t *testing.T) {
	var open atomic.Int64
	long := `["` + strings.Repeat("x", 150_000) + `"]`
	answer := func(_ *filter.Exchange, r *http.Request) (*http.Response, error) {
		if err := context.Cause(r.Context()); err != nil {
			return nil, err
		}
		text, status := `{"id": 1, "list": [1, 2, 3, 1, 2, 3]}`, 200
		switch {
		case strings.HasPrefix(r.URL.Path, "/bad"):
			status = 500
		case strings.HasPrefix(r.URL.Path, "/long"):
			text = long
		case strings.HasPrefix(r.URL.Path, "/wrong"):
			text = `{"id": 1`
		case strings.HasPrefix(r.URL.Path, "/cut"):
			text = long[:120_000]
		}
		open.Add(1)
		h := http.Header{"Content-Type": {"application/json"}}
		return &http.Response{StatusCode: status, ContentLength: -1, Header: h, Body: &countedBody{Reader: strings.NewReader(text), ctx: r.Context(), open: &open}}, nil
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	calls := `a: users, b: orders/long, c: {call: users/bad, optional: true}, d: {each: a.list, call: "users/{item}", optional: true}, e: {each: a.list, call: "users/bad/{item}", optional: true},
		f: {call: users/long, optional: true}, g: {call: "users/cut?{a.id}", optional: true}, h: {call: users/wrong, optional: true, default: [1]}, i: {call: users/long, pick: [x], optional: true}, j: {call: users/k, hide: true, optional: true}`
	for _, settings := range []string{
		"", "format: ndjson", "format: sse", "format: multipart", "begin: first", "begin: all", "errors: true", `compose: '{a: .a}'`, "parallel: 1", "max_memory: 300KiB", "z: users/bad, format: ndjson", "z: users/bad, begin: first",
	} {
		text := "{" + calls
		if settings != "" {
			text += ", " + settings
		}
		a, env, err := made(t, text+"}", answer)
		if err != nil {
			t.Fatal(settings, err)
		}
		for range 20 {
			ctx, cancel := context.WithCancelCause(t.Context())
			method := []string{"GET", "GET", "GET", "HEAD"}[rng.IntN(4)]
			r, _ := http.NewRequestWithContext(ctx, method, "http://gateway/home", nil)
			if rng.IntN(4) == 0 {
				r.Header.Set("If-None-Match", "*")
			}
			ex := &filter.Exchange{Request: r, Route: env.Route, ID: "1", Start: time.Now()}
			ex.Prepare(env.Slots())
			when := rng.IntN(8)
			if when == 0 {
				cancel(errors.New("left"))
			}
			if when == 1 {
				go cancel(errors.New("left"))
			}
			resp, err := a.Serve(ex)
			run := a.at.Get(ex).run
			if err == nil {
				switch when {
				case 2:
				case 3:
					go cancel(errors.New("left"))
					_, _ = io.Copy(io.Discard, resp.Body)
				case 4:
					_, _ = io.CopyN(io.Discard, resp.Body, int64(rng.IntN(400_000)))
				default:
					_, _ = io.Copy(io.Discard, resp.Body)
				}
				if err := resp.Body.Close(); err != nil {
					t.Error(err)
				}
				for name := range resp.Trailer {
					_ = fmt.Sprint(resp.Trailer[name])
				}
			}
			select {
			case <-run.over:
			default:
				t.Fatalf("%s: calls are under way (seed %d)", settings, seed)
			}
			if n := open.Load(); n != 0 {
				t.Fatalf("%s: %d answers are open (seed %d, %d)", settings, n, seed, when)
			}
			if left := run.memory.left.Load(); left < 0 || left > a.maxMemory {
				t.Fatalf("%s: %d bytes left of %d (seed %d)", settings, left, a.maxMemory, seed)
			}
			if len(ex.Calls) != len(a.steps) {
				t.Fatalf("%s: %d calls are told of", settings, len(ex.Calls))
			}
			for i := range ex.Calls {
				if c := &ex.Calls[i]; c.Outcome == "" || c.End < c.Begin {
					t.Fatalf("%s: %+v", settings, c)
				}
			}
			cancel(nil)
		}
	}
}
