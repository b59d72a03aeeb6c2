package cache

import (
	"io"
	"net/http"
	"strconv"
	"sync"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache"
	"cardea.dev/cardea/internal/cache/rules"
	"cardea.dev/cardea/internal/stored"
)

// served is an answer with what is stored, in one piece of memory. It may be used again once nobody holds any of it, which the engine says by Recycle.
type served struct {
	resp    http.Response
	header  http.Header
	answer  rules.Answer
	reader  stored.Reader // nil: there is no body
	content io.Reader     // what is sent of it
	forms   *cache.Forms  // encoded forms of the whole body; nil: there are none
	bytes   prometheus.Counter
	sent    int64

	status [1]string // Cache-Status
	length [1]string
	text   []byte // of both
}

var answers = sync.Pool{New: func() any { return &served{header: make(http.Header, 16), text: make([]byte, 0, 128)} }}

// serve answers an exchange with a stored response. It is false when the store has lost the body: then nothing is stored.
func (p *policy) serve(ex *filter.Exchange, l *lookup, r *stored.Response, outcome filter.CacheOutcome, why string) bool {
	s := answers.Get().(*served)
	rules.Respond(&s.answer, s.header, ex.Request.Method, &l.q, r, l.now)
	if s.answer.Send && r.Body != nil {
		reader, err := r.Body.Open()
		if err != nil {
			s.Recycle()
			p.cache.Drop(ex.Context(), r.Key)
			l.found.Response, l.why = nil, "uri-miss"
			return false
		}
		s.open(reader)
		if s.answer.Whole {
			s.forms, _ = r.Body.(*cache.Forms)
		}
	}
	s.bytes = p.metrics.cached
	status := rules.Status{Cache: p.name, Hit: true, HasTTL: true, TTL: r.Left(l.now)}
	if outcome == filter.CacheRevalidated {
		status.Hit, status.Forward, status.Answered, status.Stored = false, l.why, http.StatusNotModified, true
	}
	if outcome == filter.CacheStale && why == "error" {
		status.Detail = "upstream-failed"
	}
	s.finish(ex, r, &status)
	ex.Cached = filter.Cached{Outcome: outcome, Why: why, Stored: outcome == filter.CacheRevalidated}
	p.metrics.outcome(outcome)
	return true
}

// open says what is sent of a body.
func (s *served) open(reader stored.Reader) {
	s.reader, s.content = reader, reader
	if !s.answer.Whole {
		s.content = s.answer.Content(reader)
	}
}

// finish makes the response.
func (s *served) finish(ex *filter.Exchange, r *stored.Response, status *rules.Status) {
	s.text = s.text[:0]
	if status.Cache != "" {
		s.text = status.Append(s.text)
		s.status[0] = unsafe.String(unsafe.SliceData(s.text), len(s.text))
		if before := s.header["Cache-Status"]; len(before) > 0 {
			s.header["Cache-Status"] = append(before[:len(before):len(before)], s.status[0])
		} else {
			s.header["Cache-Status"] = s.status[:]
		}
	}
	s.resp = http.Response{
		StatusCode: s.answer.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: s.header, ContentLength: s.answer.Length, Request: ex.Request,
		Body: http.NoBody,
	}
	if s.answer.Length >= 0 && s.answer.Status != http.StatusNoContent {
		s.setLength()
	}
	if r.Trailer.Len() > 0 && s.answer.Whole {
		s.resp.Trailer = r.Trailer.Header()
	}
	switch {
	case s.reader != nil:
		s.resp.Body = s
	case s.answer.Length < 0:
		s.resp.ContentLength = 0
	}
	ex.Response = &s.resp
}

// setLength sets Content-Length, which HTTP/2, and answers to HEAD, take from the header.
func (s *served) setLength() {
	begin := len(s.text)
	if cap(s.text)-begin < 20 { // what has been handed out stays where it is
		s.text = append(make([]byte, 0, 2*cap(s.text)+20), s.text...)
	}
	s.text = strconv.AppendInt(s.text, s.answer.Length, 10)
	s.length[0] = unsafe.String(&s.text[begin], len(s.text)-begin)
	s.header["Content-Length"] = s.length[:]
}

// Read reads what is sent.
func (s *served) Read(p []byte) (int, error) {
	n, err := s.content.Read(p)
	s.sent += int64(n)
	return n, err
}

// WriteTo lets the body write itself, where it can.
func (s *served) WriteTo(w io.Writer) (n int64, err error) {
	if whole, ok := s.content.(io.WriterTo); ok {
		n, err = whole.WriteTo(w)
	} else {
		n, err = io.Copy(w, onlyReader{s.content})
	}
	s.sent += n
	return n, err
}

// onlyReader has nothing but Read.
type onlyReader struct{ io.Reader }

// Buffered says how many bytes can be read without waiting, at least.
func (s *served) Buffered() int {
	if b, ok := s.content.(interface{ Buffered() int }); ok {
		return b.Buffered()
	}
	return 0
}

// Close closes the body.
func (s *served) Close() error {
	if s.reader == nil {
		return nil
	}
	err := s.reader.Close()
	s.bytes.Add(float64(s.sent))
	s.reader, s.content = nil, http.NoBody
	return err
}

var _ filter.EncodedForms = (*served)(nil)

// Encoded returns the whole body in a content coding and its length, if that form is kept.
func (s *served) Encoded(coding string) (io.ReadCloser, int64, bool) {
	if s.forms == nil || s.sent > 0 {
		return nil, 0, false
	}
	form, length, ok := s.forms.Encoded(coding)
	if ok {
		s.bytes.Add(float64(length))
	}
	return form, length, ok
}

// MostEncoded is how long a form may be that is kept.
func (s *served) MostEncoded() int64 {
	if s.forms == nil {
		return 0
	}
	return s.forms.MostEncoded()
}

// KeepEncoded keeps a form of the whole body.
func (s *served) KeepEncoded(coding string, blocks [][]byte) {
	if s.forms != nil {
		s.forms.KeepEncoded(coding, blocks)
	}
}

// Recycle has the memory used again.
func (s *served) Recycle() {
	clear(s.header)
	*s = served{header: s.header, text: s.text[:0]}
	answers.Put(s)
}
