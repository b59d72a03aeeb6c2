package sequence

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/seal"
)

const (
	abandonedLife = 7 * 24 * time.Hour // how long the store keeps what nobody has ended
	doneLife      = time.Minute        // of what has no key, so that its end can be told twice
	local         = "local"            // the store that is none
)

// shared is the store as one sequence uses it.
type shared struct {
	store   store
	lacks   string // what is the matter where the store fails
	place   string // what its keys begin with
	digest  string // of the steps: who has the same can undo what another did
	timeout time.Duration
	lease   time.Duration
	local   bool         // sequences begin without the store while that is away
	sealer  *seal.Sealer // nil: there is no journal, and answers are not kept

	recovered map[string]prometheus.Counter // by what became of what was abandoned
	abandoned prometheus.Gauge              // what waits for that

	life   context.Context // of recoveries
	end    context.CancelFunc
	wake   chan struct{}
	places chan struct{} // of recoveries at once
	group  sync.WaitGroup
}

// share readies the store, if there is one.
func (s *sequence) share(env *filter.Env, c *Config) error {
	failed := env.Metrics.Counter("sequence_store_failures_total", "How often the store of sequences failed, or did not answer in time.")
	recovered := env.Metrics.Counter("sequence_recovered_total", "Sequences whose gateway ended in the middle, by what became of them.", "route", "result")
	abandoned := env.Metrics.Gauge("sequence_abandoned", "Sequences whose gateway ended in the middle, and which nobody has undone yet.", "route")
	url := cmp.Or(c.Store, env.Store)
	switch {
	case c.Disk == "" && (url == "" || url == local):
		if len(c.Secret) > 0 {
			return config.FieldErrorf("secret", "it is for what is kept in the `store` or on the `disk`, and there is none")
		}
		return nil
	case env.Offline && c.Disk != "":
		s.shares = sharing(c)
		if err := checkDisk(dirOf(env, c)); err != nil {
			return config.FieldErrorf("disk", "%w", err)
		}
		return nil
	case env.Offline:
		if _, err := redis.New(url.Reveal()); err != nil {
			return config.FieldErrorf("store", "%w", err)
		}
		s.shares = sharing(c)
		return nil
	}
	digest, err := digestOf(c)
	if err != nil {
		return err
	}
	k := &shared{
		place: placeOf(env.Route.Name), digest: digest, timeout: c.StoreTimeout.Std(), lease: c.Lease.Std(), local: c.OnStoreFailure == local,
		wake: make(chan struct{}, 1), places: make(chan struct{}, 8), recovered: map[string]prometheus.Counter{},
		abandoned: abandoned.WithLabelValues(env.Route.Name),
	}
	if k.sealer, err = newSealer(c.Secret); err != nil {
		return err
	}
	for _, result := range []string{"nothing", "undone", "stuck", "unknown"} {
		k.recovered[result] = recovered.WithLabelValues(env.Route.Name, result)
	}
	if c.Disk != "" {
		err = k.useDisk(env, dirOf(env, c), failed.WithLabelValues().Inc)
	} else {
		err = k.useRemote(env, url, failed.WithLabelValues().Inc)
	}
	if err != nil {
		return err
	}
	k.life, k.end = context.WithCancel(context.Background())
	s.shared, s.shares = k, sharing(c)
	k.group.Go(func() { k.watch(s) })
	return nil
}

// useRemote has records in a Redis or Valkey.
func (k *shared) useRemote(env *filter.Env, url config.Secret, failed func()) error {
	server, err := redis.Kept(env, url)
	if err != nil {
		return config.FieldErrorf("store", "%w", err)
	}
	st := redis.Attach(server, "sequences", func() *remote { return newRemote(server, env.Log, failed) })
	st.outage.Patience(k.timeout)
	k.store, k.lacks = st, "their store cannot be reached"
	return nil
}

// useDisk has records in a directory. What was abandoned there, and cannot be read, is not given up without anybody's knowledge.
func (k *shared) useDisk(env *filter.Env, path string, failed func()) error {
	d, err := keptDisk(env, path, failed)
	if err != nil {
		return config.FieldErrorf("disk", "%w", err)
	}
	switch n, err := d.unread(k); {
	case err != nil:
		return config.FieldErrorf("disk", "%w", err)
	case n > 0:
		return config.FieldErrorf("secret", "%d sequences of the route that were abandoned in %s are sealed with another secret; add that one, behind this one, for them to be undone, or move the directory away to give them up", n, path)
	}
	k.store, k.lacks = d, "the disk cannot be written"
	return nil
}

