package sequence

import (
	"context"
	"crypto/rand"
	"fmt"
	random "math/rand/v2"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
)

const (
	lookedAt = 100 // abandoned sequences that are looked at together
	maxTaken = 100 // how often a sequence may be taken: one that ends gateways must not end them all
)

// rouse has the gateway look for abandoned sequences.
func (k *shared) rouse() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// watch looks for abandoned sequences now and then, and undoes them.
func (k *shared) watch(s *sequence) {
	for {
		every := k.lease / 3
		wait := time.NewTimer(every/2 + random.N(every)) // gateways do not come all at once
		select {
		case <-k.life.Done():
			wait.Stop()
			return
		case <-k.wake:
			wait.Stop()
		case <-wait.C:
		}
		k.look(s)
	}
}

// look takes what was abandoned.
func (k *shared) look(s *sequence) {
	ctx, cancel := context.WithTimeout(k.life, k.lease)
	abandoned, ids, err := k.store.list(ctx, k, lookedAt)
	cancel()
	if err != nil {
		return
	}
	k.abandoned.Set(float64(abandoned))
	var failed atomic.Bool
	for _, id := range ids {
		select {
		case k.places <- struct{}{}:
		case <-k.life.Done():
			return
		}
		k.group.Go(func() {
			defer func() { <-k.places }()
			if !k.take(s, id) {
				failed.Store(true)
			}
		})
	}
	if len(ids) == lookedAt && !failed.Load() { // there are more
		k.rouse()
	}
}

// take takes one abandoned sequence, unless somebody else does, and undoes it. It says whether the store has answered.
func (k *shared) take(s *sequence, id string) bool {
	h := &hold{of: k, id: id, token: rand.Text(), keyed: true, cancel: func(error) {}}
	ctx, cancel := context.WithTimeout(k.life, k.lease)
	defer cancel()
	h.until = time.Now().Add(k.lease)
	word, fields, err := k.store.take(ctx, k, id, h.token)
	if err != nil {
		return false
	}
	switch word {
	case "lost":
		k.tellLost(s, id, fields["p"], "there is no journal of it, or that of other steps or another secret, or it was tried too often")
		return true
	case "taken":
	default:
		return true
	}
	h.start()
	if err := k.undo(s, h, fields); err != nil {
		k.tellLost(s, id, fields["p"], err.Error())
		_ = h.finish(isLost, fields["p"], "", k.lease)
	}
	return true
}

// tellLost tells operators of a sequence that nobody can undo.
func (k *shared) tellLost(s *sequence, id, progress, why string) {
	k.recovered["unknown"].Inc()
	s.log.Error("a sequence was abandoned, and cannot be undone", "route", s.route, "idempotency_keys", id[:32]+"-*", "steps", progress, "error", why)
}

// undo undoes a sequence as the gateway would have that ran it. An error means that it cannot be said what is to be undone.
func (k *shared) undo(s *sequence, h *hold, fields map[string]string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("panic in a sequence", "idempotency_keys", h.id[:32]+"-*", "route", s.route, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	r, ex, err := s.reopen(k.life, h.id, fields)
	if err != nil {
		return err
	}
	defer r.end(ex)
	how, result := nothing, "nothing"
	if r.touched() {
		s.log.Warn("a sequence was abandoned in the middle, and is undone", "request_id", ex.ID, "route", s.route, "steps", fields["p"])
		how, result = wasUndone, "undone"
	}
	r.undo()
	if k.life.Err() != nil {
		h.yield()
		return nil
	}
	if strings.Contains(r.told(), "state=stuck") {
		result = "stuck"
	}
	if err := h.finish(how, r.told(), "", k.lease); err != nil {
		return nil // somebody else does all again
	}
	k.recovered[result].Inc()
	if how == wasUndone {
		s.log.Warn("an abandoned sequence has ended", "request_id", ex.ID, "route", s.route, "steps", r.told())
	}
	return nil
}
