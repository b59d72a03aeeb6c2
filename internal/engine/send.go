package engine

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine/listen"
	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/http1/server"
)

// send writes the response to the client: head, body, trailers.
func (x *exchange) send() {
	defer x.stopped()
	resp := x.Response
	if x.Err != nil && errors.Is(x.Err, http.ErrAbortHandler) { // a policy wants no answer at all
		x.Aborted = true
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		return
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.upgrade(resp)
		return
	}
	if resp.Body != nil {
		defer resp.Body.Close()
	}
	if w, ok := x.writer.(server.ResponseSender); ok {
		x.sendWhole(w, resp)
		return
	}
	x.head(resp)
	if resp.Body == nil || resp.Body == http.NoBody || !hasBody(x.Original.Method, resp.StatusCode) {
		x.trailers(resp, len(resp.Trailer))
		return
	}
	announced := len(resp.Trailer)
	if err := x.copyBody(resp); err != nil {
		x.cut(err)
		return
	}
	x.trailers(resp, announced)
}

// stopped cuts the answer when a panic came in the middle of it, as of a body that a policy has wrapped. The exchange must still be
// finished: its snapshot counts on it.
func (x *exchange) stopped() {
	p := recover()
	if p == nil {
		return
	}
	x.tellPanic("sending the answer", p)
	x.Aborted = true
	if x.Err == nil {
		refused := filter.Reject(filter.InternalError, "").Because(fmt.Errorf("panic: %v", p))
		x.Err = refused
		x.note(refused)
	}
}

// sendWhole hands the response over to a writer that takes it as it is.
func (x *exchange) sendWhole(w server.ResponseSender, resp *http.Response) {
	listen.StripHopByHop(resp.Header)
	x.writer.Header()[requestIDHeader] = x.id[:]
	x.Status, x.FirstByte, x.wrote = resp.StatusCode, x.Start.Add(time.Since(x.Start)), true
	var err error
	if x.Sent, err = w.WriteResponse(resp); err == nil {
		return
	}
	var left *server.WriteError
	if errors.As(err, &left) {
		err = errors.Join(errClient, err)
	}
	x.cut(err)
}

// head writes the status line and the fields.
func (x *exchange) head(resp *http.Response) {
	listen.StripHopByHop(resp.Header)
	h := x.writer.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	h[requestIDHeader] = x.id[:]
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // net/http must not guess
	}
	for name := range resp.Trailer {
		h.Add("Trailer", name)
	}
	x.Status = resp.StatusCode
	x.FirstByte = x.Start.Add(time.Since(x.Start))
	x.wrote = true
	x.writer.WriteHeader(resp.StatusCode)
	if streams(resp) {
		_ = http.NewResponseController(x.writer).Flush()
	}
}

// streams says whether a client may wait for the head alone: the end of the body is not known, so it may be long in coming.
func streams(resp *http.Response) bool {
	return resp.ContentLength < 0 && resp.Body != nil && resp.Body != http.NoBody
}

// hasBody says whether a response with a status, to a request with a method, has a body at all (RFC 9110, section 6.4.1).
func hasBody(method string, status int) bool {
	return method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// buffers are what bodies are copied through.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// errClient marks a failed write to the client.
var errClient = errors.New("the client left")

// copyBody copies the body as it comes: what was read short of a whole buffer is sent on at once, for nothing more was there.
func (x *exchange) copyBody(resp *http.Response) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	control := http.NewResponseController(x.writer)
	for {
		n, err := resp.Body.Read(buf[:])
		if n > 0 {
			written, werr := x.writer.Write(buf[:n])
			x.Sent += int64(written)
			if werr != nil {
				return errors.Join(errClient, werr)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n < len(buf) && x.Sent != resp.ContentLength {
			_ = control.Flush()
		}
	}
}

// trailers writes the trailer fields, those that were announced in the head and those that were not.
func (x *exchange) trailers(resp *http.Response, announced int) {
	if len(resp.Trailer) == 0 {
		return
	}
	h := x.writer.Header()
	unannounced := len(resp.Trailer) != announced
	if unannounced {
		_ = http.NewResponseController(x.writer).Flush() // forces chunked coding, which alone has trailers
	}
	for name, values := range resp.Trailer {
		if len(values) == 0 {
			continue // net/http's HTTP/2 would wait for it, and not end the stream
		}
		if unannounced {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}

// cut records that the answer broke off. The client will see a message without its end.
func (x *exchange) cut(err error) {
	x.Aborted = true
	if x.Err != nil {
		return
	}
	var refused *filter.Error
	known := errors.As(err, &refused) // the upstream says what it was
	switch {
	case errors.Is(err, errClient), x.Request.Context().Err() != nil && !known:
		refused = x.classify(filter.Reject(filter.ClientClosed, "").Because(err))
	case !known:
		refused = filter.Reject(filter.UpstreamReset, "").Because(err)
	}
	x.Err = refused
	x.note(refused)
}

// interim passes an interim response on.
func (x *exchange) interim(status int, header http.Header) {
	if x.wrote || status == http.StatusContinue || status < 100 || status > 199 {
		return // net/http sends 100 itself, when the body is first read
	}
	h := x.writer.Header()
	for name, values := range header {
		h[name] = values
	}
	x.writer.WriteHeader(status)
	clear(h)
}

// countedBody counts what is read of a request's body. The transport may read it after the exchange has ended.
type countedBody struct {
	io.ReadCloser
	trailer http.Header // of the request
	n       atomic.Int64
	fault   atomic.Pointer[filter.Error] // it was too long in coming, or is malformed
}

func (b *countedBody) Read(p []byte) (int, error) { return b.took(b.ReadCloser.Read(p)) }

// ReadReady reads what is there without waiting. Where nothing is, or that cannot be, it returns neither bytes nor an error.
func (b *countedBody) ReadReady(p []byte) (int, error) {
	if there, ok := b.ReadCloser.(interface{ ReadReady([]byte) (int, error) }); ok {
		return b.took(there.ReadReady(p))
	}
	return 0, nil
}

// took notes what a read came to.
func (b *countedBody) took(n int, err error) (int, error) {
	b.n.Add(int64(n))
	if err == io.EOF {
		listen.StripTrailer(b.trailer)
	}
	var malformed *http1.ParseError
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.fault.Store(filter.Reject(filter.RequestTimeout, "").Because(err))
	case errors.As(err, &malformed):
		b.fault.Store(&filter.Error{Code: unreadable(malformed.Status), Status: malformed.Status, Cause: err})
	default:
		return n, err
	}
	return n, b.fault.Load()
}

// Buffered says how many bytes can be read without waiting, at least.
func (b *countedBody) Buffered() int {
	if there, ok := b.ReadCloser.(interface{ Buffered() int }); ok {
		return there.Buffered()
	}
	return 0
}

func (b *countedBody) count() int64 { return b.n.Load() }
