package ratelimit

import (
	"net/http"
	"strconv"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/limit"
)

// The older fields, as http.Header has them.
const (
	legacyLimit    = "X-Ratelimit-Limit"
	legacyLeft     = "X-Ratelimit-Remaining"
	legacyReset    = "X-Ratelimit-Reset"
	fieldsEstimate = 64 // bytes of one limit in RateLimit
)

// fields says which fields tell clients what is left.
type fields struct{ draft, legacy bool }

func newFields(headers string) fields {
	return fields{draft: headers == "draft" || headers == "both", legacy: headers == "legacy" || headers == "both"}
}

// policies is RateLimit-Policy for groups, or nil where there are none. It is shared by all answers.
func (f fields) policies(all ...[]*group) []string {
	var b []byte
	for _, groups := range all {
		for _, g := range groups {
			for i := range g.limits {
				l := &g.limits[i]
				b = limit.AppendPolicy(b, l.name, l.rule.Count, g.cost.OfBytes(), l.rule.Per)
			}
		}
	}
	if len(b) == 0 {
		return nil
	}
	return []string{string(b)}
}

// write adds the fields to the answer. RateLimit fields of the service's own stay, as those of further limits; X-RateLimit fields, of which
// there can be one each, are replaced.
func (f fields) write(ex *filter.Exchange, s *state) {
	if ex.Response == nil || len(s.taken) == 0 {
		return
	}
	if ex.Response.Header == nil {
		ex.Response.Header = http.Header{}
	}
	h := ex.Response.Header
	if f.draft {
		var buffer [2 * fieldsEstimate]byte
		b := buffer[:0]
		for i := range s.taken {
			t := &s.taken[i]
			b = limit.AppendLeft(b, t.group.limits[t.decision.Rule].name, t.decision.Remaining, t.decision.Reset)
		}
		limit.AddField(h, limit.LeftField, []string{string(b)})
		limit.AddField(h, limit.PolicyField, s.plan.policyField)
	}
	if f.legacy {
		t := least(s.taken)
		h[legacyLimit] = []string{strconv.FormatInt(t.group.limits[t.decision.Rule].rule.Most(), 10)}
		h[legacyLeft] = []string{strconv.FormatInt(t.decision.Remaining, 10)}
		h[legacyReset] = []string{strconv.FormatInt(limit.Seconds(t.decision.Reset), 10)}
	}
}

// least is the one that has the least left.
func least(all []taken) *taken {
	found := &all[0]
	for i := range all {
		if all[i].decision.Remaining < found.decision.Remaining {
			found = &all[i]
		}
	}
	return found
}
