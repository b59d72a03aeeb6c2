package upstreamauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"cardea.dev/cardea/filter"
)

var errChunks = errors.New("the body consists of chunks that are signed with the client's own key")

// request signs a request, for the host that it goes to.
func (s *signer) request(ex *filter.Exchange) error {
	r := ex.Request
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return filter.Reject(filter.BadRequest, "The query is not well formed.").Because(err)
	}
	claimed := r.Header.Get("X-Amz-Content-Sha256")
	if strings.HasPrefix(claimed, "STREAMING-") && claimed != streamed {
		return filter.Reject(filter.BadRequest, "Bodies of signed chunks are not accepted here.").Because(errChunks)
	}
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"} {
		delete(r.Header, name)
	}
	payload, err := s.payload(ex, claimed)
	if err != nil {
		return err
	}
	r.URL.RawQuery, r.URL.ForceQuery = query, false // so that it is read as it was signed: a "+" has two readings
	r.Host = s.host
	s.sign(r, r.URL.EscapedPath(), payload)
	return nil
}

// payload returns what the signature says of the body, which it reads if that is its hash.
func (s *signer) payload(ex *filter.Exchange, claimed string) (string, error) {
	r := ex.Request
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return emptyHash, nil
	case s.storage && claimed == streamed:
		return streamed, nil
	case s.unsigned:
		return unsignedPayload, nil
	case r.ContentLength > s.maxBody:
		return "", s.tooLarge()
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, s.maxBody+1))
	if err != nil {
		return "", unreadable(ex, err)
	}
	if int64(len(body)) > s.maxBody {
		return "", s.tooLarge()
	}
	r.Body = &replaced{Reader: bytes.NewReader(body), of: r.Body}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.ContentLength, r.TransferEncoding, r.Trailer = int64(len(body)), nil, nil
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]), nil
}

// replaced is a body that was read, in place of its source.
type replaced struct {
	*bytes.Reader
	of io.Closer
}

// Close closes the source.
func (b *replaced) Close() error { return b.of.Close() }

func (s *signer) tooLarge() error {
	return filter.Reject(filter.BodyTooLarge, "Bodies may have %d bytes here, at most.", s.maxBody)
}

// unreadable says why a body could not be read. A policy that guards it, and the end of the exchange, have errors of their own.
func unreadable(ex *filter.Exchange, err error) error {
	var own *filter.Error
	if errors.As(err, &own) || ex.Context().Err() != nil {
		return err
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return filter.Reject(filter.BodyTooLarge, "").Because(err)
	}
	return filter.Reject(filter.BadRequest, "The body of the request cannot be read.").Because(fmt.Errorf("cannot read the body: %w", err))
}
