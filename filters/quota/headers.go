package quota

import (
	"math"
	"net/http"
	"time"

	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/quota"
)

const (
	warningField   = "Quota-Warning"
	fieldsEstimate = 64 // bytes of one quota in a field
)

// tell adds to the fields RateLimit-Policy and RateLimit. Where usage is near the quota there is a Quota-Warning, too.
func (p *policy) tell(h http.Header, v *visit) {
	now := p.now()
	var rooms [3][2 * fieldsEstimate]byte
	policies, left, warnings := rooms[0][:0], rooms[1][:0], rooms[2][:0]
	for i := range v.asks {
		q, r := &v.asks[i], v.rules[i]
		if q.Amount == quota.Unlimited {
			continue
		}
		rest, reset := max(0, q.Amount-q.Used), q.Reset
		if rest == 0 && !q.Retry.IsZero() {
			reset = q.Retry
		}
		if p.headers {
			policies = limit.AppendPolicy(policies, r.name, q.Amount, r.bytes, r.window(q))
			left = limit.AppendLeft(left, r.name, rest, reset.Sub(now))
		}
		if p.warnAt > 0 && q.Used >= p.threshold(q) {
			warnings = limit.AppendParameter(limit.AppendMember(warnings, r.name), "used", q.Used)
			warnings = limit.AppendParameter(warnings, "limit", q.Amount)
			warnings = limit.AppendParameter(warnings, "t", limit.Seconds(reset.Sub(now)))
		}
	}
	add(h, limit.PolicyField, policies)
	add(h, limit.LeftField, left)
	add(h, warningField, warnings)
}

func add(h http.Header, name string, members []byte) {
	if len(members) > 0 {
		limit.AddField(h, name, []string{string(members)})
	}
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
