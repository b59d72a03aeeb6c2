package server

import (
	"net/http"
	"net/url"
	"runtime/debug"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/socket"
)

// call is one request and its response. It is used again for another when nobody can have kept anything of it.
type call struct {
	conn     *conn
	io       *socket.Transfers
	head     http1.Head
	blank    http.Request // with the context, which cannot be set otherwise without copying
	request  http.Request
	url      url.URL
	ctx      *callContext
	body     *body // nil: none
	response response
	codings  [1]string
	aborted  bool // the client must see a broken message
	spoilt   bool // somebody may still hold parts of it: a panic came out of the handler, or it returned before the body's end
}

func newCall() *call {
	k := &call{io: socket.NewTransfers()}
	k.response.call = k
	k.renewContext()
	return k
}

func (k *call) renewContext() {
	k.ctx = &callContext{}
	k.blank = *(&http.Request{}).WithContext(k.ctx)
}

// begin makes the request of the head.
func (k *call) begin(c *conn) *http1.ParseError {
	k.conn = c
	k.ctx.conn, k.ctx.over = c, false
	h := &k.head
	k.request = k.blank
	r := &k.request
	if bad := h.SetURL(&k.url); bad != nil {
		return bad
	}
	r.Method, r.URL, r.Host, r.RequestURI = h.Method, &k.url, h.Host, h.Target
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, h.Minor
	if h.Minor == 0 {
		r.Proto = "HTTP/1.0"
	}
	r.Header, r.RemoteAddr, r.TLS = h.Header, c.remote, c.tls
	r.Close = !h.Persistent()
	k.beginBody()
	k.response.begin()
	return nil
}

func (k *call) beginBody() {
	r := &k.request
	f, length := http1.RequestLength(&k.head)
	r.ContentLength = length
	if f == http1.NoBody {
		k.body, r.Body = nil, http.NoBody
		return
	}
	k.body = &body{conn: k.conn, ctx: k.ctx}
	k.body.waiting.Store(k.head.Expects)
	k.body.body.Begin(&k.conn.reader, f, length, &k.conn.server.limits)
	r.Body = k.body
	if f == http1.Chunked {
		k.codings[0] = "chunked"
		r.TransferEncoding = k.codings[:]
		if r.Trailer = k.head.Trailer; r.Trailer == nil {
			r.Trailer = http.Header{} // copies of the request must see what comes without being announced
		}
		k.body.trailer = r.Trailer
	}
}

// handle calls the handler.
func (k *call) handle() {
	defer k.recovered()
	k.conn.server.Handler.ServeHTTP(&k.response, &k.request)
}

// recovered ends a panic of the handler: the client sees a broken message.
func (k *call) recovered() {
	p := recover()
	if p == nil {
		return
	}
	k.aborted, k.spoilt = true, true
	if p != http.ErrAbortHandler {
		k.conn.server.Log.Error("panic while serving a request", "client", k.conn.remote, "panic", p, "stack", string(debug.Stack()))
	}
}

// finish ends the exchange: the response is completed, and what is left of the body is read. It says whether another request may
// follow on the connection.
func (k *call) finish() bool {
	c, w := k.conn, &k.response
	defer k.ctx.cancel()
	k.unwatch()
	k.spoilt = k.spoilt || k.body != nil && !k.body.ended.Load()
	if w.hijacked {
		return false
	}
	if k.aborted {
		k.breakOff()
		return false
	}
	if k.body != nil && w.headWaits() && k.body.unreadable() {
		w.endsConnection()
	}
	whole := w.finish()
	k.ctx.cancel() // before a body is waited for
	drained := k.body == nil || k.body.finish(whole && !w.close)
	switch {
	case !whole:
		k.breakOff()
		return false
	case !drained:
		c.linger()
		return false
	case w.close:
		if c.reader.Buffered() > 0 || !k.request.Close {
			c.linger()
		}
		return false
	}
	c.link.resetManual()
	return !c.closing.Load()
}

// unwatch ends the watching of the client.
func (k *call) unwatch() {
	k.ctx.mu.Lock()
	asked := k.ctx.entry.asked
	k.ctx.mu.Unlock()
	if asked {
		k.conn.server.watched.remove(&k.ctx.entry)
		k.ctx.entry = watchEntry{}
	}
}

// breakOff makes the client see that the response is not whole. Where the end of the connection would be the end of the body, it is
// reset.
func (k *call) breakOff() {
	c := k.conn
	if k.body != nil {
		k.body.finish(false)
	}
	_ = k.response.out.flush() // what was written before is the client's
	if k.response.framing == http1.UntilClose {
		if tcp, ok := c.link.plain.(interface{ SetLinger(sec int) error }); ok {
			_ = tcp.SetLinger(0)
		}
	}
}

// recycle gives a call back for another request, unless somebody may still hold parts of it.
func (s *Server) recycle(k *call) {
	k.response.release()
	if k.spoilt || k.aborted || k.response.hijacked {
		return
	}
	if !k.ctx.reusable() {
		k.renewContext()
	}
	k.ctx.conn = nil
	k.ctx.over = true
	k.head.Reset()
	k.conn, k.body, k.request = nil, nil, http.Request{}
	s.calls.Put(k)
}
