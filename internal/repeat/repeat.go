// Package repeat has bodies of requests read, and left there to be read again, so that a request can be sent more than once. It is for policies.
package repeat

import (
	"bytes"
	"io"
	"net/http"
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
	body, err = io.ReadAll(io.LimitReader(r.Body, most+1))
	if err != nil {
		return nil, false, err
	}
	if int64(len(body)) > most || len(r.Trailer) > 0 {
		r.Body = &rejoined{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		return nil, false, nil
	}
	Set(r, body)
	return body, true, nil
}

// rejoined is a body of which the beginning has been read.
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
