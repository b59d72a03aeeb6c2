package accesslog

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Kind is the policy `log`.
func Kind() filter.Kind { return filter.Define("log", filter.Observe, build) }

// accessLog is one configured log on one route.
type accessLog struct {
	writer     *Writer
	format     func(l *line, e *entry)
	when       filter.Condition // nil: always
	sample     uint64           // of 1<<32
	keepErrors bool
	slow       time.Duration // 0: none is
	asked      filter.Slot[asked]
	note       string
}

// asked is what the client's request said that policies may change before the end.
type asked struct{ userAgent, referer string }

// askedPool is what asked is taken from and given back to.
var askedPool = sync.Pool{New: func() any { return new(asked) }}

// entry is an exchange that is over.
type entry struct {
	ex    *filter.Exchange
	asked *asked
	now   time.Time
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	a := &accessLog{
		sample: uint64(float64(c.Sample) * (1 << 32)), keepErrors: c.KeepErrors, slow: time.Duration(c.Slow),
		asked: filter.NewSlot[asked](env),
	}
	var err error
	if c.When != "" {
		if a.when, err = env.Expr.Condition(c.When); err != nil {
			return nil, config.FieldErrorf("when", "%w", err)
		}
	}
	if a.format, err = newFormat(env, c); err != nil {
		return nil, err
	}
	if a.writer, err = keptWriter(env, c.File); err != nil {
		return nil, config.FieldErrorf("file", "%w", err)
	}
	a.note = describe(c, a.writer.name)
	return &filter.Filter{Request: a.request, Finish: a.finish, Explain: a.explain}, nil
}

// newFormat returns what writes a line.
func newFormat(env *filter.Env, c *Config) (func(*line, *entry), error) {
	hide := newRedactor(c.Query, c.Redact, env.Route)
	switch c.Format {
	case "common":
		return commonFormat(hide, false), nil
	case "combined":
		return commonFormat(hide, true), nil
	}
	fields, err := newFields(env, c, hide)
	if err != nil {
		return nil, err
	}
	if c.Format == "logfmt" {
		return logfmtFormat(fields), nil
	}
	return jsonFormat(fields), nil
}

// request notes what later policies may change.
func (a *accessLog) request(ex *filter.Exchange) error {
	if ex.Dry {
		return nil
	}
	said := askedPool.Get().(*asked)
	said.userAgent, said.referer = first(ex.Request.Header["User-Agent"]), first(ex.Request.Header["Referer"])
	a.asked.Set(ex, said)
	return nil
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// finish hands the line to the writer.
func (a *accessLog) finish(ex *filter.Exchange) {
	said := a.asked.Get(ex)
	if said == nil {
		return
	}
	now := time.Now()
	if a.wanted(ex, now) {
		l := linePool.Get().(*line)
		l.reset(ex, said, now)
		a.format(l, &l.entry)
		a.writer.write(l.b)
		l.release()
	}
	*said = asked{}
	askedPool.Put(said)
}

// wanted says whether the exchange is logged.
func (a *accessLog) wanted(ex *filter.Exchange, now time.Time) bool {
	if a.when != nil {
		if holds, err := a.when(ex); err == nil && !holds {
			return false
		}
	}
	switch {
	case a.sample >= 1<<32,
		a.keepErrors && (ex.Aborted || status(ex) >= 500),
		a.slow > 0 && now.Sub(ex.Start) >= a.slow:
		return true
	case a.sample == 0:
		return false
	}
	return draw(ex.ID) < a.sample
}

// draw returns a number below 1<<32 that follows from a request id, or a random one where there is none.
func draw(id string) uint64 {
	if id == "" {
		return uint64(rand.Uint32())
	}
	h := uint64(14695981039346656037) // FNV-1a, then mixed so that the high bits depend on all of it
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	return h >> 32
}

// status is the status that was sent, or else the one that would have been.
func status(ex *filter.Exchange) int {
	if ex.Status != 0 || ex.Err == nil {
		return ex.Status
	}
	return asError(ex.Err).HTTPStatus()
}

// asError is filter.AsError, without an allocation for what the engine leaves in Exchange.Err.
func asError(err error) *filter.Error {
	if e, ok := err.(*filter.Error); ok {
		return e
	}
	return filter.AsError(err)
}

// explain says where the line goes.
func (a *accessLog) explain(*filter.Exchange) filter.Verdict {
	return filter.Verdict{Action: filter.Passes, Note: a.note}
}

// describe says in words what a log does.
func describe(c *Config, name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "a line as %s to %s", c.Format, name)
	if c.When != "" {
		fmt.Fprintf(&b, ", when %s", c.When)
	}
	if c.Sample < 1 {
		fmt.Fprintf(&b, "; %s%% of those", strconv.FormatFloat(float64(c.Sample)*100, 'g', 6, 64))
		if c.KeepErrors {
			b.WriteString(", and all errors")
		}
		if c.Slow > 0 {
			fmt.Fprintf(&b, ", and all that took %v", time.Duration(c.Slow))
		}
	}
	return b.String()
}
