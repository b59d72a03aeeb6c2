package aggregate

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"cardea.dev/cardea/filter"
)

// loop makes a call for each element of a list, some at a time. The first that fails ends the others, unless the call is optional.
func (r *run) loop(s *step, res *result) {
	list, err := s.each.list(r.own)
	if err != nil {
		res.err = s.unable(err)
		return
	}
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	res.sent = make([]*filter.Exchange, len(list))
	parts, errs := make([]part, len(list)), make([]error, len(list))
	left := &room{}
	left.Store(r.of.maxPart)
	var group sync.WaitGroup
	turns := make(chan struct{}, s.each.parallel)
	for k := range list {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-turns }()
			at := r.own.Child(r.own.Request)
			r.of.at.Set(at, &scope{run: r, as: s.each.as, item: list[k]})
			parts[k], errs[k] = r.one(ctx, s, at, left, &res.sent[k])
			if errs[k] != nil && !s.optional {
				cancel(fmt.Errorf("element %d: %w", k, errs[k]))
			}
		})
	}
	group.Wait()
	if res.err = context.Cause(ctx); res.err == nil {
		res.part = joined(s, parts, errs)
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
func joined(s *step, parts []part, errs []error) part {
	size := 2
	for k := range parts {
		size += len(parts[k].raw) + len(s.standIn) + 5
	}
	all := part{status: http.StatusOK, raw: append(make([]byte, 0, size), '['), there: true}
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
	}
	all.raw = append(all.raw, ']')
	if s.needed {
		all.value = list
	}
	return all
}
