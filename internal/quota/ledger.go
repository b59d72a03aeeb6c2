// Package quota counts what callers use up of their quotas: over hours, days, weeks, months and years of the calendar, or over the last so many
// days. A Ledger holds the counts in memory and, so that they survive a restart, in a file; a Shared has them in a Redis or Valkey, where
// gateways count together. It knows no request: whom a request counts for, how much, and what becomes of those that are over, is for the
// policy to say that imports it.
package quota

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"cardea.dev/cardea/internal/limit"
)

// Unlimited is an amount that nothing exceeds.
const Unlimited = Most + 1

// Most is the greatest amount, and what counts stop at. Redis knows greater numbers no longer exactly.
const Most = 1 << 53

// ErrFull says that there are as many keys as there may be. No key is forgotten for a new one while its usage counts.
var ErrFull = errors.New("as many keys are counted as may be (max_keys)")

// Ask is one quota that a request is counted in.
type Ask struct {
	Series *Series
	ID     limit.ID
	Amount int64 // what may be used; Unlimited
	Span   Span  // that the time is in

	// What was found:
	Used  int64     // with what the request took, if it was let pass
	Reset time.Time // when usage falls: of the calendar, the period's end; else when the first of it falls out
	Retry time.Time // when the same request would be let pass, if this quota refuses it; zero: never
}

// Counter counts. It may be used by many goroutines.
type Counter interface {
	// Take counts a cost in all quotas, if each has as much left as is needed, which may be more or less than the cost. It returns the
	// index of a quota that has not, and then counts in none, or -1. An error says that it cannot be known.
	Take(ctx context.Context, now time.Time, asks []Ask, cost, need int64) (int, error)

	// Charge counts a cost that was had already, whatever is left. It does not wait.
	Charge(now time.Time, asks []Ask, cost int64) error

	// Look says what Take would, without counting and without waiting. False: it cannot be said without waiting.
	Look(now time.Time, asks []Ask, need int64) (int, bool)

	// Top lists the keys of a series that used most, as far as this gateway knows.
	Top(s *Series, n int) []limit.Usage

	// Reset forgets what was counted for a key of a series in a span. It says whether there was something.
	Reset(ctx context.Context, s *Series, span Span, key string) (bool, error)

	// Keys is how many keys of a series are counted here.
	Keys(s *Series) int64

	// Series returns the counts with a name and a period, or begins them.
	Series(name string, p Period, maxKeys int) *Series

	// Store describes where the counts are.
	Store() string
}

// Options are what a Ledger is opened with.
type Options struct {
	File   string // "": in memory alone
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
	Failed func()           // called when the file cannot be written; may be nil
}

// Ledger counts in memory, and keeps the counts in a file. One goroutine writes it; Close ends it.
type Ledger struct {
	o    Options
	file *file // nil: in memory alone; used by the writing goroutine alone

	mu     sync.Mutex
	series []*Series
	taken  map[int]bool       // numbers of series
	next   int                // from here on numbers may be free
	names  map[string]*Series // by name and period
	dirty  []*account

	sweeper sweeper
	stop    chan struct{}
	done    chan struct{}
}

// Series are the counts of one quota by key. Their fields are guarded by the ledger's lock.
type Series struct {
	name     string
	period   Period
	number   int   // in the file, for as long as there is the file
	latest   int64 // the label of the span that was asked for last
	maxKeys  int
	accounts map[limit.ID]*account
	list     []*account
}

// account is what one key used.
type account struct {
	series  *Series
	id      limit.ID
	place   int      // in series.list
	recent  [2]usage // of the calendar: the latest span that something was counted in, and the one before
	slots   []usage  // of a rolling period: in order
	from    int64    // the first slot that the file does not know
	amount  int64    // what it was allowed last
	refused int64
	dirty   bool // the file does not know all of it
	anew    bool // what the file knows of it is not so any more
}

// usage is what was used in a span.
type usage struct{ label, used int64 }

// none is the label of no span.
const none = -1 << 62

// Open opens a ledger, and begins its file if there is none.
func Open(o Options) (*Ledger, error) {
	l := newLedger(o)
	if o.File != "" {
		if err := l.openFile(); err != nil {
			return nil, err
		}
	}
	l.begin()
	return l, nil
}

func newLedger(o Options) *Ledger {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Failed == nil {
		o.Failed = func() {}
	}
	return &Ledger{o: o, names: map[string]*Series{}, taken: map[int]bool{}, stop: make(chan struct{}), done: make(chan struct{})}
}

// begin starts the goroutine.
func (l *Ledger) begin() {
	l.sweeper.last = l.o.Now()
	go l.run()
}

