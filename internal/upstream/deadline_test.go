package upstream

import (
	"context"
	"net/http"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// told is what an endpoint was told of deadlines.
type told struct{ grpc, deadline []string }

// asks sends a request with header fields, in a time, and returns what the endpoint was told.
func asks(t *testing.T, change func(*config.Upstream), within time.Duration, fields ...string) (told, result) {
	t.Helper()
	seen := make(chan told, 10)
	b := newBackend(t, func(_ http.ResponseWriter, r *http.Request) {
		seen <- told{r.Header[grpcTimeout], r.Header[requestDeadline]}
	})
	c := newCluster(t, change, b.URL)
	req := get()
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	if within > 0 {
		ctx, cancel := context.WithTimeout(req.Context(), within)
		defer cancel()
		req = req.WithContext(ctx)
	}
	r := do(c, req)
	if b.hits.Load() == 0 {
		return told{}, r
	}
	return <-seen, r
}

const grpcType = "application/grpc+proto"

func TestDeadlinesArePassedOn(t *testing.T) {
	tenSeconds := func(u *config.Upstream) { u.Timeout.Request = config.Duration(10 * time.Second) }
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(deadlineFormat) }
	for _, c := range []struct {
		name   string
		change func(*config.Upstream)
		within time.Duration
		fields []string
		grpc   bool
		want   time.Duration // at most that is left; 0: nothing is said
	}{
		{"nothing", nil, 0, nil, false, 0},
		{"nothing by gRPC", nil, 0, []string{"Content-Type", grpcType}, true, 0},
		{"timeout.request", tenSeconds, 0, nil, false, 10 * time.Second},
		{"timeout.request by gRPC", tenSeconds, 0, []string{"Content-Type", grpcType}, true, 10 * time.Second},
		{"the policy timeout", nil, 7 * time.Second, nil, false, 7 * time.Second},
		{"the sooner of both", tenSeconds, 7 * time.Second, []string{"Content-Type", grpcType}, true, 7 * time.Second},
		{"the client's", nil, 0, []string{requestDeadline, in(8 * time.Second)}, false, 8 * time.Second},
		{"the client's, sooner", tenSeconds, 0, []string{requestDeadline, in(8 * time.Second)}, false, 8 * time.Second},
		{"the client's, later", tenSeconds, 0, []string{requestDeadline, in(time.Hour)}, false, 10 * time.Second},
		{"the client's by gRPC", tenSeconds, 0, []string{"Content-Type", grpcType, grpcTimeout, "8S"}, true, 8 * time.Second},
		{"the client's by gRPC, later", tenSeconds, 0, []string{"Content-Type", grpcType, grpcTimeout, "99999999H"}, true, 10 * time.Second},
		{"what cannot be read", nil, 0, []string{requestDeadline, "tomorrow"}, false, 0},
		{"what cannot be read, with a timeout", tenSeconds, 0, []string{requestDeadline, "1764171234"}, false, 10 * time.Second},
		{"a year that cannot be passed on", nil, 0, []string{requestDeadline, "9999-12-31T23:59:59-23:59"}, false, 0},
		{"two of them", nil, 0, []string{requestDeadline, in(8 * time.Second), requestDeadline, in(9 * time.Second)}, false, 0},
		{"what cannot be read by gRPC", nil, 0, []string{"Content-Type", grpcType, grpcTimeout, "123456789m"}, true, 0},
		{"off", func(u *config.Upstream) { tenSeconds(u); u.Timeout.Propagate = false }, 0, nil, false, 0},
	} {
		got, r := asks(t, c.change, c.within, c.fields...)
		if r.Status != 200 {
			t.Errorf("%s: %+v", c.name, r)
			continue
		}
		value := got.deadline
		if c.grpc {
			value = got.grpc
		}
		if c.want == 0 {
			if len(got.deadline)+len(got.grpc) > 0 {
				t.Errorf("%s: %+v", c.name, got)
			}
			continue
		}
		if len(value) != 1 {
			t.Errorf("%s: %+v", c.name, got)
			continue
		}
		var left time.Duration
		if c.grpc {
			left, _ = parseGRPCTimeout(value[0])
		} else if at, err := time.Parse(time.RFC3339, value[0]); err == nil {
			left = time.Until(at)
		}
		if left > c.want || left < c.want/2 {
			t.Errorf("%s: %v are left by %q, want a little less than %v", c.name, left, value[0], c.want)
		}
	}
}

func TestOffLeavesFieldsAlone(t *testing.T) {
	got, r := asks(t, func(u *config.Upstream) { u.Timeout.Propagate = false }, 0, requestDeadline, "2001-01-01T00:00:00Z", grpcTimeout, "1n")
	if r.Status != 200 || len(got.deadline) != 1 || got.deadline[0] != "2001-01-01T00:00:00Z" || got.grpc[0] != "1n" {
		t.Errorf("%+v, %+v", got, r)
	}
}

// A request whose time is over already is not sent.
func TestTooLateToSend(t *testing.T) {
	for _, fields := range [][]string{
		{requestDeadline, "2001-01-01T00:00:00Z"},
		{requestDeadline, "0001-01-01T00:00:00Z"}, // which is what Go takes for no time at all
		{requestDeadline, "0001-01-01T01:00:00+01:00"},
		{requestDeadline, "0000-01-01T00:00:00Z"},
		{"Content-Type", grpcType, grpcTimeout, "0n"},
	} {
		got, r := asks(t, func(u *config.Upstream) { u.Limits.Requests = 1 }, 0, fields...)
		if r != (result{Code: filter.UpstreamTimeout}) || got.grpc != nil || got.deadline != nil {
			t.Errorf("%v: %+v, %+v", fields, r, got)
		}
	}
}

