package transform

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cacheable"
)

// responseWay is what is done to responses.
type responseWay struct {
	*way
	to      []string
	marks   []string // of the validators, by format; "": there are none
	lenient bool     // a client that accepts none of them gets the first
	status  []config.StatusRange
}

// applies says whether something is to be done.
func (w *responseWay) applies(ex *filter.Exchange) bool { return w != nil && w.way.applies(ex) }

// choose chooses the format that a client gets.
func (w *responseWay) choose(accept []string) (*choice, error) {
	i := 0
	if len(w.to) > 1 {
		i = slices.Index(w.to, choose(accept, w.to))
		if i < 0 && !w.lenient {
			return nil, filter.Reject(filter.NotAcceptable, "This is offered as %s.", strings.Join(w.offers(), ", ")).With("Vary", "Accept").
				Because(fmt.Errorf("the client accepts none of %s", strings.Join(w.to, ", ")))
		}
	}
	i = max(i, 0)
	c := &choice{to: w.to[i], mark: w.marks[i]}
	if len(w.to) > 1 {
		c.typ = named(accept, c.to)
	}
	return c, nil
}

// offers are the media types that clients may choose from.
func (w *responseWay) offers() (types []string) {
	for _, f := range w.to {
		types = append(types, mediaTypes(f)[0])
	}
	return types
}

// ready changes a request so that its response can be transformed: whole, without a coding, in the format that is expected, and only where
// it is not what the client has.
func (w *responseWay) ready(r *http.Request, c *choice) {
	h := r.Header
	h["Accept-Encoding"] = []string{"identity"}
	delete(h, "Range")
	delete(h, "If-Range")
	if len(w.to) > 1 || w.from != c.to {
		h["Accept"] = []string{w.asked()}
	}
	askAgain(r, c.mark)
}

// asked is the Accept field that the upstream gets.
func (w *responseWay) asked() string {
	if w.from == "soap" {
		ct, _, _ := strings.Cut(w.soap.ContentType(), ";")
		return ct
	}
	return mediaTypes(w.from)[0]
}

// transform gives the response its new body. What it returns is for ofResponse.
func (w *responseWay) transform(ex *filter.Exchange, c *choice) error {
	resp := ex.Response
	h := resp.Header
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols, c.grpc && isGRPC(h): // both must say so: one of them alone could be made to
		return nil
	case c.to == "soap" && w.isFailure(ex):
		return w.fail(ex, c)
	case ours(ex):
		return nil
	case resp.StatusCode == http.StatusNotModified:
		w.vary(h)
		w.labelUnsent(h, c)
		return nil
	}
	m := readMedia(h)
	if !w.meant(resp.StatusCode, m) {
		return nil
	}
	w.vary(h)
	if !w.hasBody(ex, resp) {
		return nil
	}
	err := m.check(w.from, w.types)
	switch {
	case err != nil:
	case resp.StatusCode == http.StatusPartialContent || h["Content-Range"] != nil:
		err = &problem{reason: "the response is a part of a document"}
	case ex.Original.Method == http.MethodHead:
		w.label(h, m, c)
		resp.ContentLength = -1
		return nil
	default:
		err = w.give(ex, c, m)
	}
	return w.settle(err)
}

// ours says whether the gateway itself made the response.
func ours(ex *filter.Exchange) bool { return ex.Err != nil }

// isFailure says whether a client that gets envelopes is to get a fault. From soap, it is one already.
func (w *responseWay) isFailure(ex *filter.Exchange) bool {
	return ours(ex) || ex.Response.StatusCode >= 400 && w.from != "soap"
}

// hasBody says whether there is a body to transform, or would be for GET.
func (w *responseWay) hasBody(ex *filter.Exchange, resp *http.Response) bool {
	switch {
	case resp.StatusCode < 200, resp.StatusCode == http.StatusNoContent: // 205 must have no body either, but HTTP does not end it without
		return false
	case ex.Original.Method == http.MethodHead:
		return true
	}
	return resp.Body != nil && resp.Body != http.NoBody && resp.ContentLength != 0
}

// meant says whether responses of a status are transformed. From soap, the envelopes of faults are, too.
func (w *responseWay) meant(status int, m media) bool {
	for _, r := range w.status {
		if r.Has(status) {
			return true
		}
	}
	return w.from == "soap" && status >= 400 && m.name != "" && m.is("soap", nil)
}

// vary says that the response depends on Accept, where it does.
func (w *responseWay) vary(h http.Header) {
	if len(w.to) > 1 {
		cacheable.Vary(h, "Accept")
	}
}

// give transforms the body, in memory or while it passes.
func (w *responseWay) give(ex *filter.Exchange, c *choice, m media) error {
	resp := ex.Response
	coded := codings(resp.Header)
	if w.passes(c.to) && len(coded) == 0 && (resp.ContentLength < 0 || resp.ContentLength > w.max) {
		return w.stream(ex, c, m)
	}
	raw, rest, err := hold(resp.Body, resp.ContentLength, w.max)
	if err != nil {
		resp.Body = rest
		return err
	}
	_ = resp.Body.Close()
	resp.Body = held(raw)
	if len(raw) == 0 {
		return nil
	}
	var out []byte
	in, err := decoded(raw, coded, w.max)
	if err == nil {
		out, err = w.all(ex, in, m, c.to)
	}
	if fault := faultIn(err); fault != nil {
		w.done(len(in), 0)
		return w.fault(resp, fault)
	}
	if err != nil {
		return err
	}
	w.done(len(in), len(out))
	w.label(resp.Header, m, c)
	w.replace(resp, out)
	return nil
}

// label changes what a response says of its body.
func (w *responseWay) label(h http.Header, m media, c *choice) {
	w.describe(h, m, c.to)
	remark(h, c.mark)
	switch {
	case c.typ == "":
	case c.to == "xml":
		h["Content-Type"] = []string{c.typ + "; charset=utf-8"}
	default:
		h["Content-Type"] = []string{c.typ}
	}
}

// labelUnsent changes what a response says of a body that the client has already: caches add it to what they have.
func (w *responseWay) labelUnsent(h http.Header, c *choice) {
	typed := h["Content-Type"] != nil
	w.label(h, readMedia(h), c)
	if !typed {
		delete(h, "Content-Type")
	}
}

// replace gives a response a body that is in memory.
func (w *responseWay) replace(resp *http.Response, body []byte) {
	resp.Body, resp.ContentLength, resp.TransferEncoding, resp.Uncompressed = held(body), int64(len(body)), nil, false
	if forgetDigests(resp.Trailer); len(resp.Trailer) > 0 {
		resp.ContentLength = -1 // trailers need a body in chunks
	}
}

func held(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }

// stream transforms the body while the client takes it. It begins once there is something to send, so that what is wrong from the start is an
// answer of its own.
func (w *responseWay) stream(ex *filter.Exchange, c *choice, m media) error {
	resp := ex.Response
	s, err := w.way.stream(ex, resp.Body, m, c.to)
	if err != nil {
		return err
	}
	f := &flow{src: resp.Body, s: s, way: w.way, trailer: func() http.Header { return resp.Trailer }, wrap: ofResponse}
	if err := f.begin(); err != nil {
		s.close()
		if s.read == 0 && s.failed == nil {
			return nil // there is no body
		}
		return err
	}
	w.label(resp.Header, m, c)
	resp.Body, resp.ContentLength, resp.TransferEncoding = f, -1, nil
	return nil
}
