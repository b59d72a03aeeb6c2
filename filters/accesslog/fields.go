package accesslog

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// field is a field of a line: what writes it, key and all, or nothing when it is absent.
type field struct {
	name  string
	write func(l *line, e *entry, hide *redactor)
}

// fields are all fields, in the order in which a line has them by default.
var fields = [...]field{
	{"time", func(l *line, e *entry, _ *redactor) { l.time(e.ex.Start) }},
	{"request_id", func(l *line, e *entry, _ *redactor) { l.text("request_id", e.ex.ID) }},
	{"trace_id", func(l *line, e *entry, _ *redactor) { l.text("trace_id", e.ex.Span.TraceID()) }},
	{"client", func(l *line, e *entry, _ *redactor) { l.client(e.ex) }},
	{"method", func(l *line, e *entry, _ *redactor) { l.text("method", e.ex.Original.Method) }},
	{"scheme", func(l *line, e *entry, _ *redactor) { l.text("scheme", e.ex.Original.Scheme) }},
	{"host", func(l *line, e *entry, _ *redactor) { l.text("host", e.ex.Original.Host) }},
	{"path", func(l *line, e *entry, _ *redactor) { l.text("path", e.ex.Original.Path) }},
	{"query", func(l *line, e *entry, hide *redactor) { hide.field(l, "query", e.ex.Original.Query) }},
	{"proto", func(l *line, e *entry, _ *redactor) { l.text("proto", e.ex.Original.Proto) }},
	{"status", func(l *line, e *entry, _ *redactor) { l.number("status", int64(status(e.ex))) }},
	{"sent", func(l *line, e *entry, _ *redactor) { l.number("sent", e.ex.Sent) }},
	{"received", func(l *line, e *entry, _ *redactor) { l.number("received", e.ex.Received) }},
	{"duration_ms", func(l *line, e *entry, _ *redactor) { l.millis("duration_ms", e.now.Sub(e.ex.Start)) }},
	{"first_byte_ms", writeFirstByte},
	{"route", func(l *line, e *entry, _ *redactor) { l.text("route", e.ex.Route.Name) }},
	{"upstream", func(l *line, e *entry, _ *redactor) { l.text("upstream", e.ex.Upstream) }},
	{"endpoint", lastTry(func(l *line, a *filter.Attempt) { l.text("endpoint", a.Endpoint) })},
	{"connect_ms", lastTry(func(l *line, a *filter.Attempt) { l.someMillis("connect_ms", a.Connect) })},
	{"upstream_ms", lastTry(func(l *line, a *filter.Attempt) { l.someMillis("upstream_ms", a.FirstByte) })},
	{"tries", lastTry(nil)},
	{"attempts", writeAttempts},
	{"calls_failed", writeFailedCalls},
	{"subject", byIdentity(func(l *line, i *filter.Identity) { l.text("subject", i.Subject) })},
	{"consumer", byIdentity(func(l *line, i *filter.Identity) { l.text("consumer", i.Consumer) })},
	{"auth", byIdentity(func(l *line, i *filter.Identity) { l.text("auth", i.Method) })},
	{"user_agent", func(l *line, e *entry, _ *redactor) { l.text("user_agent", e.asked.userAgent) }},
	{"referer", writeReferer},
	{"priority", writePriority},
	{"limited_by", byLimit(func(l *line, by *filter.Limited) { l.text("limited_by", by.Policy+" "+by.Limit) })},
	{"limit_key", byLimit(func(l *line, by *filter.Limited) { l.text("limit_key", by.Key) })},
	{"limit_dry_run", byLimit(func(l *line, by *filter.Limited) { l.truth("limit_dry_run", by.DryRun) })},
	{"cache", func(l *line, e *entry, _ *redactor) { l.text("cache", string(e.ex.Cached.Outcome)) }},
	{"cache_why", func(l *line, e *entry, _ *redactor) { l.text("cache_why", e.ex.Cached.Why) }},
	{"fallback", func(l *line, e *entry, _ *redactor) { l.text("fallback", e.ex.Fallback.Kind) }},
	{"fallback_reason", func(l *line, e *entry, _ *redactor) { l.text("fallback_reason", e.ex.Fallback.Reason) }},
	{"fallback_cause", func(l *line, e *entry, _ *redactor) { l.text("fallback_cause", e.ex.Fallback.Cause) }},
	{"fallback_failed", func(l *line, e *entry, _ *redactor) { l.text("fallback_failed", e.ex.Fallback.Failed) }},
	{"invalid", func(l *line, e *entry, _ *redactor) { l.text("invalid", e.ex.Invalid.Why) }},
	{"error", writeError},
	{"cause", writeCause},
	{"aborted", writeAborted},
	{"fault", func(l *line, e *entry, _ *redactor) { l.text("fault", e.ex.Fault) }},
}

