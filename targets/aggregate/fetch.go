package aggregate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

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
	raw    []byte        // JSON, checked
	rest   io.ReadCloser // of a long one, in the place of raw: checked while it is read
	status int
	heads  []http.Header // of the answer, or of those of a loop
	value  any           // where it is looked into
	gaps   int           // elements of a loop that failed
}

// fetched is an answer as it came, which several calls may want.
type fetched struct {
	done   chan struct{}
	raw    []byte
	more   io.ReadCloser // what follows raw in a long answer, for the first who asked; nil: raw is the whole
	status int
	header http.Header
	err    error
}

// fetch sends the request of a call, and takes the answer as the plan wants it.
func (r *run) fetch(s *step, child *filter.Exchange, values []any) (_ part, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = r.panicked(v)
		}
	}()
	ctx, cancel := s.Limit(r.ctx)
	child.Request = child.Request.WithContext(ctx)
	f, mine := r.ask(s, child)
	if f.err != nil {
		cancel()
		return part{}, f.err
	}
	p := part{status: f.status, heads: []http.Header{f.header}}
	if f.more == nil || !mine {
		cancel()
		return r.short(s, p, bytes.NewReader(f.raw), values)
	}
	src := io.MultiReader(bytes.NewReader(f.raw), f.more)
	end := func() error { err := f.more.Close(); cancel(); return err }
	if s.needed || r.of.composed.values || s.each != nil {
		defer end() //nolint:errcheck // it was read to its end, or is of no use
		return r.short(s, p, src, values)
	}
	checked := r.checked(s, src, endless, values)
	begin, err := readUpTo(checked, spool/2, -1) // what is wrong with its beginning is found while there is time to say so
	if err != nil && err != io.EOF {
		_ = end()
		return part{}, err
	}
	p.rest = &long{r: io.MultiReader(bytes.NewReader(begin), checked), end: end}
	return p, nil
}

// ask sends a request, or waits for one that is the same. It says whether it was sent for this call alone.
func (r *run) ask(s *step, child *filter.Exchange) (f *fetched, mine bool) {
	key := requestKey(s, child.Request)
	if key == "" {
		f = &fetched{}
		f.send(s, child)
		return f, true
	}
	r.mu.Lock()
	f = r.shared[key]
	if mine = f == nil; mine {
		f = &fetched{done: make(chan struct{})}
		if r.shared == nil {
			r.shared = map[string]*fetched{}
		}
		r.shared[key] = f
	}
	r.mu.Unlock()
	if mine {
		defer close(f.done)
		f.send(s, child)
		return f, true
	}
	select {
	case <-f.done:
	case <-child.Context().Done():
		return &fetched{err: context.Cause(child.Context())}, true
	}
	if f.more != nil || f.err != nil { // a long answer is read once
		f = &fetched{}
		f.send(s, child)
		return f, true
	}
	return f, false
}

// requestKey tells requests apart that can be made once for all; "" is for one that is its own.
func requestKey(s *step, req *http.Request) string {
	if req.Method != http.MethodGet || req.Body != http.NoBody {
		return ""
	}
	var b strings.Builder
	b.WriteString(s.Upstream.Name() + " " + req.URL.EscapedPath() + "?" + req.URL.RawQuery)
	for _, name := range slices.Sorted(maps.Keys(req.Header)) {
		fmt.Fprintf(&b, "\n%s: %q", name, req.Header[name])
	}
	return b.String()
}

// send sends the request, and reads the beginning of the answer, or all of a short one.
func (f *fetched) send(s *step, child *filter.Exchange) {
	resp, err := s.Send(child)
	if err != nil {
		f.err = err
		return
	}
	f.status, f.header = resp.StatusCode, resp.Header
	body, err := call.JSON(resp)
	if err != nil || body == nil {
		_ = resp.Body.Close()
		f.raw, f.err = []byte("null"), err
		return
	}
	f.raw, err = readUpTo(body, spool, resp.ContentLength)
	switch {
	case err == io.EOF:
		_ = resp.Body.Close()
	case err != nil:
		_ = resp.Body.Close()
		f.err = broken502(child.Context(), err)
	default:
		f.more = &closing{body, resp.Body}
	}
}

// readUpTo reads so much at most. It ends with io.EOF where that was all.
func readUpTo(r io.Reader, most int, likely int64) ([]byte, error) {
	size := 4 << 10
	if likely >= 0 && likely < int64(most) {
		size = int(likely) + 1
	}
	b := make([]byte, 0, size)
	for {
		if len(b) == cap(b) {
			if len(b) >= most {
				return b, nil
			}
			b = slices.Grow(b, min(max(len(b), 4<<10), most-len(b)))
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			return b, err
		}
	}
}

