package aggregate

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
)

// Partial is the field that names the calls which failed, of an answer that could do without them: a list of tokens, each with its reason (RFC 9651).
const Partial = "Cardea-Partial"

// answer makes the response. What is there already goes into one piece; the rest is written while it comes.
func (r *run) answer(ex *filter.Exchange) (*http.Response, error) {
	m := r.of.composed
	if m.format == "multipart" {
		r.boundary = rand.Text()
	}
	resp := &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: ex.Request, Body: http.NoBody}
	whole := r.complete()
	r.setHeader(resp.Header)
	if !whole {
		r.stream(ex, resp)
		return resp, nil
	}
	var b bytes.Buffer
	err := m.write(r.ctx, &b, r)
	r.end()
	r.report(ex)
	if err != nil {
		return nil, err
	}
	resp.ContentLength = int64(b.Len())
	resp.Header["Content-Length"] = []string{strconv.Itoa(b.Len())}
	if r.tag(ex, resp, b.Bytes()) {
		return resp, nil
	}
	if ex.Request.Method != http.MethodHead {
		resp.Body = io.NopCloser(&b)
	}
	return resp, nil
}

// complete says whether all that belongs into the answer is there.
func (r *run) complete() bool {
	select {
	case <-r.over:
	default:
		return false
	}
	for i := range r.results {
		if r.results[i].rest != nil {
			return false
		}
	}
	return true
}

// tag gives the answer an ETag. It says whether the client has that already.
func (r *run) tag(ex *filter.Exchange, resp *http.Response, b []byte) (known bool) {
	method := ex.Request.Method
	if method != http.MethodGet && method != http.MethodHead || r.of.composed.format != "json" || resp.Header["Etag"] != nil {
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
func (r *run) stream(ex *filter.Exchange, resp *http.Response) {
	resp.ContentLength = -1
	if ex.Request.Method == http.MethodHead {
		r.end()
		r.report(ex)
		return
	}
	from, to := io.Pipe()
	written := make(chan struct{})
	go func() { // ends with the answer, or when nobody reads it any more
		defer close(written)
		err := r.writeAll(to)
		_ = to.CloseWithError(err)
	}()
	resp.Body = &streamed{PipeReader: from, run: r, ex: ex, written: written}
	if r.of.pending(r) {
		resp.Trailer = http.Header{Partial: nil}
	}
}

// writeAll writes the answer, and survives what goes wrong in that.
func (r *run) writeAll(w io.Writer) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = r.panicked(v)
		}
	}()
	return r.of.composed.write(r.ctx, w, r)
}

// pending says whether calls are under way whose failure the head of the answer cannot tell.
func (a *aggregate) pending(r *run) bool {
	for i := range r.results {
		select {
		case <-r.results[i].ready:
		default:
			return true
		}
	}
	return false
}

// streamed is the body of an answer that is written while it is read.
type streamed struct {
	*io.PipeReader
	run     *run
	ex      *filter.Exchange
	written chan struct{}
	closed  bool
}

// Read reads on. At the end the trailer is there.
func (s *streamed) Read(p []byte) (int, error) {
	n, err := s.PipeReader.Read(p)
	if err == io.EOF && s.ex.Response != nil && s.ex.Response.Trailer != nil {
		if told := s.run.partial(); told != "" {
			s.ex.Response.Trailer = http.Header{Partial: {told}}
		}
	}
	return n, err
}

// Close ends the calls that still run.
func (s *streamed) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.PipeReader.Close()
	s.run.cancel(io.ErrClosedPipe)
	<-s.written
	s.run.end()
	s.run.report(s.ex)
	return err
}

// report tells the exchange what was tried for it.
func (r *run) report(ex *filter.Exchange) {
	for i := range r.results {
		for _, child := range r.results[i].children {
			ex.Attempts = append(ex.Attempts, child.Attempts...)
			if child.Upstream != "" {
				ex.Upstream = child.Upstream
			}
		}
	}
}

// partial names the calls that failed, for the field Partial.
func (r *run) partial() string {
	var list []string
	for i, s := range r.of.steps {
		res := &r.results[i]
		select {
		case <-res.ready:
		default:
			continue
		}
		if res.state != broken && res.gaps == 0 {
			continue
		}
		item := token(s.name)
		switch code, status := reason(res.err); {
		case res.state != broken:
			item += fmt.Sprintf(";missing=%d", res.gaps)
		case status > 0:
			item += ";status=" + strconv.Itoa(status)
		default:
			item += ";reason=" + string(code)
		}
		list = append(list, item)
	}
	return strings.Join(list, ", ")
}

// token is a name as a token of structured fields, or as a string.
func token(name string) string {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '_' && c != '-' && c != '.') {
			return strconv.QuoteToASCII(name)
		}
	}
	return name
}

// told are the calls that failed, as JSON for the member "errors"; nil: none has, or nobody asked.
func (r *run) told() []byte {
	if !r.of.errors {
		return nil
	}
	type failed struct {
		Call    string      `json:"call"`
		Code    filter.Code `json:"code"`
		Status  int         `json:"status,omitempty"`
		Missing int         `json:"missing,omitempty"`
	}
	var all []failed
	for i, s := range r.of.steps {
		res := &r.results[i]
		code, status := reason(res.err)
		switch {
		case res.state == broken:
			all = append(all, failed{Call: s.name, Code: code, Status: status})
		case res.gaps > 0:
			all = append(all, failed{Call: s.name, Code: filter.CallFailed, Missing: res.gaps})
		}
	}
	if all == nil {
		return nil
	}
	b, _ := json.Marshal(all)
	return b
}

// reason is the code of a failure, and the status where the upstream answered.
func reason(err error) (filter.Code, int) {
	var status *call.StatusError
	if errors.As(err, &status) {
		return filter.CallFailed, status.Status
	}
	var known *filter.Error
	if errors.As(err, &known) {
		return known.Code, 0
	}
	return filter.CallFailed, 0
}

// failure is the answer where a required call has failed.
func (a *aggregate) failure(s *step, err error) error {
	var known *filter.Error
	var status *call.StatusError
	var format *call.FormatError
	var document *document.Error
	switch {
	case errors.As(err, &status):
		e := filter.Reject(filter.CallFailed, "The call %q, which the answer needs, was answered with %d.", s.name, status.Status).Because(err)
		if a.own && status.Status >= 400 {
			e.Status = status.Status
			if after := status.Header["Retry-After"]; after != nil {
				e.Header = http.Header{"Retry-After": after}
			}
		}
		return e
	case errors.As(err, &format), errors.As(err, &document):
		return filter.Reject(filter.CallFailed, "The call %q, which the answer needs, did not get what it should.", s.name).Because(err)
	case errors.As(err, &known):
		e := *known
		e.Detail = fmt.Sprintf("The call %q, which the answer needs, failed. %s", s.name, known.Public())
		return &e
	}
	return filter.Reject(filter.CallFailed, "The call %q, which the answer needs, failed.", s.name).Because(err)
}
