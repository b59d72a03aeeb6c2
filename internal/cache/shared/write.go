package shared

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/stored"
)

const (
	queueSize = 1024     // jobs that wait
	batchSize = 64       // jobs that are sent together
	batchMax  = 1 << 20  // bytes that are sent together, but for one job
	room      = 64 << 20 // bytes of all bodies that are being written, or wait
)

// kind is what is to be done.
type kind uint8

const (
	put kind = iota
	update
	remove
	release
)

// job is one thing to be done at the server. Nobody waits for it.
type job struct {
	kind  kind
	names names
	value []byte // of the head
	body  *body  // put: the body, which stands apart if it is long; update: what the body must be
	apart bool   // put: the body stands apart; release: nobody is to take the lease until then
	until time.Time
	size  int64 // that is given back when it is done
	token string
}

// writes are the jobs that wait. They are sent in order: a lease is given back after what was fetched with it is there.
type writes struct {
	s     *Store
	held  atomic.Int64
	queue chan job
	stop  chan struct{} // closed: what waits is sent, and nothing more comes
	done  sync.WaitGroup
	late  []job // leases to give back that the server has not taken; only of work
}

func (w *writes) init(s *Store) {
	w.s, w.stop, w.queue = s, make(chan struct{}), make(chan job, queueSize)
	w.done.Go(w.work)
}

// refused notes that the server has refused to do a job. One that is full can still be read.
func (s *Store) refused(name string, err error) {
	if !isFull(err) {
		s.failed(name, err)
		return
	}
	s.m.failed("full")
	now := time.Now().Unix()
	if last := s.full.Load(); now-last >= 60 && s.full.CompareAndSwap(last, now) {
		s.o.Log.Warn("the store of the cache is full and may not make room; set its maxmemory-policy to volatile-lru", "store", s.server.Name(), "err", err)
	}
}

// take takes room for bytes. False: there is none.
func (w *writes) take(n int64) bool {
	limit := max(room, 4*w.s.o.MaxBody)
	if w.held.Add(n) > limit {
		w.held.Add(-n)
		return false
	}
	return true
}

// add has a job done. False: it is dropped.
func (w *writes) add(j job) bool {
	w.s.mu.RLock()
	defer w.s.mu.RUnlock()
	if !w.s.closed {
		select {
		case w.queue <- j:
			return true
		default:
		}
	}
	w.drop(&j)
	return false
}

func (w *writes) drop(j *job) {
	w.held.Add(-j.size)
	w.s.m.dropped["write"].Inc()
}

// drain sends what waits, for a bounded time.
func (w *writes) drain() {
	close(w.stop)
	done := make(chan struct{})
	go func() { // ends with the work, which the end of the store's context ends
		w.done.Wait()
		close(done)
	}()
	limit := time.NewTimer(max(w.s.o.Timeout, time.Second))
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		w.s.end()
		<-done
	}
}

// work does the jobs, as many at a time as there are.
func (w *writes) work() {
	batch := make([]job, 0, batchSize)
	for {
		select {
		case j := <-w.queue:
			batch = append(batch, j)
		case <-w.stop:
			select {
			case j := <-w.queue:
				batch = append(batch, j)
			default:
				return
			}
		}
		bytes := len(batch[0].value)
		for more := true; more && len(batch) < batchSize && bytes < batchMax; {
			select {
			case j := <-w.queue:
				batch = append(batch, j)
				bytes += int(j.size)
			default:
				more = false
			}
		}
		w.send(batch)
		clear(batch)
		batch = batch[:0]
	}
}

// send does jobs. While the server is down they are dropped.
func (w *writes) send(batch []job) {
	s := w.s
	if s.outage.Down() || s.ctx.Err() != nil {
		for i := range batch {
			if batch[i].kind != release {
				w.drop(&batch[i])
			}
		}
		w.keep(batch)
		return
	}
	batch = append(batch, w.late...)
	w.late = nil
	err := s.ask(s.ctx, func(ctx context.Context, client rueidis.Client) error {
		var commands rueidis.Commands
		for i := range batch {
			commands = w.commands(commands, client, &batch[i])
		}
		for i, result := range client.DoMulti(ctx, commands...) {
			err := result.Error()
			if err == nil || rueidis.IsRedisNil(err) {
				continue
			}
			if _, answered := rueidis.IsRedisErr(err); !answered {
				return err
			}
			s.refused(commandKey(i, batch), err)
		}
		return nil
	})
	if err != nil {
		s.failed(batch[0].names.head, err)
		w.keep(batch)
	}
	for i := range batch {
		w.held.Add(-batch[i].size)
	}
}