// broken502 is why the rest of an answer does not come.
func broken502(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var known *filter.Error
	if errors.As(err, &known) {
		return err
	}
	return filter.Reject(filter.UpstreamReset, "").Because(err)
}

// closing is a reader over what is to be closed.
type closing struct {
	io.Reader
	body io.Closer
}

// Close closes it.
func (c *closing) Close() error { return c.body.Close() }

// checked is the answer of a call as it is passed on: edited, and known to be JSON as far as it is read.
func (r *run) checked(s *step, src io.Reader, most int64, values []any) io.Reader {
	limits := document.Limits{Size: most}
	if s.editor != nil {
		return s.editor.Reader(src, limits, values)
	}
	return document.Check(src, limits)
}

// short takes a whole answer.
func (r *run) short(s *step, p part, src io.Reader, values []any) (part, error) {
	var err error
	if p.raw, err = io.ReadAll(r.checked(s, src, r.of.maxPart, values)); err != nil {
		return part{}, err
	}
	if s.needed || r.of.composed.values {
		if p.value, err = document.Read(bytes.NewReader(p.raw), document.Limits{Size: r.of.maxPart}); err != nil {
			return part{}, err
		}
	}
	return p, nil
}

// long is an answer that is passed on while it comes.
type long struct {
	r    io.Reader
	end  func() error
	once sync.Once
}

// Read reads on.
func (l *long) Read(p []byte) (int, error) { return l.r.Read(p) }

// Close gives up what was not read.
func (l *long) Close() (err error) {
	l.once.Do(func() { err = l.end() })
	return err
}

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

// beginEach makes the requests of a loop, and has them sent, some at a time.
func (r *run) beginEach(i int, s *step, values []any) error {
	found, _ := s.each.in(r.own)
	list, ok := found.([]any)
	switch {
	case found == nil:
		return &call.FormatError{Reason: fmt.Sprintf("there is no %s to go through", s.each.source)}
	case !ok:
		return &call.FormatError{Reason: fmt.Sprintf("%s is no list", s.each.source)}
	case len(list) > s.each.max:
		return &call.FormatError{Reason: fmt.Sprintf("%s has %d elements, and `max` is %d", s.each.source, len(list), s.each.max)}
	}
	children := make([]*filter.Exchange, len(list))
	defer func() { r.element = nil }()
	for k := range list {
		r.element = list[k]
		req, err := s.Request(r.ctx, r.own)
		if err != nil {
			return &call.FormatError{Reason: fmt.Sprintf("element %d: %v", k, err)}
		}
		children[k] = r.childFor(req, s)
	}
	go r.carryOut(i, func(res *result) {
		res.children = children
		parts, errs := make([]part, len(children)), make([]error, len(children))
		var group sync.WaitGroup
		turns := make(chan struct{}, s.each.parallel)
		for k, child := range children {
			turns <- struct{}{}
			group.Go(func() {
				defer func() { <-turns }()
				parts[k], errs[k] = r.fetch(s, child, values)
			})
		}
		group.Wait()
		res.part, res.err = r.joined(s, parts, errs)
	})
	return nil
}

// joined is the list of the answers of a loop. Where the call is optional, what stands in for it stands in for each that failed.
func (r *run) joined(s *step, parts []part, errs []error) (part, error) {
	all := part{status: http.StatusOK, raw: []byte{'['}}
	list := make([]any, len(parts))
	for k := range parts {
		if errs[k] != nil && !s.optional {
			return part{}, fmt.Errorf("element %d: %w", k, errs[k])
		}
		if k > 0 {
			all.raw = append(all.raw, ',')
		}
		if errs[k] != nil {
			parts[k] = part{raw: s.standIn}
			if s.standIn == nil {
				parts[k].raw = []byte("null")
			}
			parts[k].value = parsed(parts[k].raw)
			all.gaps++
		}
		all.raw = append(all.raw, parts[k].raw...)
		list[k] = parts[k].value
		all.heads = append(all.heads, parts[k].heads...)
		if int64(len(all.raw)) > r.of.maxPart {
			return part{}, &document.Error{Kind: document.TooLarge, Offset: -1, Reason: fmt.Sprintf("the answers together are longer than `max_part`, %d bytes", r.of.maxPart)}
		}
	}
	all.raw = append(all.raw, ']')
	if s.needed || r.of.composed.values {
		all.value = list
	}
	return all, nil
}
