package accesslog

import (
	"strconv"
	"strings"
)

// commonFormat writes Apache's formats:
//
//	client - user [time] "METHOD path PROTO" status bytes "referer" "user agent"
func commonFormat(hide *redactor, combined bool) func(*line, *entry) {
	return func(l *line, e *entry) {
		l.style = asCommon
		ex := e.ex
		if ex.Client.IsValid() {
			l.b = ex.Client.AppendTo(l.b)
		} else {
			l.b = append(l.b, '-')
		}
		l.b = append(l.b, " - "...)
		l.user(e)
		l.b = ex.Start.AppendFormat(append(l.b, " ["...), "02/Jan/2006:15:04:05 -0700")
		l.b = append(l.b, `] "`...)
		l.requestLine(e, hide)
		l.b = strconv.AppendInt(append(l.b, `" `...), int64(status(ex)), 10)
		l.b = append(l.b, ' ')
		if ex.Sent == 0 {
			l.b = append(l.b, '-')
		} else {
			l.b = strconv.AppendInt(l.b, ex.Sent, 10)
		}
		if combined {
			l.b = append(l.b, ` "`...)
			l.orDash(e.asked.referer, func() { hide.link(l, e.asked.referer) })
			l.b = append(l.b, `" "`...)
			l.orDash(e.asked.userAgent, func() { l.part(e.asked.userAgent) })
			l.b = append(l.b, '"')
		}
		l.b = append(l.b, '\n')
	}
}

func (l *line) requestLine(e *entry, hide *redactor) {
	o := &e.ex.Original
	l.part(o.Method)
	l.b = append(l.b, ' ')
	l.part(o.Path)
	if o.Query != "" && hide.query {
		l.b = append(l.b, '?')
		hide.write(l, o.Query)
	}
	l.b = append(l.b, ' ')
	l.part(o.Proto)
}

// user writes who called. It stands without quotes, so spaces are escaped too.
func (l *line) user(e *entry) {
	if e.ex.Identity == nil || e.ex.Identity.Subject == "" {
		l.b = append(l.b, '-')
		return
	}
	more := false
	for word := range strings.SplitSeq(e.ex.Identity.Subject, " ") {
		if more {
			l.b = append(l.b, `\x20`...)
		}
		l.part(word)
		more = true
	}
}

// orDash writes "-" for what is empty.
func (l *line) orDash(s string, write func()) {
	if s == "" {
		l.b = append(l.b, '-')
		return
	}
	write()
}
