package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/convert/xml/soap"
)

func faultIn(err error) *soap.Fault {
	var f *soap.Fault
	errors.As(err, &f)
	return f
}

// fault makes a problem (RFC 9457) of a fault in the upstream's envelope.
func (w *responseWay) fault(resp *http.Response, f *soap.Fault) error {
	body, err := json.Marshal(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
		Code   string `json:"code"`
		Fault  any    `json:"fault"`
	}{
		http.StatusText(f.Status), f.Status, f.Reason, "soap_fault", struct {
			Code    string          `json:"code"`
			Subcode string          `json:"subcode,omitempty"`
			Actor   string          `json:"actor,omitempty"`
			Detail  json.RawMessage `json:"detail,omitempty"`
		}{f.Code, f.Subcode, f.Actor, json.RawMessage(f.Detail)},
	})
	if err != nil {
		return &problem{reason: "the fault cannot be written", cause: err}
	}
	forgetBytes(resp.Header)
	remark(resp.Header, "")
	resp.Header["Content-Type"] = []string{"application/problem+json"}
	resp.StatusCode, resp.Status = f.Status, ""
	w.replace(resp, body)
	return nil
}

// most is how much of an error's body is looked at for the reason.
const most = 64 << 10

// fail makes a fault of a response that is an error, for clients that get envelopes.
func (w *responseWay) fail(ex *filter.Exchange, c *choice) error {
	resp := ex.Response
	f := faultIn(c.fault)
	if f == nil {
		f = soap.FaultFor(resp.StatusCode, w.reason(resp), w.soap)
	}
	return w.envelope(resp, f)
}

// reason is the body of an error, if it is a problem (RFC 9457).
func (w *responseWay) reason(resp *http.Response) []byte {
	if m := readMedia(resp.Header); m.name != "application/problem+json" || resp.Body == nil || len(codings(resp.Header)) > 0 {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil || len(body) > most {
		return nil
	}
	return body
}

// envelope has a response be a fault.
func (w *responseWay) envelope(resp *http.Response, f *soap.Fault) error {
	var b bytes.Buffer
	if err := soap.WriteFault(&b, f, w.soap); err != nil {
		return &problem{reason: "the fault cannot be written", cause: err}
	}
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	forgetBytes(resp.Header)
	remark(resp.Header, "")
	resp.Header["Content-Type"] = []string{w.options.contentType("soap", false)}
	resp.StatusCode, resp.Status = f.EnvelopeStatus(), ""
	w.done(0, b.Len())
	w.replace(resp, b.Bytes())
	return nil
}

// refuse answers with a fault where the response cannot be transformed.
func (w *responseWay) refuse(ex *filter.Exchange, err error) {
	e := filter.AsError(err)
	ex.Err = e
	f := &soap.Fault{Version: w.soap.Version, Code: soap.Receiver, Reason: e.Public(), Status: e.HTTPStatus()}
	if failed := w.envelope(ex.Response, f); failed != nil {
		ex.Err = ofResponse(failed)
	}
}
