package client

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"cardea.dev/cardea/internal/http1"
)

// trip is one exchange on a Conn. It belongs to the goroutine that called RoundTrip, then to who reads the answer's body.
type trip struct {
	c       *Conn
	ctx     context.Context
	interim func(status int, header http.Header) error
	upload  *upload     // nil: there is nothing left to send when the answer is waited for
	stop    func() bool // ends the watch on ctx; nil: there is none

	phase    Phase
	start    time.Time // of the exchange
	since    time.Time // since when the endpoint is waited for
	reused   bool
	sent     bool // bytes of the request were sent
	heard    bool // bytes of the answer came
	asked    bool // for an upgrade
	consent  bool // it is waited for before the body is sent
	partly   bool // not all of the request was sent
	watched  bool // ctx is, or need not be
	inMemory bool // the request's body is
	bodyRead bool // the request's body was read from before its upload
	lasting  bool // the connection may be used after the answer, as far as its head says

	gate  sync.Mutex
	ended bool // the connection is for others now

	resp http.Response
	body body
	head http1.Head // of the answer, while it is read
	out  []byte     // what is sent of the request together with its head
}

// trips are exchanges that are over, and of which nobody holds anything.
var trips = sync.Pool{New: func() any { return &trip{out: make([]byte, 0, 1<<10)} }}

// recycle gives the exchange back for another one, with all that its answer is made of.
func (x *trip) recycle() {
	out := x.out
	if cap(out) > http1.BigBuffer {
		out = nil
	}
	x.head.Recycle()
	*x = trip{head: x.head, out: out[:0]}
	trips.Put(x)
}

// do sends the request and waits for the head of the answer.
func (x *trip) do(req *http.Request) *Error {
	if x.ctx.Err() != nil {
		return x.fail(WritePhase, nil)
	}
	x.start = x.c.now()
	if e := x.send(req); e != nil {
		return e
	}
	x.phase = HeaderPhase
	return x.receive(req)
}

// maxInterims keeps an endpoint from holding a request up for ever with interim answers.
const maxInterims = 100

// receive reads heads up to the one of the answer.
func (x *trip) receive(req *http.Request) *Error {
	h := &x.head
	x.c.in.Attach(x)
	for n := 0; ; n++ {
		if n > maxInterims {
			return x.fail(HeaderPhase, &Error{Phase: HeaderPhase, Kind: Malformed, Err: errInterims})
		}
		if err := x.readHead(h); err != nil {
			return x.fail(HeaderPhase, err)
		}
		switch {
		case h.Status == http.StatusSwitchingProtocols:
			return x.switched(req, h)
		case h.Status >= 200:
			return x.answered(req, h)
		}
		if _, _, bad := http1.ResponseLength(h, req.Method); bad != nil {
			return x.fail(HeaderPhase, bad)
		}
		if h.Status == http.StatusContinue && x.consent {
			x.consent = false
			x.upload.begin()
		}
		if err := x.tell(h); err != nil {
			return x.fail(HeaderPhase, &Error{Phase: HeaderPhase, Kind: Canceled, Err: err})
		}
	}
}

var version = []byte("HTTP/1.")

// readHead reads one head. What is not HTTP is seen by its first bytes, as its end may never come.
func (x *trip) readHead(h *http1.Head) error {
	in := &x.c.in
	for {
		b := in.Peek()
		n := min(len(b), len(version))
		if !bytes.Equal(b[:n], version[:n]) {
			return &Error{Phase: HeaderPhase, Kind: Malformed, Err: errNotHTTP}
		}
		if n == len(version) {
			return in.ReadResponseHead(h, &x.c.limits)
		}
		if err := in.Fill(http1.SmallBuffer); err != nil {
			return err
		}
	}
}

// tell passes an interim answer on.
func (x *trip) tell(h *http1.Head) error {
	if x.interim == nil {
		return nil
	}
	return x.interim(h.Status, h.GiveHeader())
}

// answered makes the answer of its head.
func (x *trip) answered(req *http.Request, h *http1.Head) *Error {
	f, length, bad := http1.ResponseLength(h, req.Method)
	if bad != nil {
		return x.fail(HeaderPhase, bad)
	}
	x.respond(req, h)
	x.lasting = h.Persistent() && f != http1.UntilClose
	x.partly = x.partly || x.consent
	if f == http1.NoBody {
		x.resp.Body = http.NoBody
		x.resp.ContentLength = 0
		if req.Method == http.MethodHead {
			x.resp.ContentLength = h.Length
		}
		x.end(true)
		return nil
	}
	x.phase = BodyPhase
	x.c.large = length < 0 || length > http1.SmallBuffer/2
	x.resp.ContentLength = length
	x.body.x = x
	x.body.reader.Begin(&x.c.in, f, length, &x.c.limits)
	x.resp.Body = &x.body
	return nil
}

// switched hands the connection over after 101.
func (x *trip) switched(req *http.Request, h *http1.Head) *Error {
	if _, _, bad := http1.ResponseLength(h, req.Method); bad != nil {
		return x.fail(HeaderPhase, bad)
	}
	if !x.asked || x.partly || x.consent || x.upload != nil && !x.upload.completed() {
		return x.fail(HeaderPhase, &Error{Phase: HeaderPhase, Kind: Malformed, Err: errNoUpgrade})
	}
	x.respond(req, h)
	x.phase = BodyPhase
	x.resp.ContentLength = 0
	x.resp.Body = newTunnel(x)
	return nil
}

// respond fills in what a head says.
func (x *trip) respond(req *http.Request, h *http1.Head) {
	r := &x.resp
	r.Request, r.StatusCode, r.Status = req, h.Status, statusText(h)
	r.ProtoMajor, r.ProtoMinor, r.Proto = 1, h.Minor, "HTTP/1.1"
	if h.Minor == 0 {
		r.Proto = "HTTP/1.0"
	}
	r.Header, r.Trailer, r.Close = h.Header, h.Trailer, !h.Persistent()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if h.Chunked {
		r.TransferEncoding = []string{"chunked"}
	}
}

// statusText is a status with its reason. That of the usual ones is at hand.
func statusText(h *http1.Head) string {
	if h.Status == 200 && h.Reason == "OK" {
		return "200 OK"
	}
	var code [3]byte
	for i, n := 2, h.Status; i >= 0; i, n = i-1, n/10 {
		code[i] = byte('0' + n%10)
	}
	return string(code[:]) + " " + h.Reason
}

// end ends the exchange: what it held is given back, and the connection is at rest or closed afterwards.
func (x *trip) end(whole bool) {
	x.gate.Lock()
	ended := x.ended
	x.ended = true
	x.gate.Unlock()
	if ended {
		return
	}
	c := x.c
	whole = whole && c.in.Buffered() == 0
	if x.sent {
		whole = whole && x.lasting && !x.partly && (x.upload == nil || x.upload.completed())
	}
	if x.stop != nil && !x.stop() {
		whole = false // it was canceled, and will be closed
	}
	if x.upload != nil {
		x.upload.over.Store(true)
	}
	c.in.Attach(nil)
	c.in.Drop()
	if !whole || !c.state.CompareAndSwap(busy, resting) {
		c.abort()
	}
	if c.o.Done != nil {
		c.o.Done()
	}
}

// abort closes the connection, unless the exchange is over.
func (x *trip) abort() {
	x.gate.Lock()
	defer x.gate.Unlock()
	if !x.ended {
		x.c.abort()
	}
}
