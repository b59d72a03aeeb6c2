package aggregate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
)

// spool is how much of an answer is read before it counts as a long one, which is passed on while it comes.
const spool = 64 << 10

// endless is the size of documents that are passed on, however long they are.
const endless = 1 << 62

// part is an answer of a call, or what has come of it.
type part struct {
	raw    []byte        // JSON, checked; nil is null
	taken  int64         // of the memory of the request, for raw alone
	rest   io.ReadCloser // of a long one, in the place of raw: checked while it is read
	status int
	heads  []http.Header // of the answer, or of those of a loop
	value  any           // where it is looked into
	there  bool          // there is a value
	gaps   int           // elements of a loop that failed
}

// text is the JSON of a part that is not a long one.
func (p *part) text() []byte {
	if p.raw == nil {
		return []byte("null")
	}
	return p.raw
}

// close gives up what is still to come of a part.
func (p *part) close() {
	if p.rest != nil {
		_ = p.rest.Close()
	}
}

// request is a request of a call, with what comes of it.
type request struct {
	filter.Exchange // its own
	part
	err     error
	step    *step
	element int // of a loop
	limited *call.Limited
	values  []any     // of the edits
	memory  *memory   // of the run
	left    *memory   // of a loop, for the answers of all turns; nil: it is none
	spent   int64     // of it, for the body, the head and the value
	from    *fetched  // the answer that is shared with others; nil: it is for this one alone
	own     fetched   // in the place of from
	first   bool      // it is for this one to send
	same    string    // the call whose answer it shares
	drained io.Closer // the body of the answer that it has sent for, which was read to its end; nil: it was not
	began   time.Time
	took    time.Duration
}

// take takes memory, which the request gives back if it fails.
func (q *request) take(n int64) error {
	err := q.memory.take(n)
	if err == nil {
		q.spent += n
	}
	return err
}

// give gives memory back.
func (q *request) give(n int64) {
	q.memory.give(n)
	q.spent -= n
}

// fetch sends the request, and takes the answer as the plan wants it.
func (r *run) fetch(q *request) (part, error) {
	s := q.step
	f := r.ask(q)
	q.give(q.spent) // its body was sent
	if f.err != nil {
		return part{}, f.err
	}
	if err := q.take(headSize(f.header)); err != nil {
		f.close()
		q.memory.give(f.taken)
		return part{}, err
	}
	p := part{status: f.status, heads: []http.Header{f.header}, there: true}
	if f.more == nil || s.kept {
		p, err := r.whole(q, p, f)
		if cause := context.Cause(q.limited); err != nil && f.more != nil && cause != nil {
			err = cause
		}
		f.close()
		return p, err
	}
	checked := r.checked(q, f.reader(), endless)
	begin, err := readUpTo(checked, spool/2) // what is wrong with its beginning is found while there is time to say so
	if err != nil && err != io.EOF {
		f.close()
		q.memory.give(f.taken)
		return part{}, broken502(q.limited, err)
	}
	q.limited.Lift() // from here on the client's pace counts, and the upstream's time between bytes
	p.rest = &long{Reader: io.MultiReader(bytes.NewReader(begin), checked), body: f.more, limited: q.limited}
	return p, nil
}

// checked is the answer of a call as it is passed on: edited, and known to be JSON as far as it is read.
func (r *run) checked(q *request, src io.Reader, most int64) io.Reader {
	limits := document.Limits{Size: most, Held: max(spool, min(r.of.maxPart, r.memory.left.Load()/4))}
	if q.step.editor != nil {
		return q.step.editor.Reader(src, limits, q.values)
	}
	limits.Depth = 10_000 // as deep as jsontext.Value.IsValid goes
	return document.Check(src, limits)
}

// whole takes an answer that is held as a whole.
func (r *run) whole(q *request, p part, f *fetched) (_ part, err error) {
	s, raw := q.step, f.raw
	switch {
	case s.editor != nil:
		most := int64(endless)
		if s.kept {
			most = r.of.maxPart
		}
		raw, err = r.memory.fill(nil, q.left.bound(r.checked(q, f.reader(), most)), endless)
		if p.taken = int64(cap(raw)); err == io.EOF {
			err = nil
		}
		r.memory.give(f.taken)
	case f.more != nil:
		err, p.taken = f.full, f.taken
	default:
		p.taken = f.taken
		if err = q.left.take(int64(len(raw))); err == nil {
			err = r.valid(q, raw)
		}
	}
	if err == nil && s.needed {
		p.value, err = document.Read(bytes.NewReader(raw), document.Limits{Size: r.of.maxPart, Spend: q.take})
	}
	if err != nil {
		r.memory.give(p.taken)
		return part{}, err
	}
	if p.raw = bytes.TrimSpace(raw); !s.written {
		r.memory.give(p.taken)
		p.raw, p.taken = nil, 0
	}
	return p, nil
}

// valid says what is wrong with an answer whose bytes are there. Those that are looked into are checked then.
func (r *run) valid(q *request, raw []byte) error {
	s := q.step
	tooLong := s.kept && int64(len(raw)) > r.of.maxPart
	if s.needed || !tooLong && jsontext.Value(raw).IsValid() {
		return nil
	}
	if _, err := io.Copy(io.Discard, r.checked(q, bytes.NewReader(raw), r.of.maxPart)); err != nil {
		return err
	}
	return &call.FormatError{Reason: "the answer is not JSON"}
}

// broken502 is why the rest of an answer does not come.
func broken502(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var known *filter.Error
	var document *document.Error
	if errors.As(err, &known) || errors.As(err, &document) {
		return err
	}
	return filter.Reject(filter.UpstreamReset, "").Because(err)
}

// long is an answer that is passed on while it comes.
type long struct {
	io.Reader
	body    io.Closer
	limited *call.Limited
	once    sync.Once
	ended   time.Time // read, or given up
}

// Close gives up what was not read.
func (l *long) Close() (err error) {
	l.once.Do(func() { err = l.body.Close(); l.limited.End(); l.ended = time.Now() })
	return err
}