// Series returns the counts with a name and a period, or begins them.
func (l *Ledger) Series(name string, p Period, maxKeys int) *Series {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(name, p)
	s.maxKeys = maxKeys
	return s
}

func (l *Ledger) find(name string, p Period) *Series {
	key := p.String() + " " + name
	s := l.names[key]
	if s == nil {
		for l.taken[l.next] {
			l.next++
		}
		s = &Series{name: name, period: p, number: l.next, latest: none, accounts: map[limit.ID]*account{}}
		l.names[key], l.series = s, append(l.series, s)
		l.taken[s.number] = true
	}
	return s
}

// Store describes where the counts are.
func (l *Ledger) Store() string {
	if l.o.File == "" {
		return "memory"
	}
	return "file " + l.o.File
}

// Take counts a cost, if all quotas let it pass.
func (l *Ledger) Take(_ context.Context, now time.Time, asks []Ask, cost, need int64) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if refusing := l.look(now, asks, need); refusing >= 0 {
		if a := asks[refusing].account(); a != nil {
			a.refused++
		}
		return refusing, nil
	}
	return -1, l.count(now, asks, cost)
}

// Charge counts a cost that was had already.
func (l *Ledger) Charge(now time.Time, asks []Ask, cost int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count(now, asks, cost)
}

// Look says what Take would.
func (l *Ledger) Look(now time.Time, asks []Ask, need int64) (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.look(now, asks, need), true
}

// look finds what was used, and a quota that has not enough left.
func (l *Ledger) look(now time.Time, asks []Ask, need int64) int {
	refusing := -1
	for i := range asks {
		q := &asks[i]
		a := q.account()
		q.Series.latest = q.Span.Label
		q.Used, q.Reset, q.Retry = 0, q.end(now), time.Time{}
		if a != nil {
			q.Used, q.Reset = a.used(q, now), a.reset(q, now)
		}
		if q.Amount == Unlimited || q.Used+need <= q.Amount {
			continue
		}
		if need <= q.Amount {
			q.Retry = a.retry(q, now, need)
		}
		if refusing < 0 || later(q.Retry, asks[refusing].Retry) {
			refusing = i
		}
	}
	return refusing
}

// later says whether a refusal lasts longer than another. One without an end lasts longest.
func later(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

// count counts, unless a key is new and there is no room.
func (l *Ledger) count(now time.Time, asks []Ask, cost int64) error {
	if cost == 0 {
		return nil
	}
	for i := range asks {
		if s := asks[i].Series; asks[i].account() == nil && len(s.list) >= s.maxKeys {
			return ErrFull
		}
	}
	for i := range asks {
		q := &asks[i]
		a := q.account()
		if a == nil {
			a = q.Series.add(q.ID)
		}
		a.amount = q.Amount
		q.Used = a.add(q, now, cost)
		l.mark(a)
	}
	return nil
}

// mark has an account written to the file.
func (l *Ledger) mark(a *account) {
	if !a.dirty && l.file != nil {
		a.dirty = true
		l.dirty = append(l.dirty, a)
	}
}

func (q *Ask) account() *account { return q.Series.accounts[q.ID] }

// end is when nothing that is counted now counts any more, or, of the calendar, when the period ends.
func (q *Ask) end(now time.Time) time.Time {
	if q.Series.period.Unit == "" {
		return q.Series.period.fallsOut(q.Span.Label)
	}
	return q.Span.End
}

func (s *Series) add(id limit.ID) *account {
	a := &account{series: s, id: id, place: len(s.list), recent: [2]usage{{label: none}, {label: none}}}
	s.accounts[id], s.list = a, append(s.list, a)
	return a
}

// remove forgets an account.
func (s *Series) remove(a *account) {
	last := s.list[len(s.list)-1]
	s.list[a.place], last.place = last, a.place
	s.list[len(s.list)-1] = nil
	s.list = s.list[:len(s.list)-1]
	delete(s.accounts, a.id)
}

// Reset forgets what was counted for a key, in whatever span.
func (l *Ledger) Reset(_ context.Context, s *Series, _ Span, key string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := false
	for _, id := range idsOf(key) {
		a := s.accounts[id]
		if a == nil {
			continue
		}
		for _, u := range append(a.recent[:], a.slots...) {
			found = found || u.used > 0
		}
		a.recent[0].used, a.recent[1].used, a.slots, a.refused = 0, 0, nil, 0
		a.anew = true
		l.mark(a)
	}
	return found, nil
}

// Close writes what is not written, and lets go of the file.
func (l *Ledger) Close() error {
	close(l.stop)
	<-l.done
	if l.file == nil {
		return nil
	}
	return errors.Join(l.flush(), l.file.close())
}
