package upstream

import (
	"net/http"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/upstream/adaptive"
)

// learn tells what hedges and the limit, where that is adaptive, how long the answer took to begin, or that it failed. It is told when the answer begins: bodies
// may take for ever, and depend on the client.
func (x *call) learn(failed *failure) {
	c := x.cluster
	if c.hedge != nil && failed == nil {
		c.hedge.times.Add(c.memory.at(x.chosen), x.info.FirstByte)
	}
	if c.gate == nil || c.gate.adaptive == nil {
		return
	}
	s := adaptive.Sample{Took: x.info.FirstByte}
	switch {
	case failed == nil:
		s.Failed = x.response.StatusCode == http.StatusServiceUnavailable
	case failed.blame && failed.err.Code == filter.UpstreamTimeout:
		s.Failed = true
	default:
		return // clients that leave and connections that fail say nothing of how much the service has to do
	}
	s.InFlight, _ = c.gate.counts()
	s.Ended = c.now()
	c.gate.adaptive.Observe(s)
}
