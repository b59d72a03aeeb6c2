// Package handout is an answer that one exchange got, and that several are given: what those who look on learn of it, and the trailer, which is there
// before readers learn of the body's end. It is for policies whose fetches (package coalesce) are nobody's own.
package handout

import (
	"io"
	"maps"
	"net/http"
	"slices"

	"cardea.dev/cardea/filter"
)

// Answer is an answer before its body. It is not changed once others have it, but for the trailer, which is set before the body ends.
type Answer struct {
	Response *http.Response // as it came; nil where there is none
	Err      error          // why it is an error, where a policy answers so
	Trailer  http.Header    // after the body

	upstream  string
	attempts  []filter.Attempt
	calls     []filter.Call
	fault     string
	fallback  filter.Fallback
	announced http.Header
}

// Of is what an exchange got. The response is nil after an error.
func Of(own *filter.Exchange, resp *http.Response) Answer {
	a := Answer{
		Response: resp, Err: own.Err, upstream: own.Upstream, attempts: slices.Clone(own.Attempts), calls: own.Calls, fault: own.Fault, fallback: own.Fallback,
	}
	if resp != nil {
		a.announced = announced(resp.Trailer)
	}
	return a
}

// announced are the names of a trailer, before its values are known.
func announced(trailer http.Header) http.Header {
	if len(trailer) == 0 {
		return nil
	}
	names := make(http.Header, len(trailer))
	for name := range maps.Keys(trailer) {
		names[name] = nil
	}
	return names
}

// Tell tells an exchange where the answer is from. What was tried for it is told to the one that led.
func (a *Answer) Tell(ex *filter.Exchange, leads bool) {
	ex.Upstream, ex.Fault, ex.Fallback = a.upstream, a.fault, a.fallback
	if leads {
		ex.Attempts = append(ex.Attempts, a.attempts...)
		ex.Calls = append(ex.Calls, a.calls...)
	}
}

// For makes an exchange's own response, without a body.
func (a *Answer) For(ex *filter.Exchange) *http.Response {
	of := a.Response
	return &http.Response{
		Status: of.Status, StatusCode: of.StatusCode, Proto: of.Proto, ProtoMajor: of.ProtoMajor, ProtoMinor: of.ProtoMinor,
		Header: of.Header.Clone(), ContentLength: of.ContentLength, Trailer: a.announced.Clone(), Request: ex.Request, Body: http.NoBody,
	}
}

// Body is the body of the answer. It counts what was read, and keeps the trailer.
func (a *Answer) Body() *Body { return &Body{of: a} }

// Body is a body on its way to those who read it.
type Body struct {
	N  int64 // bytes that were read
	of *Answer
}

// Read reads on.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.of.Response.Body.Read(p)
	b.N += int64(n)
	if err == io.EOF {
		b.of.Trailer = b.of.Response.Trailer
	}
	return n, err
}