// Clients cannot have endpoints ejected, open the breaker or lower the limit by asking for less time than answers take.
func TestDeadlinesOfClientsBlameNobody(t *testing.T) {
	a := newBackend(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	b := newBackend(t, says(200, "well"))
	c := newCluster(t, func(u *config.Upstream) {
		u.Eject.Consecutive = 1
		u.Retry.Off = true
		u.Breaker = new(config.Breaker)
		u.Breaker.Default()
		u.Breaker.MinRequests = 1
		u.Limits.Adaptive = &config.AdaptiveLimit{Min: 1, Start: 20}
	}, a.URL, b.URL)
	late := 0
	for range 60 {
		req := get()
		req.Header.Set("Content-Type", grpcType)
		req.Header.Set(grpcTimeout, "5m")
		if r := do(c, req); r.Code == filter.UpstreamTimeout {
			late++
		}
	}
	s := c.Status()
	if e := endpointOf(s, a); late == 0 || e.Failures != 0 || e.EjectedUntil != nil || s.Breaker.State != "closed" || s.Limit.Requests < 20 {
		t.Errorf("after %d that were late: %+v, %+v, %+v", late, e, s.Breaker, s.Limit)
	}
}

// Each try is told what is left then.
func TestRetriesAreToldAnew(t *testing.T) {
	var seen []time.Duration
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		left, _ := parseGRPCTimeout(r.Header.Get(grpcTimeout))
		seen = append(seen, left)
		w.WriteHeader(503)
	})
	c := newCluster(t, func(u *config.Upstream) {
		u.Timeout.Request, u.Retry.Times = config.Duration(10*time.Second), 1
		u.Retry.Backoff, u.Retry.MaxBackoff = config.Duration(40*time.Millisecond), config.Duration(40*time.Millisecond)
	}, b.URL)
	req := get()
	req.Header.Set("Content-Type", grpcType)
	do(c, req)
	if len(seen) != 2 || seen[0] <= 0 || seen[0]-seen[1] < 20*time.Millisecond {
		t.Errorf("they were told %v", seen)
	}
}

// Who waits in line no longer than its time is over leaves it then.
func TestDeadlineInLine(t *testing.T) {
	free := make(chan struct{})
	b := newBackend(t, func(http.ResponseWriter, *http.Request) { <-free })
	c := newCluster(t, func(u *config.Upstream) { u.Limits.Requests, u.Limits.Pending, u.Limits.PendingWait = 1, 1, 0 }, b.URL)
	first := make(chan result)
	go func() { first <- do(c, get()) }()
	waitFor(t, func() bool { return b.hits.Load() == 1 })
	req := get()
	req.Header.Set(requestDeadline, time.Now().Add(30*time.Millisecond).UTC().Format(deadlineFormat))
	if r := do(c, req); r != (result{Code: filter.UpstreamTimeout}) {
		t.Errorf("%+v", r)
	}
	close(free)
	if r := <-first; r.Status != 200 {
		t.Errorf("the one before: %+v", r)
	}
	idle(t, c)
}

func TestGRPCTimeouts(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1H": time.Hour, "2M": 2 * time.Minute, "3S": 3 * time.Second, "4m": 4 * time.Millisecond, "5u": 5 * time.Microsecond, "6n": 6, "00000007n": 7,
		"0S": 0, "99999999H": maxTimeout,
	} {
		if got, ok := parseGRPCTimeout(text); !ok || got != want {
			t.Errorf("%q is %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "1", "S", "-1S", "+1S", "1 S", "1s", "100000000S", "1.5S", "0x1S", "1_0S"} {
		if got, ok := parseGRPCTimeout(text); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "1m", time.Microsecond: "1m", 1500 * time.Millisecond: "1500m", 48 * time.Hour: "172800S", maxTimeout * 20: "99999999S"} {
		if got := formatGRPCTimeout(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func FuzzGRPCTimeout(f *testing.F) {
	f.Add("1S")
	f.Add("99999999H")
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := parseGRPCTimeout(text)
		if d < 0 || !ok && d != 0 {
			t.Errorf("%q is %v, %v", text, d, ok)
		}
		if back, again := parseGRPCTimeout(formatGRPCTimeout(d)); !again || back < d && d < 1e8*time.Millisecond || back > d+time.Millisecond && d < 1e8*time.Millisecond {
			t.Errorf("%q is %v, which is written as %v", text, d, back)
		}
	})
}

// TestServicesThatGiveUpInTime break off when the time is over that they were told: that is no failure but a timeout.
func TestServicesThatGiveUpInTime(t *testing.T) {
	for name, fields := range map[string][]string{"gRPC": {"Content-Type", grpcType, grpcTimeout, "50m"}, "others": {requestDeadline, ""}} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, func(_ http.ResponseWriter, r *http.Request) {
				left, ok := parseGRPCTimeout(r.Header.Get(grpcTimeout))
				if until, says := parseDeadline(r.Header.Get(requestDeadline)); says {
					left, ok = time.Until(until), true
				}
				if ok {
					time.Sleep(left)
				}
				panic(http.ErrAbortHandler)
			})
			c := newCluster(t, nil, b.URL)
			for range 5 {
				req := get()
				for i := 0; i < len(fields); i += 2 {
					value := fields[i+1]
					if value == "" {
						value = time.Now().Add(50 * time.Millisecond).UTC().Format(deadlineFormat)
					}
					req.Header.Set(fields[i], value)
				}
				if r := do(c, req); r.Code != filter.UpstreamTimeout || r.Tries != 1 {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}
