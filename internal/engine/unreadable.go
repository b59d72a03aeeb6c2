package engine

import (
	"bytes"
	"net"
	"net/http"
	"net/url"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/http1"
)

// Refuse makes the answer to a client whose message cannot be read: a whole response, after which the connection ends. There is no
// request to take through policies; it is counted, and can be looked up.
func (e *Engine) Refuse(c net.Conn, p *http1.ParseError) []byte {
	refused := &filter.Error{Code: unreadable(p.Status), Status: p.Status, Cause: p}
	ex := &filter.Exchange{ID: newID(), Start: time.Now(), Request: &http.Request{Header: http.Header{}, URL: &url.URL{}}}
	e.metrics.errors.WithLabelValues(string(refused.Code)).Inc()
	e.recent.add(Past{
		RequestID: ex.ID, Time: ex.Start, Client: c.RemoteAddr().String(), Code: refused.Code, Source: string(filter.FromClient),
		Status: p.Status, Cause: p.Reason,
	})
	var answers *Answers
	if s := e.current.Load(); s != nil {
		answers = s.Answers
	}
	ex.Err = refused
	resp := answers.response(ex, refused)
	resp.Header.Set(requestIDHeader, ex.ID)
	resp.Close = true
	var b bytes.Buffer
	if err := resp.Write(&b); err != nil {
		return nil
	}
	return b.Bytes()
}

// unreadable is the code for a message that cannot be read, by its status.
func unreadable(status int) filter.Code {
	switch status {
	case http.StatusRequestTimeout:
		return filter.RequestTimeout
	case http.StatusRequestEntityTooLarge:
		return filter.BodyTooLarge
	case http.StatusRequestURITooLong:
		return filter.URITooLong
	case http.StatusRequestHeaderFieldsTooLarge:
		return filter.HeaderTooLarge
	}
	return filter.BadRequest
}
