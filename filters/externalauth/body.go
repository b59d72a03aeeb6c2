package externalauth

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"cardea.dev/cardea/filter"
)

// takeBody reads the request's body for the authorizer, and puts it back for the upstream. It is nil where none is shown.
func (p *policy) takeBody(ex *filter.Exchange) ([]byte, error) {
	r := ex.Request
	if p.body == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.ContentLength > p.body {
		return nil, p.tooLarge()
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, p.body+1))
	var refused *filter.Error
	switch {
	case errors.As(err, &refused):
		return nil, refused
	case err != nil:
		return nil, filter.Reject(filter.ClientClosed, "").Because(err) // the engine knows whether it was rather late
	case int64(len(body)) > p.body:
		return nil, p.tooLarge()
	}
	delete(r.Header, "Expect") // it has been answered
	r.Body = replay{bytes.NewReader(body), r.Body}
	return body, nil
}

func (p *policy) tooLarge() *filter.Error {
	return filter.Reject(filter.BodyTooLarge, "The body of the request may have at most %s here.", p.bodyText)
}

// replay is a body that was read already.
type replay struct {
	*bytes.Reader
	io.Closer
}
