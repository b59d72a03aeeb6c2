// Package repeat has bodies read, and left there to be read again, so that a request can be sent more than once, or what it has in it can be checked. It is for
// policies.
package repeat

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"cardea.dev/cardea/filter"
)

// Take reads a request's body, if it is not too long and has no trailer, and leaves it there to be read again. Where whole is false it has not been taken,
// and is there as it was.
func Take(r *http.Request, most int64) (body []byte, whole bool, err error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, true, nil
	}
	if r.ContentLength > most {
		return nil, false, nil
	}
	body, whole, err = Read(r.Body, most, r.ContentLength)
	if err != nil {
		return nil, false, err
	}
	if !whole || len(r.Trailer) > 0 {
		r.Body = Rejoin(body, false, r.Body)
		return nil, false, nil
	}
	Set(r, body)
	return body, true, nil
}

// Read reads a body up to one byte more than most, and says whether that is the whole of it. Length is what is said of its length, which takes no
// memory yet where it is long.
func Read(body io.Reader, most, length int64) (text []byte, whole bool, err error) {
	b := bytes.NewBuffer(make([]byte, 0, max(0, min(length, most, 64<<10))+bytes.MinRead))
	n, err := b.ReadFrom(io.LimitReader(body, most+1))
	return b.Bytes(), n <= most, err
}

// Unread says why a request's body could not be read. A policy that guards it, and the end of the exchange, have errors of their own.
func Unread(ex *filter.Exchange, err error) error {
	var known *filter.Error
	switch {
	case errors.As(err, &known):
		return err
	case ex.Context().Err() != nil:
		return filter.Reject(filter.ClientClosed, "").Because(err)
	}
	return filter.Reject(filter.BadRequest, "The body of the request could not be read.").Because(err)
}

// Rejoin is a body of which the beginning, or all, has been read: that comes again, and then what is left.
func Rejoin(begin []byte, whole bool, body io.ReadCloser) io.ReadCloser {
	if whole {
		return &rejoined{bytes.NewReader(begin), body}
	}
	return &rejoined{io.MultiReader(bytes.NewReader(begin), body), body}
}

// rejoined closes the body that was read.
type rejoined struct {
	io.Reader
	io.Closer
}

// Set gives a request a body that is in memory.
func Set(r *http.Request, body []byte) {
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
	r.ContentLength, r.TransferEncoding = int64(len(body)), nil
}
