package transform

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"cardea.dev/cardea/filter"
)

// requestWay is what is done to requests.
type requestWay struct {
	*way
	to     string
	method string // "": the client's
	create bool   // a body where there is none
	flows  filter.Slot[flow]
}

// applies says whether something is to be done.
func (w *requestWay) applies(ex *filter.Exchange) bool { return w != nil && w.way.applies(ex) }

func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// transform gives the request its new body. What it returns is for ofRequest.
func (w *requestWay) transform(ex *filter.Exchange) error {
	r := ex.Request
	if err := settleEmpty(r); err != nil {
		w.failed.Inc()
		return err
	}
	if !hasBody(r) {
		// An offer to upgrade is no reason to leave a body alone: the upstream may decline it and take the body.
		if !w.create || r.Header["Upgrade"] != nil {
			return nil
		}
		return w.made(ex)
	}
	m := readMedia(r.Header)
	err := m.check(w.from, w.types)
	coded := codings(r.Header)
	switch {
	case err != nil:
	case w.passes(w.to) && len(coded) == 0 && (r.ContentLength < 0 || r.ContentLength > w.max):
		err = w.stream(ex, m)
	default:
		err = w.hold(ex, m, coded)
	}
	return w.settle(err)
}

// settleEmpty finds out whether a body of which no length is said is none.
func settleEmpty(r *http.Request) error {
	if !hasBody(r) || r.ContentLength > 0 {
		return nil
	}
	first := make([]byte, 1)
	_, err := io.ReadFull(r.Body, first)
	switch {
	case err == nil:
		r.Body = &joined{io.MultiReader(bytes.NewReader(first), r.Body), r.Body}
	case errors.Is(err, io.EOF):
		_ = r.Body.Close()
		r.Body, r.GetBody, r.ContentLength, r.TransferEncoding = http.NoBody, nil, 0, nil
		return nil
	}
	return err
}

// settle counts what became of a body. Nil is returned where it passes as it is.
func (w *way) settle(err error) error {
	if err == nil {
		return nil
	}
	if w.pass && errors.As(err, new(*problem)) {
		w.passed.Inc()
		return nil
	}
	w.failed.Inc()
	return err
}

// made makes a body for a request that has none.
func (w *requestWay) made(ex *filter.Exchange) error {
	plain := *w.way
	plain.from = "json"
	out, err := plain.all(ex, []byte("{}"), media{}, w.to)
	if err != nil {
		return w.settle(err)
	}
	w.done(0, len(out))
	w.give(ex.Request, media{}, out)
	return nil
}

// hold transforms a body in memory.
func (w *requestWay) hold(ex *filter.Exchange, m media, coded []string) error {
	r := ex.Request
	raw, rest, err := hold(r.Body, r.ContentLength, w.max)
	if err != nil {
		r.Body = rest
		return err
	}
	var out []byte
	in, err := decoded(raw, coded, w.max)
	if err == nil {
		out, err = w.all(ex, in, m, w.to)
	}
	if err != nil {
		setBody(r, raw) // for those who let it pass
		return err
	}
	w.done(len(in), len(out))
	w.give(r, m, out)
	return nil
}

// give gives a request its new body, which may be sent again.
func (w *requestWay) give(r *http.Request, m media, body []byte) {
	w.head(r)
	w.describe(r.Header, m, w.to)
	setBody(r, body)
}

func setBody(r *http.Request, body []byte) {
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
	r.ContentLength, r.TransferEncoding = int64(len(body)), nil
	delete(r.Header, "Content-Length")
	forgetDigests(r.Trailer)
}

// stream transforms a body while the upstream takes it.
func (w *requestWay) stream(ex *filter.Exchange, m media) error {
	r := ex.Request
	s, err := w.way.stream(ex, r.Body, m, w.to)
	if err != nil {
		return err
	}
	f := &flow{src: r.Body, s: s, way: w.way, trailer: func() http.Header { return r.Trailer }, wrap: ofRequest}
	if err := f.begin(); err != nil {
		s.close()
		return err
	}
	w.head(r)
	w.describe(r.Header, m, w.to)
	r.Body, r.GetBody, r.ContentLength = f, nil, -1
	w.flows.Set(ex, f)
	return nil
}

// finish ends the transformation of a body that the upstream did not take to its end.
func (w *requestWay) finish(ex *filter.Exchange) {
	if f := w.flows.Get(ex); f != nil {
		f.release()
	}
}

// head changes what is known without the body.
func (w *requestWay) head(r *http.Request) {
	if w.method != "" {
		r.Method = w.method
	}
	if w.to == "soap" && w.text == nil {
		if action := w.soap.SOAPAction(); action != "" {
			r.Header["Soapaction"] = []string{action}
		}
	}
	if w.from == "soap" && w.to != "soap" {
		delete(r.Header, "Soapaction")
	}
}

// describe changes what a message says of its body.
func (w *way) describe(h http.Header, m media, to string) {
	forgetBytes(h)
	switch {
	case w.contentType != "":
		h["Content-Type"] = []string{w.contentType}
	case w.from == "json" && to == "json" && w.text == nil && m.is("json", nil) && m.name != "":
		// It stays what it is, such as application/hal+json.
	default:
		h["Content-Type"] = []string{w.options.contentType(to, w.request)}
	}
}
