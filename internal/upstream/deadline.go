package upstream

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
)

// Fields that say how much time there is. The one of gRPC is relative and counts from when the request is sent; ours is a time, which stays right while
// a request waits somewhere, and can be passed on as it is.
const (
	grpcTimeout     = "Grpc-Timeout"
	requestDeadline = "X-Request-Deadline"
	deadlineFormat  = "2006-01-02T15:04:05.000Z07:00" // RFC 3339, with milliseconds
)

// setDeadline sets when the whole request must be done: by the settings, and by what the client says, which can only shorten the time.
func (x *call) setDeadline() {
	c := x.cluster
	if d := c.config.Timeout.Request; d > 0 {
		x.limit, x.late = time.Now().Add(time.Duration(d)), errRequestTimeout
	}
	if !c.config.Timeout.Propagate {
		return
	}
	x.grpc = isGRPC(x.out.Header)
	if until, ok := x.clientDeadline(); ok && (x.limit.IsZero() || until.Before(x.limit)) {
		x.limit, x.late = until, errClientDeadline
	}
}

// isGRPC says whether a request is by gRPC.
func isGRPC(h http.Header) bool {
	v := h["Content-Type"]
	return len(v) == 1 && strings.HasPrefix(v[0], "application/grpc")
}

// clientDeadline is the deadline that came with the request. What cannot be read is as if it had not been there, and is not passed on.
func (x *call) clientDeadline() (until time.Time, ok bool) {
	name := requestDeadline
	if x.grpc {
		name = grpcTimeout
	}
	v, there := x.out.Header[name]
	if !there {
		return until, false
	}
	switch {
	case len(v) != 1:
	case x.grpc:
		var left time.Duration
		if left, ok = parseGRPCTimeout(v[0]); ok {
			if until = x.ex.Start; until.IsZero() {
				until = time.Now()
			}
			until = until.Add(left)
		}
	default:
		until, ok = parseDeadline(v[0])
	}
	if !ok {
		delete(x.out.Header, name)
	}
	return until, ok
}

// parseDeadline reads a time as RFC 3339 writes it. It is never the zero time, which is no limit.
func parseDeadline(text string) (until time.Time, ok bool) {
	until, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil || until.UTC().Year() > 9999: // RFC 3339 has no such year
		return time.Time{}, false
	case until.IsZero():
		return until.Add(1), true
	}
	return until, true
}

// passDeadline tells the endpoint how much time is left now.
func (x *call) passDeadline() {
	if !x.cluster.config.Timeout.Propagate {
		return
	}
	end := x.limit
	if other, ok := x.ctx.Deadline(); ok && (end.IsZero() || other.Before(end)) {
		end = other
	}
	switch {
	case end.IsZero():
	case x.grpc:
		x.until = end
		x.out.Header[grpcTimeout] = []string{formatGRPCTimeout(time.Until(end))}
	default:
		x.until = end.Truncate(time.Millisecond)
		x.out.Header[requestDeadline] = []string{end.UTC().Format(deadlineFormat)}
	}
}

// overdue has a reset count as out of time where the endpoint's time was over: it gave up by itself, a moment before the gateway did.
func (x *call) overdue(f *failure) {
	if f.reason != reasonReset || x.until.IsZero() || time.Now().Before(x.until) {
		return
	}
	f.err, f.reason, f.blame = reject(filter.UpstreamTimeout, errors.Join(x.late, f.err.Cause)), "", x.late != errClientDeadline
}

// parseGRPCTimeout reads a timeout as gRPC writes it: at most eight digits and a unit.
func parseGRPCTimeout(text string) (time.Duration, bool) {
	if len(text) < 2 || len(text) > 9 {
		return 0, false
	}
	units := [...]time.Duration{time.Hour, time.Minute, time.Second, time.Millisecond, time.Microsecond, time.Nanosecond}
	i := strings.IndexByte("HMSmun", text[len(text)-1])
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if i < 0 || err != nil {
		return 0, false
	}
	unit := units[i]
	if n > uint64(maxTimeout/unit) {
		return maxTimeout, true
	}
	return time.Duration(n) * unit, true
}

// maxTimeout is the longest time that is told apart from others.
const maxTimeout = 10 * 365 * 24 * time.Hour

// formatGRPCTimeout writes a timeout as gRPC reads it. It is never shorter, so that a service does not give up before the gateway does.
func formatGRPCTimeout(left time.Duration) string {
	if ms := max(1, (left + time.Millisecond - 1).Milliseconds()); ms < 1e8 {
		return strconv.FormatInt(ms, 10) + "m"
	}
	return strconv.FormatInt(min(int64(left/time.Second), 1e8-1), 10) + "S"
}
