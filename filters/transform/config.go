package transform

import (
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/convert/csv"
	"cardea.dev/cardea/internal/convert/form"
	"cardea.dev/cardea/internal/convert/xml"
	"cardea.dev/cardea/internal/convert/xml/soap"
	"cardea.dev/cardea/internal/document"
)

// Config says what becomes of the bodies of requests and responses.
type Config struct {
	// Request says what becomes of the bodies of requests, on their way to the upstream. By default they stay as they are.
	Request *Request `yaml:"request"`

	// Response says what becomes of the bodies of responses, on their way to the client. By default they stay as they are.
	Response *Response `yaml:"response"`

	// XML are the rules by which XML becomes JSON and back, in requests and responses alike.
	XML xml.Options `yaml:"xml"`

	// SOAP are the rules by which envelopes become JSON and back.
	SOAP soap.Options `yaml:"soap"`

	// Form are the rules by which forms become JSON and back.
	Form form.Options `yaml:"form"`

	// CSV are the rules by which CSV becomes JSON and back.
	CSV csv.Options `yaml:"csv"`
}

// Steps are what is done to a body, in this order: it is read as From, the field operations are done, then JQ, then it is written. The short
// form is JQ.
type Steps struct {
	// JQ is a jq program: its input is the document, and its one output becomes the document. It knows the variables $method, $path, $params
	// (of the path), $query, $header and $identity (null: nobody), and for responses $status. By default there is none.
	JQ string `yaml:"jq,short"`

	// From is the format that bodies come in: "json", "xml", "soap", "form" (multipart/form-data too, without files), "csv" or "ndjson" (lists,
	// both). By default "json". A body of another media type is an error.
	From string `yaml:"from" enum:"json,xml,soap,form,csv,ndjson"`

	// Types are further media types that bodies of the format From may have, as where a service says "text/plain" of its JSON. By default
	// there are those of the format. A body without a Content-Type is taken to have the right one.
	Types []string `yaml:"types"`

	// Edits are the field operations. The texts in what `set` sets are templates over the request: "{identity}". One that is nothing but a value
	// in braces keeps its type, and what is missing is null.
	document.Edits `yaml:",inline"`

	// Template makes a text of the document, which it knows as body: "Hello {body.name}". The values in it are escaped where ContentType is
	// HTML, XML or JSON. By default there is none.
	Template string `yaml:"template"`

	// ContentType is the media type of the result. By default it is that of the format; of a JSON document that stays JSON, the one that it came with.
	ContentType string `yaml:"content_type"`

	// When is a CEL expression over the request: only where it is true, or cannot be said, something is done at all. By default always.
	When string `yaml:"when"`

	// MaxBody is how long a body may be that is held in memory, once its content coding is taken off. By default 1MiB. A longer one is an error,
	// unless all that is done to it can be done while it passes: see the manual.
	MaxBody config.Size `yaml:"max_body" min:"1KiB" max:"1GiB"`

	// Whole holds every body until its end has been seen, so that one which turns out wrong late is refused as a whole. By default bodies
	// that are longer than MaxBody, or of which no length is said, begin to pass at once where they can, and are cut where they turn out wrong.
	Whole bool `yaml:"whole"`

	// OnError says what becomes of a body that cannot be transformed: "fail" refuses it, with 400, 413 or 415 for a request and 502 for a
	// response; "pass" lets it through as it is, and implies Whole. By default "fail". Do not hide fields with "pass".
	OnError string `yaml:"on_error" enum:"fail,pass"`
}

// Request is what becomes of the bodies of requests. The short form is JQ.
type Request struct {
	Steps `yaml:",inline"`

	// To is the format that the upstream gets: "json", "xml", "soap", "form", "csv" or "ndjson" (of lists, both). By default "json".
	To string `yaml:"to" enum:"json,xml,soap,form,csv,ndjson"`

	// Method is the method that the upstream gets. By default POST for soap, and else the client's.
	Method string `yaml:"method"`

	// Create makes a body where a request has none, as if it were `{}`: for the operations to fill in. By default true for soap and where Method
	// is set, and else false: then a request without a body stays as it is.
	Create *bool `yaml:"create"`
}

