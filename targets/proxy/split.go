package proxy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// split passes each request on to one of several upstreams.
type split struct {
	arms   []arm
	total  uint64
	by     filter.Value // nil: none
	source string       // of by
	cookie *cookie      // nil: none
}

// arm is an upstream of a split.
type arm struct {
	to     filter.Upstream
	weight uint64
	seed   uint64 // of its name
	mark   string // what a cookie says for it
}

func newSplit(env *filter.Env, c *Config, upstreams []filter.Upstream) (*split, error) {
	s := &split{}
	for i, a := range c.Upstream {
		seed := hash(a.Upstream, 0)
		s.arms = append(s.arms, arm{upstreams[i], uint64(a.Weight), seed, fmt.Sprintf("%012x", seed>>16)})
		s.total += uint64(a.Weight)
	}
	if c.Sticky == nil {
		return s, nil
	}
	if c.Sticky.Cookie != nil {
		s.cookie = newCookie(c.Sticky.Cookie)
	}
	if c.Sticky.By == "" {
		return s, nil
	}
	var err error
	if s.by, err = env.Expr.Value(c.Sticky.By); err != nil {
		return nil, config.FieldErrorf("sticky.by", "%w", err)
	}
	s.source = c.Sticky.By
	return s, nil
}

// Serve passes the request on.
func (s *split) Serve(ex *filter.Exchange) (*http.Response, error) {
	if a := s.known(ex); a != nil {
		return a.to.Do(ex, ex.Request)
	}
	a := s.random()
	resp, err := a.to.Do(ex, ex.Request)
	if err == nil && s.cookie != nil {
		s.cookie.set(ex, resp, a)
	}
	return resp, err
}

// known returns the arm that the user has, or nil when he is not known.
func (s *split) known(ex *filter.Exchange) *arm {
	if s.by != nil {
		if value, ok := s.by(ex); ok && value != "" {
			return s.of(value)
		}
	}
	if s.cookie != nil {
		return s.marked(cookieValue(ex.Request.Header["Cookie"], s.cookie.name))
	}
	return nil
}

// of returns the arm for a value: the one with the highest score, which depends on that arm and the value alone. So a changed weight moves
// only values to or from its own arm. (Weighted rendezvous hashing.)
func (s *split) of(value string) *arm {
	var best *arm
	highest := math.Inf(-1)
	for i := range s.arms {
		a := &s.arms[i]
		if a.weight == 0 {
			continue
		}
		u := (float64(hash(value, a.seed)>>11) + 0.5) / (1 << 53) // above 0, below 1
		if score := -float64(a.weight) / math.Log(u); score > highest {
			highest, best = score, a
		}
	}
	return best
}

// marked returns the arm with a mark that still gets requests, or nil.
func (s *split) marked(mark string) *arm {
	for i := range s.arms {
		if s.arms[i].mark == mark && s.arms[i].weight > 0 {
			return &s.arms[i]
		}
	}
	return nil
}

// random returns an arm by weight alone.
func (s *split) random() *arm {
	n := rand.Uint64N(s.total)
	for i := range s.arms {
		if n < s.arms[i].weight {
			return &s.arms[i]
		}
		n -= s.arms[i].weight
	}
	return nil // n is below the sum of all weights
}

// hash is FNV-1a over a seed and a text, mixed so that all bits depend on all. It is the same everywhere: gateways must agree.
func hash(text string, seed uint64) uint64 {
	h := 14695981039346656037 ^ seed
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Explain says which upstream the request would go to, or the odds.
func (s *split) Explain(ex *filter.Exchange) string {
	if a := s.known(ex); a != nil {
		why := "by cookie " + s.cookieName()
		if s.by != nil {
			if value, ok := s.by(ex); ok && value != "" {
				why = "by " + s.source
			}
		}
		return fmt.Sprintf("%s, of %s: %s", why, s.odds(), explain(a.to, ex))
	}
	return "one of the upstreams, at random: " + s.odds()
}

func (s *split) cookieName() string {
	if s.cookie == nil {
		return ""
	}
	return s.cookie.name
}

// odds says how requests are shared.
func (s *split) odds() string {
	parts := make([]string, len(s.arms))
	for i := range s.arms {
		parts[i] = fmt.Sprintf("%s %.4g%%", s.arms[i].to.Name(), 100*float64(s.arms[i].weight)/float64(s.total))
	}
	return strings.Join(parts, ", ")
}
