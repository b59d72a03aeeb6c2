package rules

import (
	"strings"
	"time"
)

// ParseDate reads an HTTP-date in any of its three forms (RFC 9110, section 5.6.7), whatever its case, and in no zone but GMT (RFC 9111, section 4.2). Years of two
// digits are no more than 50 years after now.
func ParseDate(s string, now time.Time) (time.Time, bool) {
	p := dateParser{rest: s}
	comma := strings.IndexByte(s, ',')
	switch {
	case comma == 3:
		return p.imf()
	case comma > 3:
		return p.rfc850(now)
	}
	return p.asctime()
}

// dateParser takes parts from the beginning of a date. Once something is wrong it stays so.
type dateParser struct {
	rest string
	bad  bool
}

func (p *dateParser) imf() (time.Time, bool) {
	p.name(shortDays)
	p.text(", ")
	day := p.digits(2)
	p.text(" ")
	month := p.name(months)
	p.text(" ")
	year := p.digits(4)
	p.text(" ")
	return p.end(year, month, day, p.clock, true)
}

func (p *dateParser) rfc850(now time.Time) (time.Time, bool) {
	p.name(longDays)
	p.text(", ")
	day := p.digits(2)
	p.text("-")
	month := p.name(months)
	p.text("-")
	year := p.digits(2)
	p.text(" ")
	year += now.UTC().Year() / 100 * 100
	t, ok := p.end(year, month, day, p.clock, true)
	if ok && t.After(now.AddDate(50, 0, 0)) {
		t = time.Date(year-100, time.Month(month), day, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
		ok = t.Day() == day
	}
	return t, ok
}

func (p *dateParser) asctime() (time.Time, bool) {
	p.name(shortDays)
	p.text(" ")
	month := p.name(months)
	p.text(" ")
	if strings.HasPrefix(p.rest, " ") {
		p.rest = p.rest[1:]
		p.rest = "0" + p.rest
	}
	day := p.digits(2)
	p.text(" ")
	h, m, s := p.clock()
	p.text(" ")
	year := p.digits(4)
	return p.end(year, month, day, func() (int, int, int) { return h, m, s }, false)
}

// clock takes the time of day. A leap second is the second before it: the nearest that is not later.
func (p *dateParser) clock() (hour, minute, second int) {
	hour = p.digits(2)
	p.text(":")
	minute = p.digits(2)
	p.text(":")
	second = p.digits(2)
	if hour > 23 || minute > 59 || second > 60 {
		p.bad = true
	}
	return hour, minute, min(second, 59)
}

func (p *dateParser) end(year, month, day int, clock func() (int, int, int), zone bool) (time.Time, bool) {
	hour, minute, second := clock()
	if zone {
		p.text(" ")
		if !strings.EqualFold(p.rest, "GMT") {
			return time.Time{}, false
		}
		p.rest = ""
	}
	if p.bad || p.rest != "" {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	return t, t.Day() == day && day > 0
}

func (p *dateParser) text(s string) {
	if len(p.rest) < len(s) || p.rest[:len(s)] != s {
		p.bad = true
		return
	}
	p.rest = p.rest[len(s):]
}

func (p *dateParser) digits(n int) int {
	if len(p.rest) < n {
		p.bad = true
		return 0
	}
	value := 0
	for i := range n {
		c := p.rest[i]
		if c < '0' || c > '9' {
			p.bad = true
			return 0
		}
		value = value*10 + int(c-'0')
	}
	p.rest = p.rest[n:]
	return value
}

// name takes one of some names, separated by spaces, and returns its number from 1 on.
func (p *dateParser) name(names string) int {
	for n := 1; names != ""; n++ {
		var name string
		name, names, _ = strings.Cut(names, " ")
		if len(p.rest) >= len(name) && strings.EqualFold(p.rest[:len(name)], name) {
			p.rest = p.rest[len(name):]
			return n
		}
	}
	p.bad = true
	return 1
}

const (
	shortDays = "Mon Tue Wed Thu Fri Sat Sun"
	longDays  = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
	months    = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
)
