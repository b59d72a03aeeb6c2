package aggregate

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"cardea.dev/cardea/filter"
)

// answer makes the response. What is there already goes into one piece; the rest is written while it comes.
func (r *run) answer(ex *filter.Exchange) (*http.Response, error) {
	m := r.of.composed
	if m.format == "multipart" {
		r.boundary = rand.Text()
	}
	resp := &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: ex.Request, Body: http.NoBody}
	pending := r.pending() // what ends from here on may be missing in the head
	r.setHeader(ex, resp.Header)
	if pending || r.isLong() || !r.fits() {
		r.stream(ex, resp, pending)
		return resp, nil
	}
	b, err := r.assemble(ex)
	r.end()
	r.report(ex)
	if err != nil {
		return nil, err
	}
	resp.ContentLength = int64(len(b))
	resp.Header["Content-Length"] = []string{strconv.Itoa(len(b))}
	if !r.tag(ex, resp, b) && ex.Request.Method != http.MethodHead {
		resp.Body = io.NopCloser(bytes.NewReader(b))
	}
	return resp, nil
}

// assemble makes an answer of which all is there.
func (r *run) assemble(ex *filter.Exchange) ([]byte, error) {
	m := r.of.composed
	if m.computes() {
		return m.compute(ex, r)
	}
	if m.merges {
		return m.merge(r)
	}
	b := bytes.NewBuffer(make([]byte, 0, r.size()))
	err := m.write(bufio.NewWriterSize(b, 512), r)
	return b.Bytes(), err
}

// pending says whether calls are under way, whose failure the head of the answer cannot tell.
func (r *run) pending() bool {
	for i := range r.results {
		if !r.isReady(i) {
			return true
		}
	}
	return false
}

// isLong says whether one of the answers, which are all there, is passed on while it comes.
func (r *run) isLong() bool {
	return slices.ContainsFunc(r.results, func(res result) bool { return res.rest != nil })
}

// fits says whether there is memory for an answer in one piece. What is computed or merged has taken its own.
func (r *run) fits() bool { return r.of.composed.whole() || r.memory.take(r.size()) == nil }

// size is about how long an answer is that is there.
func (r *run) size() int64 {
	n := 64
	for i := range r.results {
		n += len(r.results[i].raw) + len(r.of.steps[i].key) + 8
	}
	return int64(n)
}

// tag gives the answer an ETag, unless the configuration has a word in that. It says whether the client has that already.
func (r *run) tag(ex *filter.Exchange, resp *http.Response, b []byte) (known bool) {
	method := ex.Request.Method
	if method != http.MethodGet && method != http.MethodHead || r.of.composed.format != "json" || slices.ContainsFunc(r.of.headers, func(f field) bool { return f.name == "Etag" }) {
		return false
	}
	sum := sha256.Sum256(b)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	resp.Header["Etag"] = []string{tag}
	if !names(ex.Request.Header["If-None-Match"], tag) {
		return false
	}
	resp.StatusCode, resp.ContentLength = http.StatusNotModified, 0
	delete(resp.Header, "Content-Length")
	delete(resp.Header, "Content-Type")
	return true
}

// names says whether If-None-Match names a tag, by weak comparison (RFC 9110, section 13.1.2).
func names(fields []string, tag string) bool {
	for _, line := range fields {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.Trim(one, " \t"); one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// stream has the answer written while it is read, no faster.
func (r *run) stream(ex *filter.Exchange, resp *http.Response, pending bool) {
	resp.ContentLength = -1
	if ex.Request.Method == http.MethodHead {
		r.cancel(errUnneeded)
		r.end()
		r.report(ex)
		return
	}
	from, to := io.Pipe()
	s := &streamed{PipeReader: from, run: r, ex: ex, written: make(chan struct{})}
	if pending && slices.ContainsFunc(r.of.steps, func(s *step) bool { return s.optional }) {
		// What ended while the head was made may be told there already.
		if s.told = resp.Header.Get(Partial); r.pending() || r.partial() != s.told {
			resp.Trailer = http.Header{Partial: nil}
			s.trailer = resp.Trailer
		}
	}
	go func() { // ends with the answer, or when nobody reads it any more
		defer close(s.written)
		_ = to.CloseWithError(r.writeAll(to))
	}()
	resp.Body = s
}

// writeAll writes the answer, and survives what goes wrong in that.
func (r *run) writeAll(w io.Writer) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = r.panicked(v)
		}
	}()
	return r.of.composed.write(bufio.NewWriterSize(w, 32<<10), r)
}

// streamed is the body of an answer that is written while it is read.
type streamed struct {
	*io.PipeReader
	run     *run
	ex      *filter.Exchange
	trailer http.Header // of the answer; nil: there is none
	told    string      // by the head
	written chan struct{}
	whole   bool // all of it was read
	closed  bool
}

// Read reads on. At the end the trailer is there.
func (s *streamed) Read(p []byte) (int, error) {
	n, err := s.PipeReader.Read(p)
	s.whole = s.whole || err == io.EOF
	if err == io.EOF && s.trailer != nil {
		if told := s.run.partial(); told != s.told {
			s.trailer[Partial] = []string{told}
		}
	}
	return n, err
}

// errUnneeded ends calls that the answer has no place for.
var errUnneeded = errors.New("the answer was complete without it")

// Close ends the calls that still run.
func (s *streamed) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.PipeReader.Close()
	if s.whole {
		s.run.cancel(errUnneeded)
	}
	s.run.cancel(io.ErrClosedPipe)
	<-s.written
	s.run.end()
	s.run.report(s.ex)
	return err
}

// report tells the exchange what was tried for it.
func (r *run) report(ex *filter.Exchange) {
	ex.Attempts = append(ex.Attempts, r.tried...)
	if r.last != "" {
		ex.Upstream = r.last
	}
	r.record(ex)
	if r.failure == nil && r.partial() != "" {
		r.of.metrics.partial.Inc()
	}
}
