package shared

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/filter"
)

const (
	kept       = 10000                  // purges in the stream; who has missed more lets go of all before
	atOnce     = 1000                   // purges that are read at a time
	listen     = time.Second            // for how long the server waits for the next purge
	again      = 100 * time.Millisecond // until something is tried once more
	maxWaiting = 1024                   // purges that wait to be published; more become one of all
	maxText    = 16 << 10
	maxSeq     = 9e15
)

var errNotUp = errors.New("the store of the cache is down")

// purges are what gateways tell each other.
type purges struct {
	s   *Store
	key string

	mu         sync.Mutex // guards reading: purges are delivered in order
	deliver    func(seq uint64, p filter.Purge)
	cursor     uint64 // the last that was delivered, or was known before
	subscribed atomic.Bool
	synced     atomic.Bool
	published  atomic.Uint64

	waiting   waiting
	publisher sync.WaitGroup
	stop      chan struct{}
}

func (p *purges) init(s *Store) {
	p.s, p.key, p.stop = s, s.prefix+"{purges}", make(chan struct{})
	p.waiting.more = make(chan struct{}, 1)
	p.publisher.Go(p.send)
}

// current says whether all purges that the server knows have been delivered, but for those that are on their way, and it knows those of this gateway.
func (p *purges) current() bool {
	return (p.synced.Load() || !p.subscribed.Load()) && !p.waiting.late.Load()
}

// known is the greatest number that this gateway knows.
func (p *purges) known(cursor uint64) uint64 { return max(cursor, p.published.Load()) }

// Publish tells all gateways of a purge, and returns its number. It waits for a second, or for Timeout if that is longer. After an error it is told later, when the server
// is back; until it is, Get finds nothing.
func (s *Store) Publish(ctx context.Context, p filter.Purge) (uint64, error) {
	text, err := textOf(p)
	if err != nil {
		return 0, err
	}
	seq, err := s.purges.bounded(ctx, text)
	if err != nil {
		s.purges.later(p, true)
		return 0, fmt.Errorf("it holds in this gateway, and others are told once the store is back: %w", err)
	}
	return seq, nil
}

// PublishLater tells all gateways of a purge, soon. It does not wait.
func (s *Store) PublishLater(p filter.Purge) {
	if _, err := textOf(p); err == nil {
		s.purges.later(p, false)
	}
}

// bounded publishes one purge, and waits no longer than an operator should: connecting may take longer.
func (p *purges) bounded(ctx context.Context, text string) (uint64, error) {
	limited, cancel := context.WithTimeout(ctx, max(p.s.o.Timeout, time.Second))
	defer cancel()
	type result struct {
		seq uint64
		err error
	}
	done := make(chan result, 1)
	if !p.s.start(func() {
		seq, err := p.publish(limited, text)
		done <- result{seq, err}
	}) {
		return 0, errNotUp
	}
	select {
	case r := <-done:
		return r.seq, r.err
	case <-limited.Done():
		if ctx.Err() == nil {
			p.s.outage.Late(p.key)
		}
		return 0, limited.Err()
	}
}

// publish publishes one purge.
func (p *purges) publish(ctx context.Context, text string) (uint64, error) {
	s := p.s
	if s.outage.Down() || s.ctx.Err() != nil {
		return 0, errNotUp
	}
	numbers, err := p.append(ctx, []string{text})
	if err != nil {
		return 0, err
	}
	return numbers[0], nil
}

// append appends purges to the stream.
func (p *purges) append(ctx context.Context, texts []string) ([]uint64, error) {
	s := p.s
	var numbers []uint64
	err := s.ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		numbers = numbers[:0]
		var commands rueidis.Commands
		for _, text := range texts {
			commands = append(commands, publishing.whole(client, []string{p.key}, strconv.FormatUint(p.published.Load(), 10), decimal(kept), text))
		}
		for _, result := range client.DoMulti(ctx, commands...) {
			answer, err := result.ToString()
			if err != nil {
				return err
			}
			seq, ok := number(answer)
			if !ok {
				return errors.New("the number of a purge is none")
			}
			numbers = append(numbers, seq)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		s.refused(p.key, err)
	}
	for _, seq := range numbers {
		raise(&p.published, seq)
	}
	return numbers, err
}

// raise makes a number at least another.
func raise(n *atomic.Uint64, least uint64) {
	for {
		old := n.Load()
		if old >= least || n.CompareAndSwap(old, least) {
			return
		}
	}
}

// number reads the number of a purge.
func number(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && n > 0 && n <= maxSeq
}

// textOf is the text of a purge in the stream.
func textOf(p filter.Purge) (string, error) {
	if err := check(p); err != nil {
		return "", err
	}
	text, err := json.Marshal(p)
	return string(text), err
}

// check says what is wrong with a purge.
func check(p filter.Purge) error {
	set := 0
	for _, text := range []string{p.URL, p.Prefix, p.Tag} {
		if text != "" {
			set++
		}
		if len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return errors.New("cannot tell other gateways of a purge: its text is too long, or none")
		}
	}
	if p.All {
		set++
	}
	if set != 1 {
		return errors.New("cannot tell other gateways of a purge: it has not one of URL, prefix, tag and all")
	}
	return nil
}

