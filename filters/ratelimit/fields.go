package ratelimit

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
)

// The fields, as http.Header has them.
const (
	policyField    = "Ratelimit-Policy"
	leftField      = "Ratelimit"
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
	var items []string
	for _, groups := range all {
		for _, g := range groups {
			for i := range g.limits {
				items = append(items, g.policyItem(&g.limits[i]))
			}
		}
	}
	if len(items) == 0 {
		return nil
	}
	return []string{strings.Join(items, ", ")}
}

// policyItem describes a limit. A window is told in whole seconds; where it is shorter than one it is left out.
func (g *group) policyItem(l *shown) string {
	item := fmt.Sprintf(`"%s";q=%d`, l.name, l.rule.Count)
	if g.cost.OfBytes() {
		item += `;qu="content-bytes"`
	}
	if l.rule.Per >= time.Second {
		item += fmt.Sprintf(";w=%d", seconds(l.rule.Per))
	}
	return item
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
			b = s.taken[i].appendLeft(b)
		}
		add(h, leftField, []string{string(b)})
		add(h, policyField, s.plan.policyField)
	}
	if f.legacy {
		t := least(s.taken)
		h[legacyLimit] = []string{strconv.FormatInt(t.group.limits[t.decision.Rule].rule.Most(), 10)}
		h[legacyLeft] = []string{strconv.FormatInt(t.decision.Remaining, 10)}
		h[legacyReset] = []string{strconv.FormatInt(seconds(t.decision.Reset), 10)}
	}
}

// add adds values to a field. The slice is not changed afterwards by who appends to it: it has no room.
func add(h http.Header, name string, values []string) {
	if own := h[name]; len(own) > 0 {
		values = append(own[:len(own):len(own)], values...)
	}
	h[name] = values[:len(values):len(values)]
}

// appendLeft appends a member of RateLimit: how much is left, and in how many seconds all will be.
func (t *taken) appendLeft(b []byte) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = append(b, '"')
	b = append(b, t.group.limits[t.decision.Rule].name...)
	b = append(b, `";r=`...)
	b = strconv.AppendInt(b, t.decision.Remaining, 10)
	b = append(b, ";t="...)
	return strconv.AppendInt(b, seconds(t.decision.Reset), 10)
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

// seconds rounds up to whole seconds. It is at least 1 for what is above 0.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
