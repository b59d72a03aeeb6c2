package aggregate

import (
	"context"
	"fmt"
	"net/http"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/document"
)

// loop is a call that is made for each element of a list, some at a time. It is the conductor's.
type loop struct {
	list   []any
	parts  []part
	errs   []error
	next   int             // the element whose turn it is
	under  int             // how many requests are under way
	left   memory          // for the answers of all turns
	ctx    context.Context // ends with the first that fails, unless the call is optional
	cancel context.CancelCauseFunc
}

var errTogether = &document.Error{Kind: document.TooLarge, Offset: -1, Reason: "the answers together are longer than `max_part`"}

func (r *run) newLoop(s *step) (*loop, error) {
	list, err := s.each.list(r.own)
	if err != nil {
		return nil, s.unable(err)
	}
	l := &loop{list: list, parts: make([]part, len(list)), errs: make([]error, len(list))}
	l.left.full = errTogether
	l.left.left.Store(r.of.maxPart)
	r.results[s.index].requests.Times = len(list)
	l.ctx, l.cancel = context.WithCancelCause(r.ctx)
	return l, nil
}

// more says whether there are elements whose turn has not come.
func (l *loop) more() bool { return l.next < len(l.list) && l.ctx.Err() == nil }

// ended says whether there is no turn any more, neither under way nor to come.
func (l *loop) ended() bool { return l.under == 0 && !l.more() }

// turn makes the next request of a loop, or finishes the call after the last.
func (r *run) turn(s *step, l *loop) {
	if !l.ended() {
		k := l.next
		l.next++
		r.at.as, r.at.item = s.each.as, l.list[k]
		if err := r.request(l.ctx, s, k); err != nil {
			l.put(s, k, part{}, err)
		} else {
			l.under++
		}
		r.at.as, r.at.item = "", nil
		return
	}
	res := &r.results[s.index]
	if res.err = context.Cause(l.ctx); res.err == nil {
		res.part, res.err = r.joined(s, l)
	}
	l.cancel(nil)
	l.parts = nil // they are in the list
	r.finish(s)
}

// put takes what came of an element.
func (l *loop) put(s *step, element int, p part, err error) {
	l.parts[element], l.errs[element] = p, err
	if err != nil && !s.optional {
		l.cancel(fmt.Errorf("element %d: %w", element, err))
	}
}

// list is what a loop goes through.
func (e *each) list(ex *filter.Exchange) ([]any, error) {
	found, _ := e.in(ex)
	list, ok := found.([]any)
	switch {
	case found == nil:
		return nil, fmt.Errorf("there is no %s to go through", e.source)
	case !ok:
		return nil, fmt.Errorf("%s is no list", e.source)
	case len(list) > e.max:
		return nil, fmt.Errorf("%s has %d elements, and `max` is %d", e.source, len(list), e.max)
	}
	return list, nil
}

// joined is the list of the answers of a loop. What stands in for the call stands in for each that failed.
func (r *run) joined(s *step, l *loop) (all part, err error) {
	parts, errs := l.parts, l.errs
	size := 2
	for k := range parts {
		size += len(parts[k].raw) + len(s.standIn) + 5
	}
	all = part{status: http.StatusOK, there: true, taken: int64(size)}
	if all.raw, err = r.memory.buffer(all.taken); err != nil {
		for k := range parts {
			r.memory.give(parts[k].taken)
		}
		return part{}, err
	}
	all.raw = append(all.raw, '[')
	list := make([]any, len(parts))
	for k := range parts {
		if errs[k] != nil {
			parts[k] = part{raw: s.standIn, value: s.standInValue}
			all.gaps++
		}
		if k > 0 {
			all.raw = append(all.raw, ',')
		}
		all.raw = append(all.raw, parts[k].text()...)
		list[k] = parts[k].value
		all.heads = append(all.heads, parts[k].heads...)
		r.memory.give(parts[k].taken)
	}
	all.raw = append(all.raw, ']')
	if s.needed {
		all.value = list
	}
	return all, nil
}