// sharing says what is shared.
func sharing(c *Config) string {
	switch {
	case c.Disk != "":
		return "keys and a journal are on the disk"
	case len(c.Secret) == 0:
		return "keys are shared with other gateways"
	}
	return "keys and a journal are shared with other gateways"
}

// digestOf is the digest of the steps, and of what undoes them.
func digestOf(c *Config) (string, error) {
	h := sha256.New()
	for _, d := range call.Declared(c.Self, "steps", c.Steps, c.More) {
		var v any
		if err := d.Node.Decode(&v); err != nil {
			return "", err
		}
		b, err := document.Append(nil, v)
		if err != nil {
			return "", fmt.Errorf("cannot read the step %s: %w", d.Name, err)
		}
		fmt.Fprintf(h, "%d:%s%d:%s", len(d.Name), d.Name, len(b), b)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// Close ends recoveries; other gateways go on with them at once.
func (s *sequence) Close() error {
	if s.shared != nil {
		s.shared.end()
		s.shared.group.Wait()
		s.shared.abandoned.Set(0) // those that take the route over say it anew
	}
	return nil
}

// record is the key of a record.
func (k *shared) record(id string) string { return k.place + id }

// sealedBy is the key that the journal is sealed with.
func (k *shared) sealedBy() string {
	if ids := k.opens(); len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// opens are the keys by which this gateway can read journals.
func (k *shared) opens() []string {
	if k.sealer == nil {
		return nil
	}
	return k.sealer.IDs()
}

// claim takes the key of a request in the store. It returns the answer that was kept, if all was done before. Again is as in kept.claim.
func (r *run) claim(ex *filter.Exchange, known bool) (answer *http.Response, again bool, err error) {
	k := r.of.shared
	if k == nil || r.id == (id{}) && k.sealer == nil {
		return nil, known, nil
	}
	h := &hold{of: k, id: hex.EncodeToString(r.id[:]), token: rand.Text(), keyed: r.id != (id{}), cancel: r.cancel}
	fingerprint, head := "", ""
	if h.keyed {
		if fingerprint, err = r.fingerprint(); err != nil {
			return nil, false, err
		}
	} else {
		var chance id
		_, _ = rand.Read(chance[:])
		h.id = hex.EncodeToString(chance[:])
	}
	if k.sealer != nil && !known {
		if head, err = r.head(k, h.id); err != nil {
			return nil, false, err
		}
	}
	word, text, err := k.begin(r, h, fingerprint, head)
	switch {
	case err != nil && k.local && !r.of.kept.unsure(r.id): // else another gateway will undo it
		return nil, known, nil
	case err != nil:
		return nil, false, filter.Reject(filter.SequenceUnavailable, "").Because(err).With("Retry-After", "1")
	case word == "new":
		h.journal = head != ""
	case word == "again":
		known = true
	case word == "kept":
		answer, err = keptAnswer(ex, k, h.id, text)
		return answer, true, err
	default:
		return nil, false, k.refuse(word, text)
	}
	h.start()
	r.hold = h
	return nil, known, nil
}

// begin asks the store for a key.
func (k *shared) begin(r *run, h *hold, fingerprint, head string) (word, text string, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, k.timeout)
	defer cancel()
	h.until = time.Now().Add(k.lease)
	word, text, err = k.store.claim(ctx, k, &claim{id: h.id, token: h.token, fingerprint: fingerprint, progress: r.told(), head: head})
	if err != nil && !k.store.down() { // it may have come too late
		k.group.Go(func() { _ = h.finish(nothing, "", "", k.timeout) })
	}
	return word, text, err
}

// refuse is the answer to a request whose key is not free.
func (k *shared) refuse(word, progress string) error {
	switch word {
	case "other":
		e := filter.Reject(filter.IdempotencyConflict, "The key of the request is that of another, which asked for something else.")
		e.Status = http.StatusUnprocessableEntity
		return e
	case "undone":
		return used(progress)
	case "lost":
		return unknownFor(errors.New("its gateway ended in the middle, and what it did could not be undone"), "").With(Told, progress)
	case "abandoned":
		k.rouse()
		return filter.Reject(filter.IdempotencyConflict, "The gateway that had a request with the same key has ended in the middle. What it did is looked into.").With("Retry-After", "1")
	case "busy":
		return underWay()
	}
	return filter.Reject(filter.SequenceUnavailable, "").Because(fmt.Errorf("the store answers %.20q", word))
}

// unknownFor is the answer to a request whose key will not be free.
func unknownFor(cause error, detail string) *filter.Error {
	e := filter.Reject(filter.SequenceUnknown, "%s", detail).Because(cause)
	e.Status = http.StatusConflict
	return e
}

// fingerprint tells requests with the same key apart. What they asked for cannot be read from it.
func (r *run) fingerprint() (string, error) {
	b, err := document.Append(nil, r.body)
	if err != nil {
		return "", fmt.Errorf("cannot read the body: %w", err)
	}
	sum := sha256.Sum256(slices.Concat(r.id[:], []byte(r.own.Request.Method+" "+r.own.Request.URL.RequestURI()+"\n"), b))
	return hex.EncodeToString(sum[:16]), nil
}

// announce notes in the store what is known before a step is made. Where there is a journal, no step is made that it does not know of.
func (r *run) announce(i int) error {
	h := r.hold
	if h == nil {
		return nil
	}
	was := r.results[i].state
	r.results[i].state = unknown
	defer func() { r.results[i].state = was }()
	if h.journal {
		return r.note(r.ctx, h.deadline())
	}
	if !h.of.store.down() {
		_ = r.note(r.ctx, time.Now().Add(h.of.timeout)) // the names of steps are worth no failure
	}
	return nil
}

// note writes what has changed into the journal.
func (r *run) note(ctx context.Context, until time.Time) error {
	h := r.hold
	pairs := []string{"p", r.told()}
	if h.noted == nil {
		h.noted = make([]state, len(r.results))
	}
	for j := range r.results {
		if !h.journal || h.noted[j] == r.results[j].state {
			continue
		}
		sealed, err := r.results[j].seal(h.of, h.id, j)
		if err != nil {
			return err
		}
		pairs = append(pairs, fieldOf(j), sealed)
	}
	if err := h.note(ctx, until, pairs...); err != nil {
		return err
	}
	for j := range r.results {
		h.noted[j] = r.results[j].state
	}
	return nil
}

// prepare notes what is known before it is undone.
func (r *run) prepare() {
	if h := r.hold; h != nil && h.journal {
		_ = r.note(context.Background(), time.Now().Add(h.of.timeout)) // else other gateways know a little less
	}
}

// Why the store ends a sequence.
var (
	errLost   = errors.New("the store has not heard of the sequence for too long, or has forgotten it")
	errUnsure = errors.New("the store does not say whether it knows that all is done")
)

// commit tells the store that all is done. Until it knows, another gateway may undo that.
func (r *run) commit(ex *filter.Exchange, b []byte) (*http.Response, error) {
	resp := r.respond(ex, b)
	h := r.hold
	if h == nil {
		return resp, nil
	}
	answer, within := "", h.of.timeout
	if h.of.sealer != nil && h.keyed && int64(len(b)) <= r.of.maxPart {
		var err error
		if answer, err = sealAnswer(h.of, h.id, resp, b); err != nil {
			return nil, err
		}
	}
	if h.journal {
		within = r.of.undo.Within.Std()
	}
	err := h.finish(complete, r.told(), answer, within)
	switch {
	case err == nil:
		return resp, nil
	case h.journal:
		return nil, err
	}
	r.of.log.Warn("a sequence is done, and the store does not know it", "request_id", r.own.ID, "route", r.of.route, "error", err)
	return resp, nil
}

// settle tells the store how a sequence has ended that has failed.
func (r *run) settle(how ending) {
	if r.hold == nil {
		return
	}
	if err := r.hold.finish(how, r.told(), "", r.of.shared.timeout); err != nil {
		r.of.log.Warn("a sequence has ended, and the store does not know it", "request_id", r.own.ID, "route", r.of.route, "error", err)
	}
}

// unsure is the answer where nobody knows whether the store knows that all is done.
func (r *run) unsure() error {
	return filter.Reject(filter.SequenceUnknown, "All was done, but the gateway does not know whether that will stay. Ask again, with the same key.").Because(errUnsure).With("Retry-After", "5")
}
