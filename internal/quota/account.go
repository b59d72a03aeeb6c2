package quota

import (
	"cmp"
	"slices"
	"time"

	"cardea.dev/cardea/internal/limit"
)

// ahead is how far in the future usage may be for it to count, beside a period: it is what clocks are put back by. What is farther ahead was
// counted by a clock that was wrong.
const ahead = day

// span is the usage that counts at a time. Where the clock was put back, a span that was there counts on: no time gets its quota twice. With
// fresh it makes the span where it is new; it returns nil where it is not there.
//
// Two spans are known: the latest, and the one before.
func (a *account) span(q *Ask, now time.Time, fresh bool) *usage {
	label, last, before := q.Span.Label, &a.recent[0], &a.recent[1]
	switch {
	case label == last.label:
		return last
	case label == before.label:
		return before
	case label < before.label && a.series.period.over(before.label).Sub(now) < ahead+2*a.series.period.Length():
		return before // what was used that long ago is not known; the oldest that is known counts
	case !fresh:
		return nil
	case label > last.label:
		*before, *last = *last, usage{label: label}
		return last
	}
	*before = usage{label: label}
	return before
}

// used is what counts at a time.
func (a *account) used(q *Ask, now time.Time) int64 {
	if a.series.period.Unit != "" {
		if u := a.span(q, now, false); u != nil {
			return u.used
		}
		return 0
	}
	var sum int64
	for _, u := range a.slots {
		if a.counts(u, q.Span.Label) {
			sum += u.used
		}
	}
	return min(sum, Most)
}

// counts says whether a slot counts in the rolling period that ends with another. Those of the last sixtieth but sixty do in part, so they count
// in whole. Those that are more than a period ahead were counted by a clock that was wrong.
func (*account) counts(u usage, now int64) bool { return u.label >= now-slots && u.label <= now+slots }

// reset is when usage falls.
func (a *account) reset(q *Ask, now time.Time) time.Time {
	for _, u := range a.slots {
		if a.counts(u, q.Span.Label) {
			return a.series.period.fallsOut(u.label)
		}
	}
	return q.end(now)
}

// retry is when so much is left. The amount is enough for it.
func (a *account) retry(q *Ask, now time.Time, need int64) time.Time {
	if a == nil || a.series.period.Unit != "" {
		return q.end(now)
	}
	left := q.Used
	for _, u := range a.slots {
		if !a.counts(u, q.Span.Label) {
			continue
		}
		if left -= u.used; left+need <= q.Amount {
			return a.series.period.fallsOut(u.label)
		}
	}
	return q.end(now)
}

// add counts, and returns what counts then.
func (a *account) add(q *Ask, now time.Time, cost int64) int64 {
	if a.series.period.Unit != "" {
		u := a.span(q, now, true)
		u.used = min(u.used+cost, Most)
		return u.used
	}
	label := q.Span.Label
	a.slots = slices.DeleteFunc(a.slots, func(u usage) bool { return !a.counts(u, label) })
	if n := len(a.slots); n > 0 && a.slots[n-1].label >= label { // also when the clock was put back
		a.slots[n-1].used = min(a.slots[n-1].used+cost, Most)
		label = a.slots[n-1].label
	} else {
		a.slots = append(a.slots, usage{label, cost})
	}
	if !a.dirty {
		a.from = label
	}
	return a.used(q, now)
}

// set notes what is known from elsewhere: what was used in a span.
func (a *account) set(u usage) {
	if a.series.period.Unit != "" {
		switch last, before := &a.recent[0], &a.recent[1]; {
		case u.label == last.label || last.label == none:
			*last = u
		case u.label > last.label:
			*before, *last = *last, u
		case u.label >= before.label:
			*before = u
		}
		return
	}
	i, found := slices.BinarySearchFunc(a.slots, u.label, func(s usage, label int64) int { return cmp.Compare(s.label, label) })
	if found {
		a.slots[i] = u
		return
	}
	a.slots = slices.Insert(a.slots, i, u)
	if len(a.slots) > 2*slots+1 {
		a.slots = slices.Delete(a.slots, 0, 1)
	}
}

// over says whether nothing of the account counts any more, nor would if the clock were put back a little.
func (a *account) over(now time.Time) bool {
	label := a.recent[0].label
	if n := len(a.slots); n > 0 {
		label = max(label, a.slots[n-1].label)
	}
	if label == none {
		return true
	}
	p := a.series.period
	return now.Sub(p.over(label)) > min(p.Length(), ahead)
}

// total is what the account shows operators: what counts in the span that was asked for last.
func (a *account) total() int64 {
	latest := a.series.latest
	if latest == none {
		latest = a.recent[0].label
	}
	var sum int64
	for _, u := range a.recent {
		if u.label == latest {
			sum = u.used
		}
	}
	for _, u := range a.slots {
		if latest == none || a.counts(u, latest) {
			sum += u.used
		}
	}
	return sum
}

// chunk is how many accounts are looked at without letting requests in between.
const chunk = 512

// each calls f for all accounts of a series, with the lock, which it lets go of now and then. F may remove the account.
func (l *Ledger) each(s *Series, f func(a *account)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(s.list) - 1; i >= 0; i-- { // from the end: what is removed is replaced by one that was seen
		if i < len(s.list) {
			f(s.list[i])
		}
		if i%chunk == 0 {
			l.mu.Unlock()
			l.mu.Lock() // requests come in between
		}
	}
}

// Top lists the keys that used most.
func (l *Ledger) Top(s *Series, n int) []limit.Usage {
	now := l.o.Now()
	var top []limit.Usage
	least := int64(-1)
	l.each(s, func(a *account) {
		used := a.total()
		if used == 0 || a.over(now) || used <= least {
			return
		}
		top = append(top, limit.Usage{Key: a.id.String(), Used: used, Limit: a.amount, Refused: a.refused})
		if len(top) >= 2*n+chunk {
			top = cut(top, n)
			least = top[len(top)-1].Used
		}
	})
	return cut(top, n)
}

// cut keeps the greatest.
func cut(all []limit.Usage, n int) []limit.Usage {
	slices.SortFunc(all, func(a, b limit.Usage) int { return cmp.Or(cmp.Compare(b.Used, a.Used), cmp.Compare(a.Key, b.Key)) })
	return all[:min(max(n, 0), len(all))]
}

// Keys is how many keys of a series are counted here.
func (l *Ledger) Keys(s *Series) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(s.list))
}
