package quota

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"cardea.dev/cardea/internal/quota"
)

// headerTexts are the parts of fields that are the same for all answers.
type headerTexts struct {
	item string // the quota's name
	unit string
}

func newHeaderTexts(name string, bytes bool) *headerTexts {
	h := &headerTexts{item: `"` + name + `"`}
	if bytes {
		h.unit = `;qu="content-bytes"`
	}
	return h
}

// tell adds to the fields RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10), which are lists: what is there stays. Where usage
// is near the quota there is a Quota-Warning, too.
func (p *policy) tell(h http.Header, v *visit) {
	now := p.now()
	for i := range v.asks {
		q, r := &v.asks[i], v.rules[i]
		if q.Amount == quota.Unlimited {
			continue
		}
		left, reset := max(0, q.Amount-q.Used), q.Reset
		if left == 0 && !q.Retry.IsZero() {
			reset = q.Retry
		}
		var room [96]byte
		if p.headers {
			b := append(room[:0], r.header.item...)
			b = strconv.AppendInt(append(b, ";q="...), q.Amount, 10)
			b = append(b, r.header.unit...)
			b = strconv.AppendInt(append(b, ";w="...), int64(r.window(q)/time.Second), 10)
			add(h, "Ratelimit-Policy", b)
			b = append(room[:0], r.header.item...)
			b = strconv.AppendInt(append(b, ";r="...), left, 10)
			b = strconv.AppendInt(append(b, ";t="...), seconds(reset.Sub(now)), 10)
			add(h, "Ratelimit", b)
		}
		if p.warnAt > 0 && q.Used >= p.threshold(q) {
			b := append(room[:0], r.header.item...)
			b = strconv.AppendInt(append(b, ";used="...), q.Used, 10)
			b = strconv.AppendInt(append(b, ";limit="...), q.Amount, 10)
			b = strconv.AppendInt(append(b, ";t="...), seconds(reset.Sub(now)), 10)
			add(h, "Quota-Warning", b)
		}
	}
}

// add adds a member to a list, in memory of its own: what is there may be a part of something longer.
func add(h http.Header, name string, value []byte) {
	own := h[name]
	h[name] = append(own[:len(own):len(own)], string(value))
}

// window is how long the period is.
func (r *rule) window(q *quota.Ask) time.Duration {
	if r.period.Unit == "" {
		return r.period.Rolling
	}
	return q.Span.End.Sub(q.Span.Start)
}

// threshold is the usage from which on there are warnings.
func (p *policy) threshold(q *quota.Ask) int64 {
	if q.Amount == quota.Unlimited {
		return math.MaxInt64
	}
	return max(1, int64(math.Ceil(float64(q.Amount)*p.warnAt)))
}

// seconds is a time in whole seconds, rounded up: who waits so long does not come too early.
func seconds(d time.Duration) int64 { return max(0, int64((d+time.Second-1)/time.Second)) }