// Response is what becomes of the bodies of responses. The short form is JQ.
type Response struct {
	Steps `yaml:",inline"`

	// To is the format that the client gets, as in requests; or a list of formats, of which the request's Accept field chooses: the first is for
	// clients without a preference. By default "json".
	To []string `yaml:"to"`

	// Unacceptable says what a client gets that accepts no format of the list To: "refuse" is 406, before the upstream is asked; "first"
	// is the first format. By default "refuse".
	Unacceptable string `yaml:"unacceptable" enum:"refuse,first"`

	// Status are the statuses of the responses that are transformed. By default 2xx. From soap, the envelopes of faults are in any case.
	Status []config.StatusRange `yaml:"status"`
}

// Default sets what bounds the steps.
func (s *Steps) Default() { s.From, s.MaxBody, s.OnError = "json", 1<<20, "fail" }

// Default sets the formats of requests.
func (r *Request) Default() {
	r.Steps.Default()
	r.To = "json"
}

// Default sets the formats of responses.
func (r *Response) Default() {
	r.Steps.Default()
	r.Unacceptable, r.Status = "refuse", []config.StatusRange{{From: 200, To: 299}}
}

// Validate checks that there is something to do.
func (c *Config) Validate() error {
	if c.Request == nil && c.Response == nil {
		return config.FieldErrorf("", "say what to do with `request` or `response`; `transform: off` does nothing")
	}
	return nil
}

// Validate checks the operations and what goes together.
func (s *Steps) Validate() error {
	errs := []error{s.Edits.Validate()}
	for i, t := range s.Types {
		if _, params, err := mime.ParseMediaType(t); err != nil || len(params) > 0 || !strings.Contains(t, "/") {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("types[%d]", i), "%q is no media type; write as in text/plain", t))
		}
	}
	if s.ContentType != "" {
		if _, _, err := mime.ParseMediaType(s.ContentType); err != nil || !strings.Contains(s.ContentType, "/") || !isField(s.ContentType) {
			errs = append(errs, config.FieldErrorf("content_type", "%q is no media type; write as in text/plain; charset=utf-8", s.ContentType))
		}
	}
	return errors.Join(errs...)
}

// isField says whether a text can be the value of a header field.
func isField(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// Validate checks the method and what goes together.
func (r *Request) Validate() error {
	errs := []error{r.Steps.Validate()}
	if r.Method != "" && (r.Method == "CONNECT" || strings.ContainsFunc(r.Method, func(c rune) bool { return (c < 'A' || c > 'Z') && c != '-' })) {
		errs = append(errs, config.FieldErrorf("method", "%q is no method that a request with a body can have", r.Method))
	}
	if r.Template != "" && r.To != "json" {
		errs = append(errs, config.FieldErrorf("template", "makes the text that is sent; there is no document left for `to`"))
	}
	return errors.Join(errs...)
}

// Validate checks the formats and what goes together.
func (r *Response) Validate() error {
	errs := []error{r.Steps.Validate()}
	for i, name := range r.To {
		at := fmt.Sprintf("to[%d]", i)
		switch {
		case !slices.Contains(formatNames[:], name):
			errs = append(errs, &config.FieldError{Path: at, Err: fmt.Errorf("%q is no format", name), Expected: "one of " + strings.Join(formatNames[:], ", ")})
		case slices.Index(r.To, name) != i:
			errs = append(errs, config.FieldErrorf(at, "%s stands there twice", name))
		case name == "soap" && len(r.To) > 1:
			errs = append(errs, config.FieldErrorf(at, "soap cannot be one of several: its clients get their errors as envelopes, too"))
		}
	}
	switch {
	case r.Template != "" && len(r.To) > 0:
		errs = append(errs, config.FieldErrorf("template", "makes the text that is sent; there is no document left for `to`"))
	case r.ContentType != "" && len(r.To) > 1:
		errs = append(errs, config.FieldErrorf("content_type", "cannot hold for several formats"))
	case len(r.Status) == 0:
		errs = append(errs, config.FieldErrorf("status", "no status is left; leave `response` out"))
	}
	return errors.Join(errs...)
}
