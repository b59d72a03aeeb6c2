package accesslog

import (
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
)

// writeAttempts writes each try, when there were several: objects in JSON, a text in logfmt.
func writeAttempts(l *line, e *entry, _ *redactor) {
	tries := e.ex.Attempts
	if len(tries) < 2 {
		return
	}
	l.key("attempts")
	if l.style == asLogfmt {
		l.attemptsText(tries)
		return
	}
	l.b = append(l.b, '[')
	for i := range tries {
		if i > 0 {
			l.b = append(l.b, ',')
		}
		l.attempt(&tries[i], e.ex.Start)
	}
	l.b = append(l.b, ']')
}

// attempt writes a try as an object.
func (l *line) attempt(a *filter.Attempt, start time.Time) {
	l.b = append(l.b, '{')
	l.text("upstream", a.Upstream)
	l.text("endpoint", a.Endpoint)
	l.millis("start_ms", a.Start.Sub(start))
	l.someMillis("connect_ms", a.Connect)
	l.someMillis("first_byte_ms", a.FirstByte)
	if a.Status != 0 {
		l.number("status", int64(a.Status))
	}
	if a.Err != nil {
		l.text("error", a.Err.Error())
	}
	l.b = append(l.b, '}')
}

// attemptsText writes tries as a text: "orders/10.0.0.1:80 503, orders/10.0.0.2:80 200".
func (l *line) attemptsText(tries []filter.Attempt) {
	l.b = append(l.b, '"')
	for i := range tries {
		a := &tries[i]
		if i > 0 {
			l.b = append(l.b, ", "...)
		}
		l.part(a.Upstream)
		l.b = append(l.b, '/')
		l.part(a.Endpoint)
		l.b = append(l.b, ' ')
		if a.Err != nil {
			l.part(a.Err.Error())
		} else {
			l.b = strconv.AppendInt(l.b, int64(a.Status), 10)
		}
	}
	l.b = append(l.b, '"')
}

// writeFailedCalls writes the names of the calls that an answer is made of and that did not go well, with what came of them: "reviews default, stock failed".
func writeFailedCalls(l *line, e *entry, _ *redactor) {
	var names []string
	for i := range e.ex.Calls {
		c := &e.ex.Calls[i]
		if !c.Failing() || c.Outcome == filter.CallWaiting {
			continue
		}
		outcome := c.Outcome
		if outcome == filter.CallOK {
			outcome = filter.CallFails // in part
		}
		names = append(names, c.Name+" "+string(outcome))
	}
	if names != nil {
		l.text("calls_failed", strings.Join(names, ", "))
	}
}
