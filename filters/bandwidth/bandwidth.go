package bandwidth

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/pace"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("bandwidth", filter.Limit, build) }

// shaper is the policy as it runs.
type shaper struct {
	key               *limit.Key // nil: each request has its own
	response, request *direction // nil: not slowed down
	flows             filter.Slot[flow]
}

// direction is the way of bytes to or from clients.
type direction struct {
	text   string
	rate   pace.Rate
	shared *pace.Table[limit.ID] // nil: each request has its own
	bytes  prometheus.Counter
	waited func(time.Duration)
}

// flow is what an exchange has of the policy.
type flow struct {
	id   limit.ID
	to   *pace.Transfer // the client; nil: not slowed down
	from *pace.Transfer
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	s := &shaper{flows: filter.NewSlot[flow](env)}
	if len(c.Per) > 0 {
		key, err := limit.NewKey(env, limit.KeyConfig{Per: c.Per, Absent: c.Absent})
		if err != nil {
			return nil, err
		}
		s.key = key
	}
	var err error
	if s.response, err = s.direction(env, c, "response", c.Response); err != nil {
		return nil, err
	}
	if s.request, err = s.direction(env, c, "request", c.Request); err != nil {
		return nil, err
	}
	return &filter.Filter{Request: s.begin, Response: s.answer, Finish: s.finish, Explain: s.explain}, nil
}

// direction makes one direction, or nil where nothing is said of it.
func (s *shaper) direction(env *filter.Env, c *Config, name string, b config.Bandwidth) (*direction, error) {
	if b.IsZero() {
		return nil, nil
	}
	bytes := env.Metrics.Counter("bandwidth_bytes_total", "Bytes of bodies that passed where they are slowed down, by route and direction.", "route", "direction")
	waits := env.Metrics.Counter("bandwidth_wait_seconds_total", "Time that bytes were held back for, by route and direction.", "route", "direction")
	d := &direction{text: b.String(), rate: pace.Rate{PerSecond: b.PerSecond(), Burst: int64(b.Burst)}}
	d.bytes = bytes.WithLabelValues(env.Route.Name, name)
	wait := waits.WithLabelValues(env.Route.Name, name)
	d.waited = func(t time.Duration) { wait.Add(t.Seconds()) }
	if s.key == nil {
		return d, nil
	}
	var err error
	d.shared, err = filter.Keep(env, strings.Join([]string{"bandwidth", env.Scope, name, d.text, s.key.String(), c.Absent}, "\x00"), func() (*pace.Table[limit.ID], error) {
		return pace.NewTable[limit.ID](d.rate), nil
	})
	return d, err
}

// begin finds out with whom the exchange shares, and slows the request's body down.
func (s *shaper) begin(ex *filter.Exchange) error {
	f := &flow{}
	if s.key != nil {
		id, ok := s.key.Of(ex)
		if !ok {
			return nil
		}
		f.id = id
	}
	r := ex.Request
	upgrade := r.Header["Upgrade"] != nil
	f.to = s.response.transfer(f.id)
	if upgrade || r.Body != nil && r.Body != http.NoBody {
		f.from = s.request.transfer(f.id)
	}
	s.flows.Set(ex, f)
	if f.from != nil && r.Body != nil && r.Body != http.NoBody {
		ctx := ex.Context()
		ctx.Done() // the body may be read after the exchange has ended: the context must not become another's then
		r.Body = pace.Reader(ctx, &counted{r.Body, s.request.bytes}, f.from)
	}
	return nil
}

// answer slows the answer down.
func (s *shaper) answer(ex *filter.Exchange) error {
	f, resp := s.flows.Get(ex), ex.Response
	if f == nil || resp.Body == nil || resp.Body == http.NoBody {
		return nil
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if conn, ok := resp.Body.(io.ReadWriteCloser); ok {
			resp.Body = pace.Tunnel(s.count(conn), f.to, f.from)
		}
		return nil
	}
	if f.to != nil {
		resp.Body = pace.Reader(ex.Context(), &counted{resp.Body, s.response.bytes}, f.to)
	}
	return nil
}

// finish says that the exchange shares no more.
func (s *shaper) finish(ex *filter.Exchange) {
	f := s.flows.Get(ex)
	if f == nil {
		return
	}
	if f.to != nil {
		s.response.release(f.id)
	}
	if f.from != nil {
		s.request.release(f.id)
	}
}

// transfer begins a transfer.
func (d *direction) transfer(id limit.ID) *pace.Transfer {
	switch {
	case d == nil:
		return nil
	case d.shared == nil:
		return pace.NewTransfer(pace.NewBucket(d.rate), d.waited)
	}
	return pace.NewTransfer(d.shared.Acquire(id), d.waited)
}

func (d *direction) release(id limit.ID) {
	if d.shared != nil {
		d.shared.Release(id)
	}
}

// counted counts what is read.
type counted struct {
	io.ReadCloser
	bytes prometheus.Counter
}

// Read reads on.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bytes.Add(float64(n))
	return n, err
}

// count counts the bytes of an upgraded connection.
func (s *shaper) count(conn io.ReadWriteCloser) io.ReadWriteCloser {
	c := countedConn{ReadWriteCloser: conn, shaper: s}
	if half, ok := conn.(halfCloser); ok {
		return &countedHalf{c, half}
	}
	return &c
}

type countedConn struct {
	io.ReadWriteCloser
	shaper *shaper
}

// halfCloser is a connection that can say that nothing more will be sent.
type halfCloser interface{ CloseWrite() error }

type countedHalf struct {
	countedConn
	halfCloser
}

// Read reads what the service sends.
func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.ReadWriteCloser.Read(p)
	if d := c.shaper.response; d != nil {
		d.bytes.Add(float64(n))
	}
	return n, err
}

// Write writes what the client sends.
func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.ReadWriteCloser.Write(p)
	if d := c.shaper.request; d != nil {
		d.bytes.Add(float64(n))
	}
	return n, err
}

// explain says what holds.
func (s *shaper) explain(ex *filter.Exchange) filter.Verdict {
	var parts []string
	for _, d := range []*direction{s.response, s.request} {
		switch {
		case d == nil:
		case d == s.response:
			parts = append(parts, "the answer at "+d.text)
		default:
			parts = append(parts, "the request's body at "+d.text)
		}
	}
	note := strings.Join(parts, ", ")
	if s.key == nil {
		return filter.Verdict{Action: filter.Passes, Note: note + ", for this request alone"}
	}
	id, ok := s.key.Of(ex)
	if !ok {
		return filter.Verdict{Action: filter.Passes, Note: "the request has no " + s.key.String() + ", and is not slowed down"}
	}
	users := 0
	for _, d := range []*direction{s.response, s.request} {
		if d != nil {
			_, n := d.shared.Keys(id)
			users = max(users, n)
		}
	}
	return filter.Verdict{Action: filter.Passes, Note: fmt.Sprintf("%s, shared by all of %s, which has %d under way", note, id, users)}
}