// fieldNamed returns the field with a name, or nil.
func fieldNamed(name string) *field {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

func fieldNames() []string {
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].name
	}
	return names
}

// newFields returns what writes the fields of a configuration.
func newFields(env *filter.Env, c *Config, hide *redactor) (func(*line, *entry), error) {
	chosen := fields[:]
	if len(c.Fields) > 0 {
		chosen = nil
		for _, name := range c.Fields {
			chosen = append(chosen, *fieldNamed(name))
		}
	}
	chosen = slices.Clone(chosen)
	for _, name := range slices.Sorted(maps.Keys(c.Add)) {
		value, err := env.Expr.Value(c.Add[name])
		if err != nil {
			return nil, config.FieldErrorf(fmt.Sprintf("add[%q]", name), "%w", err)
		}
		chosen = append(chosen, field{name, func(l *line, e *entry, _ *redactor) {
			s, _ := value(e.ex)
			l.text(name, s)
		}})
	}
	return func(l *line, e *entry) {
		for i := range chosen {
			chosen[i].write(l, e, hide)
		}
	}, nil
}

// jsonFormat writes an object a line.
func jsonFormat(fields func(*line, *entry)) func(*line, *entry) {
	return func(l *line, e *entry) {
		l.style = asJSON
		l.b = append(l.b, '{')
		fields(l, e)
		l.b = append(l.b, '}', '\n')
	}
}

// logfmtFormat writes key=value pairs.
func logfmtFormat(fields func(*line, *entry)) func(*line, *entry) {
	return func(l *line, e *entry) {
		l.style = asLogfmt
		fields(l, e)
		l.b = append(l.b, '\n')
	}
}

func (l *line) time(t time.Time) {
	l.key("time")
	if l.style == asLogfmt {
		l.b = t.UTC().AppendFormat(l.b, "2006-01-02T15:04:05.000Z07:00")
		return
	}
	l.b = append(t.UTC().AppendFormat(append(l.b, '"'), "2006-01-02T15:04:05.000Z07:00"), '"')
}

func (l *line) client(ex *filter.Exchange) {
	if !ex.Client.IsValid() {
		return
	}
	l.key("client")
	if l.style == asLogfmt {
		l.b = ex.Client.AppendTo(l.b)
		return
	}
	l.b = append(ex.Client.AppendTo(append(l.b, '"')), '"')
}

// someMillis is millis for what 0 means absent.
func (l *line) someMillis(name string, d time.Duration) {
	if d > 0 {
		l.millis(name, d)
	}
}

func writeFirstByte(l *line, e *entry, _ *redactor) {
	if !e.ex.FirstByte.IsZero() {
		l.millis("first_byte_ms", e.ex.FirstByte.Sub(e.ex.Start))
	}
}

// lastTry writes a field of the last try, if that was at the upstream that the line names; nil writes how many there were.
func lastTry(write func(*line, *filter.Attempt)) func(*line, *entry, *redactor) {
	return func(l *line, e *entry, _ *redactor) {
		last := e.ex.Last()
		switch {
		case last == nil:
		case write == nil:
			l.number("tries", int64(len(e.ex.Attempts)))
		case last.Upstream == e.ex.Upstream:
			write(l, last)
		}
	}
}

func byIdentity(write func(*line, *filter.Identity)) func(*line, *entry, *redactor) {
	return func(l *line, e *entry, _ *redactor) {
		if e.ex.Identity != nil {
			write(l, e.ex.Identity)
		}
	}
}

func writeReferer(l *line, e *entry, hide *redactor) {
	if e.asked.referer == "" {
		return
	}
	l.key("referer")
	l.b = append(l.b, '"')
	hide.link(l, e.asked.referer)
	l.b = append(l.b, '"')
}

func writeError(l *line, e *entry, _ *redactor) {
	if e.ex.Err != nil {
		l.text("error", string(asError(e.ex.Err).Code))
	}
}

func writeCause(l *line, e *entry, _ *redactor) {
	if e.ex.Err == nil {
		return
	}
	if cause := asError(e.ex.Err).Cause; cause != nil {
		l.text("cause", cause.Error())
	}
}

func writeAborted(l *line, e *entry, _ *redactor) { l.truth("aborted", e.ex.Aborted) }

func writePriority(l *line, e *entry, _ *redactor) {
	if e.ex.Priority != filter.Normal {
		l.text("priority", e.ex.Priority.String())
	}
}

// byLimit writes a field of the limit that refused the exchange, or would have.
func byLimit(write func(*line, *filter.Limited)) func(*line, *entry, *redactor) {
	return func(l *line, e *entry, _ *redactor) {
		if e.ex.Limited.Policy != "" {
			write(l, &e.ex.Limited)
		}
	}
}

// truth writes what is true; what is not is left out.
func (l *line) truth(name string, is bool) {
	if is {
		l.key(name)
		l.b = append(l.b, "true"...)
	}
}