// parse reads a purge.
func parse(text string) (filter.Purge, error) {
	var p filter.Purge
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields() // a purge that says more than this version knows is one of all
	if err := d.Decode(&p); err != nil {
		return filter.Purge{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return filter.Purge{}, errors.New("there is more than a purge")
	}
	return p, check(p)
}

// Subscribe has all purges delivered in the order of their numbers, those of this gateway among them: first those after since which the server still
// has. Where some are missing one of all comes first, with the number of the last that is missing. It is called once, and waits until the first are
// delivered, but no longer than Timeout; until they are, Get finds nothing. Deliver may be called by any goroutine, one at a time, and must not wait.
func (s *Store) Subscribe(since uint64, deliver func(seq uint64, p filter.Purge)) {
	p := &s.purges
	p.mu.Lock()
	p.deliver, p.cursor = deliver, since
	p.mu.Unlock()
	raise(&p.published, since)
	if p.subscribed.Swap(true) {
		return
	}
	first := make(chan struct{})
	if !s.start(func() { p.follow(first) }) {
		return
	}
	limit := time.NewTimer(s.o.Timeout)
	defer limit.Stop()
	select {
	case <-first:
	case <-limit.C:
	}
}

// follow delivers what comes, until the store ends.
func (p *purges) follow(first chan struct{}) {
	s := p.s
	for s.ctx.Err() == nil {
		if s.outage.Down() { // its end brings what was missed
			p.synced.Store(false)
			s.pause(again)
			continue
		}
		err := p.next()
		if err != nil {
			p.synced.Store(false)
			if s.ctx.Err() == nil {
				s.refused(p.key, err)
				s.pause(again)
			}
			continue
		}
		if first != nil {
			close(first)
			first = nil
		}
	}
}

// pause waits, unless the store ends.
func (s *Store) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// next delivers all there is, or waits for the next.
func (p *purges) next() error {
	if !p.synced.Load() {
		return p.catchUp(p.s.ctx)
	}
	p.mu.Lock()
	cursor := p.cursor
	p.mu.Unlock()
	entries, err := p.listen(cursor)
	if err != nil {
		if _, answered := rueidis.IsRedisErr(err); answered {
			return err
		}
		p.s.pause(again / 10) // its connection is lost; the other one tells whether the server is
	}
	if len(entries) == 0 {
		return p.catchUp(p.s.ctx) // the stream may be lost
	}
	p.mu.Lock()
	p.take(entries)
	stuck := p.cursor == cursor
	p.mu.Unlock()
	if stuck {
		return p.catchUp(p.s.ctx) // which throws away what nobody can read
	}
	return nil
}

// listen waits for purges after one.
func (p *purges) listen(cursor uint64) (entries []rueidis.XRangeEntry, err error) {
	err = p.s.server.AskFor(p.s.ctx, listen, func(ctx context.Context, client rueidis.Client) error {
		all, err := client.Do(ctx, client.B().Xread().Count(atOnce).Block(listen.Milliseconds()).Streams().Key(p.key).Id(id(cursor)).Build()).AsXRead()
		if rueidis.IsRedisNil(err) {
			return nil
		}
		entries = all[p.key]
		return err
	})
	if answer, ok := rueidis.IsRedisErr(err); ok && (strings.HasPrefix(answer.Error(), "WRONGTYPE") || strings.HasPrefix(answer.Error(), "UNBLOCKED")) {
		return nil, nil // attesting makes a stream of it
	}
	return entries, err
}

func id(seq uint64) string { return strconv.FormatUint(seq, 10) + "-0" }

// settle is done when the server is back, before anybody asks: what waits is published, and what was missed is delivered.
func (s *Store) settle(ctx context.Context) error {
	for range 2 * maxWaiting / batchSize { // bounded: more may come all the time
		some := s.purges.waiting.some()
		if len(some) == 0 {
			break
		}
		err := s.purges.sendSome(ctx, some)
		if isFull(err) {
			break // it can be written to later
		}
		if err != nil {
			return err
		}
	}
	if !s.purges.subscribed.Load() {
		return nil
	}
	return s.purges.catchUp(ctx)
}

// catchUp delivers all that the stream has after the cursor, and makes up for what it has lost.
func (p *purges) catchUp(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, err := p.attest(ctx)
	if err != nil {
		return err
	}
	for p.cursor < last {
		entries, err := p.after(ctx, p.cursor)
		if err != nil {
			return err
		}
		before := p.cursor
		p.take(entries)
		if p.cursor == before { // they were deleted
			p.lost(last)
		}
	}
	p.synced.Store(true)
	return nil
}

// attest returns the number of the last purge in the stream.
func (p *purges) attest(ctx context.Context) (last uint64, err error) {
	err = p.s.ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		answer, err := client.Do(ctx, attesting.whole(client, []string{p.key}, strconv.FormatUint(p.known(p.cursor), 10), decimal(kept))).ToString()
		if err != nil {
			return err
		}
		seq, ok := number(answer)
		if !ok {
			return errors.New("the number of a purge is none")
		}
		last = seq
		return nil
	})
	return last, err
}

