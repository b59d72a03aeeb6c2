package cors

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cacheable"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("cors", filter.Guard, build) }

// grant is what the answer to one exchange says of CORS. A nil one says nothing.
type grant struct {
	origin    []string // Access-Control-Allow-Origin
	preflight bool     // the answer is that to a preflight, and complete
}

// cors is the policy, with its fields ready to be set.
type cors struct {
	everyone *grant // set when all origins are allowed
	exact    map[string]*grant
	patterns []pattern // those with wildcards

	methods, headers list
	expose, maxAge   []string
	credentials      bool
	privateNetwork   bool
	enforce          bool

	granted                      filter.Slot[grant]
	preflights, allowed, refused prometheus.Counter
}

// answered marks exchanges whose preflight was looked at.
var answered = &grant{preflight: true}

// request answers preflights, refuses what it may refuse, and notes what the answer will say.
func (c *cors) request(ex *filter.Exchange) error {
	origin := ex.Request.Header["Origin"]
	if len(origin) == 0 {
		return nil
	}
	if method := preflightMethod(ex.Request); method != "" {
		c.granted.Set(ex, answered)
		return c.answer(ex, method)
	}
	if g := c.find(origin); g != nil {
		c.allowed.Inc()
		c.granted.Set(ex, g)
		return nil
	}
	if sameOrigin(ex, origin) {
		return nil
	}
	c.refused.Inc()
	if c.enforce {
		return filter.Reject(filter.CORSRejected, "Requests from pages of this origin are not allowed here.")
	}
	return nil
}

// find returns what an origin is granted, or nil. More than one Origin is none that a browser sent.
func (c *cors) find(origin []string) *grant {
	if len(origin) != 1 {
		return nil
	}
	if c.everyone != nil {
		return c.everyone
	}
	if g := c.exact[origin[0]]; g != nil {
		return g
	}
	for i := range c.patterns {
		if c.patterns[i].matches(origin[0]) {
			return &grant{origin: []string{origin[0]}}
		}
	}
	return nil
}

// sameOrigin says whether a page calls the host that it came from.
func sameOrigin(ex *filter.Exchange, origin []string) bool {
	scheme := ex.Original.Scheme + "://"
	host, found := strings.CutPrefix(origin[0], scheme)
	return found && len(origin) == 1 && strings.EqualFold(host, strings.TrimSuffix(ex.Request.Host, defaultPort(scheme)))
}

// response says what the exchange was granted, in place of what the upstream said.
func (c *cors) response(ex *filter.Exchange) error {
	h, g := ex.Response.Header, c.granted.Get(ex)
	if g != nil && g.preflight {
		cacheable.Vary(h, varyPreflight...)
		return nil
	}
	for name := range h {
		if len(name) > len(prefix) && name[:len(prefix)] == prefix {
			delete(h, name)
		}
	}
	if c.everyone != nil {
		g = c.everyone // said to all, so that the answer is the same for all, and caches need not know of origins
	} else {
		cacheable.Vary(h, varyOrigin...)
	}
	if g == nil {
		return nil
	}
	h["Access-Control-Allow-Origin"] = g.origin
	if c.credentials {
		h["Access-Control-Allow-Credentials"] = yes
	}
	if c.expose != nil {
		h["Access-Control-Expose-Headers"] = c.expose
	}
	return nil
}

// prefix is what all fields of CORS in answers begin with.
const prefix = "Access-Control-"

// Field values that never change. They are full, so that appending to one copies it.
var (
	yes           = []string{"true"}
	varyOrigin    = []string{"Origin"}
	varyPreflight = []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}
)

func (c *cors) explain(ex *filter.Exchange) filter.Verdict {
	origin := ex.Request.Header["Origin"]
	if len(origin) == 0 {
		return filter.Verdict{Action: filter.Passes, Note: "there is no Origin"}
	}
	from := strings.Join(origin, ", ")
	if method := preflightMethod(ex.Request); method != "" {
		if reason := c.objection(ex.Request, method); reason != "" {
			return filter.Verdict{Action: filter.Rejects, Note: "preflight from " + from + ": " + reason}
		}
		return filter.Verdict{Action: filter.Answers, Note: "preflight from " + from + " for " + method + " is allowed"}
	}
	switch {
	case c.find(origin) != nil:
		return filter.Verdict{Action: filter.Passes, Note: from + " is allowed"}
	case sameOrigin(ex, origin):
		return filter.Verdict{Action: filter.Passes, Note: from + " is the origin that is asked"}
	case c.enforce:
		return filter.Verdict{Action: filter.Rejects, Note: from + " is not allowed"}
	}
	return filter.Verdict{Action: filter.Passes, Note: from + " is not allowed: the answer has no CORS fields, and browsers withhold it"}
}