// keep keeps what gives leases back until the server is there again: others would wait for them.
func (w *writes) keep(batch []job) {
	for i := range batch {
		if batch[i].kind == release && len(w.late) < queueSize {
			w.late = append(w.late, batch[i])
		}
	}
}

// commandKey is a key that a failure is about. Any of the batch does: it is what a probe asks about.
func commandKey(i int, batch []job) string { return batch[min(i, len(batch)-1)].names.head }

// commands appends what a job sends.
func (w *writes) commands(all rueidis.Commands, client rueidis.Client, j *job) rueidis.Commands {
	ttl := min(j.until.Sub(w.s.o.Now()), longest)
	if ttl < time.Millisecond && j.kind <= update {
		j.kind = remove
	}
	switch j.kind {
	case put:
		if j.apart {
			all = append(all, client.B().Set().Key(j.names.body).Value(rueidis.BinaryString(j.body.data)).Px(ttl).Build())
		}
		all = append(all, client.B().Set().Key(j.names.head).Value(rueidis.BinaryString(j.value)).Px(ttl).Build())
		if !j.apart {
			all = append(all, client.B().Unlink().Key(j.names.body).Build())
		}
	case update:
		all = append(all, updating.whole(client, []string{j.names.head, j.names.body}, rueidis.BinaryString(j.value), decimal(ttl.Milliseconds())))
	case remove:
		all = append(all, client.B().Unlink().Key(j.names.head, j.names.body).Build())
	case release:
		if !j.apart {
			ttl = 0
		}
		all = append(all, releasing.whole(client, []string{j.names.lease}, j.token, decimal(max(ttl.Milliseconds(), 0))))
	}
	return all
}

// Put begins to store a response.
func (s *Store) Put(_ context.Context, r *stored.Response) (stored.Writer, error) {
	if s.outage.Down() || r.Size > s.o.MaxBody || s.ctx.Err() != nil {
		return nil, stored.ErrNotKept
	}
	w := &writer{s: s}
	if r.Size > 0 {
		if !s.writes.take(r.Size) {
			s.m.dropped["write"].Inc()
			return nil, stored.ErrNotKept
		}
		w.held, w.data = r.Size, make([]byte, 0, r.Size)
	}
	return w, nil
}

// Update replaces the head of a response, if its body is still the one that it had.
func (s *Store) Update(_ context.Context, r *stored.Response) {
	if s.outage.Down() {
		return
	}
	b := s.known(r)
	if b == nil {
		return
	}
	value, err := encode(r, b.data, b.sum)
	if err != nil {
		s.Delete(s.ctx, r.Key)
		return
	}
	if len(b.data) <= apartFrom {
		value = value[:len(value)-len(b.data)]
	}
	size := int64(len(value))
	if !s.writes.take(size) {
		s.m.dropped["write"].Inc()
		return
	}
	s.writes.add(job{kind: update, names: s.names(r.Key), value: value, until: s.until(r), size: size})
}

// known returns a response's body, and its sum. Nil: it is not at hand.
func (s *Store) known(r *stored.Response) *body {
	switch b := r.Body.(type) {
	case nil:
		if r.Marker {
			return newBody(nil)
		}
		return nil
	case *body:
		return b
	}
	if r.Size < 0 || r.Size > s.o.MaxBody {
		return nil
	}
	from, err := r.Body.Open()
	if err != nil {
		return nil
	}
	defer func() { _ = from.Close() }()
	data := make([]byte, r.Size)
	if n, err := from.ReadAt(data, 0); n != len(data) && err != nil {
		return nil
	}
	return newBody(data)
}

func newBody(data []byte) *body { return &body{data, xxhash.Sum64(data)} }

// until is until when a response is kept. What can be validated is of use for longer than it may be used without, and so is a Marker.
func (s *Store) until(r *stored.Response) time.Time {
	until := r.Until()
	if r.Marker || r.Header.Get("Etag") != "" || r.Header.Get("Last-Modified") != "" {
		now := s.o.Now()
		if until.Before(now) {
			until = now
		}
		return until.Add(validate)
	}
	return until
}