// after reads some of the stream.
func (p *purges) after(ctx context.Context, cursor uint64) (entries []rueidis.XRangeEntry, err error) {
	err = p.s.ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		entries, err = client.Do(ctx, client.B().Xrange().Key(p.key).Start(strconv.FormatUint(cursor, 10)+"-1").End("+").Count(atOnce).Build()).AsXRange()
		return err
	})
	return entries, err
}

// take delivers entries. Where one does not follow on what was delivered last, some are missing between them.
func (p *purges) take(entries []rueidis.XRangeEntry) {
	for _, e := range entries {
		text, sub, _ := strings.Cut(e.ID, "-")
		seq, ok := number(text)
		if !ok || seq <= p.cursor && sub == "0" {
			continue
		}
		if sub != "0" { // nobody writes such
			p.lost(seq + 1)
			continue
		}
		prev, err := strconv.ParseUint(e.FieldValues["prev"], 10, 64)
		what, wrong := parse(e.FieldValues["p"])
		if err != nil || prev > seq || wrong != nil {
			p.lost(seq)
			continue
		}
		if prev > p.cursor {
			p.lost(prev)
		}
		known := p.cursor
		p.cursor = seq
		p.deliver(seq, what)
		if prev < known { // the stream was lost, and whoever wrote this did not know what was in it
			p.later(filter.Purge{All: true}, false)
		}
	}
}

// lost has all that is older than a purge be gone: what it was about is not known.
func (p *purges) lost(seq uint64) {
	if seq <= p.cursor {
		return
	}
	p.cursor = seq
	p.deliver(seq, filter.Purge{All: true})
}

// waiting are purges that are to be published.
type waiting struct {
	mu   sync.Mutex
	list []filter.Purge
	set  map[filter.Purge]bool
	late atomic.Bool // somebody relies on one of them
	more chan struct{}
}

// later has a purge published by and by. If it was to be published already, nothing is found until it is.
func (p *purges) later(what filter.Purge, late bool) {
	w := &p.waiting
	w.mu.Lock()
	if late {
		w.late.Store(true)
	}
	if !w.set[what] {
		if w.set == nil {
			w.set = map[filter.Purge]bool{}
		}
		if len(w.list) >= maxWaiting {
			what = filter.Purge{All: true, Soft: what.Soft && !slices.ContainsFunc(w.list, func(p filter.Purge) bool { return !p.Soft })}
			w.list = w.list[:0]
			clear(w.set)
			p.s.m.dropped["purge"].Inc()
		}
		w.list = append(w.list, what)
		w.set[what] = true
	}
	w.mu.Unlock()
	p.wake()
}

// wake has what waits be published.
func (p *purges) wake() {
	select {
	case p.waiting.more <- struct{}{}:
	default:
	}
}

// some takes some of what waits.
func (w *waiting) some() []filter.Purge {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.list), batchSize)
	if n == 0 {
		w.late.Store(false)
	}
	some := slices.Clone(w.list[:n])
	w.list = append(w.list[:0], w.list[n:]...)
	for _, p := range some {
		delete(w.set, p)
	}
	return some
}

// send publishes what waits, many at a time. It ends when nothing more comes, or the server is down then.
func (p *purges) send() {
	s := p.s
	for {
		stopped := false
		select {
		case <-p.waiting.more:
		case <-p.stop:
			stopped = true
		}
		for !s.outage.Down() && s.ctx.Err() == nil {
			some := p.waiting.some()
			if len(some) == 0 {
				break
			}
			if p.sendSome(s.ctx, some) != nil {
				if stopped {
					return
				}
				s.pause(again)
			}
		}
		if stopped {
			return
		}
	}
}

// sendSome publishes purges. After a failure they wait again.
func (p *purges) sendSome(ctx context.Context, some []filter.Purge) error {
	texts := make([]string, 0, len(some))
	for _, what := range some {
		if text, err := textOf(what); err == nil {
			texts = append(texts, text)
		}
	}
	_, err := p.append(ctx, texts)
	if err != nil {
		for _, what := range some {
			p.later(what, true)
		}
	}
	return err
}

// drain publishes what waits, for a bounded time.
func (p *purges) drain() {
	close(p.stop)
	limit := time.AfterFunc(max(p.s.o.Timeout, time.Second), p.s.end)
	defer limit.Stop()
	p.publisher.Wait()
	p.waiting.mu.Lock()
	defer p.waiting.mu.Unlock()
	if n := len(p.waiting.list); n > 0 {
		p.s.m.dropped["purge"].Add(float64(n))
		p.s.o.Log.Warn("the gateway ends, and other gateways were not told of some purges", "purges", n, "store", p.s.server.Name())
	}
}
