package engine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"

	"cardea.dev/cardea/filter"
)

// Answers says how the errors that the gateway itself makes look to clients: problem details (RFC 9457), a grpc-status for
// gRPC callers, a small page for browsers, or what the configuration says instead.
type Answers struct {
	ByCode   map[filter.Code]Answer
	ByStatus map[int]Answer
	ByClass  map[int]Answer // 4 for "4xx"
}

// Answer is what a configuration changes of an error's answer. What is zero stays as it is.
type Answer struct {
	Status      int
	Title       string
	Detail      string
	Body        filter.Template
	ContentType string
}

// Problem is what a client is told of an error: problem details as in RFC 9457, section 3.
type Problem struct {
	Type      string      `json:"type"`
	Title     string      `json:"title"`
	Status    int         `json:"status"`
	Detail    string      `json:"detail,omitempty"`
	Code      filter.Code `json:"code"`
	RequestID string      `json:"request_id"`

	Errors []filter.Violation `json:"errors,omitempty"`
}

// response makes the answer to an error.
func (a *Answers) response(ex *filter.Exchange, e *filter.Error) *http.Response {
	custom := a.find(e.Code, e.HTTPStatus())
	p := custom.Problem(ex, e)
	h := http.Header{}
	for name, values := range e.Header {
		h[name] = values
	}
	switch {
	case isGRPC(ex.Request):
		return grpcAnswer(ex, h, p)
	case custom.Body != nil:
		return answer(ex, h, p.Status, custom.ContentType, []byte(custom.Body(ex)))
	case prefersHTML(ex.Request):
		return answer(ex, h, p.Status, "text/html; charset=utf-8", page(p))
	}
	body, _ := json.Marshal(p) // strings and a number: it cannot fail
	return answer(ex, h, p.Status, "application/problem+json", append(body, '\n'))
}

// Problem is what a client is told of an error.
func (c Answer) Problem(ex *filter.Exchange, e *filter.Error) Problem {
	info := e.Info()
	title := info.Title
	status := cmp.Or(c.Status, e.HTTPStatus())
	if status != info.Status {
		title = http.StatusText(status) // the code's own goes with its own status
	}
	return Problem{
		Type: "about:blank", Code: e.Code, RequestID: ex.ID,
		Errors: e.Violations,
		Status: status, Title: cmp.Or(c.Title, title, info.Title), Detail: cmp.Or(c.Detail, e.Detail, info.Detail),
	}
}

// find returns what is configured for an error: the nearest of code, status, class.
func (a *Answers) find(code filter.Code, status int) Answer {
	if a == nil {
		return Answer{}
	}
	if c, ok := a.ByCode[code]; ok {
		return c
	}
	if c, ok := a.ByStatus[status]; ok {
		return c
	}
	return a.ByClass[status/100]
}

func answer(ex *filter.Exchange, h http.Header, status int, contentType string, body []byte) *http.Response {
	h["Content-Type"] = []string{contentType}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: ex.Request,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}
}

func isGRPC(r *http.Request) bool {
	ct := r.Header.Get("Content-Type")
	return strings.HasPrefix(ct, "application/grpc") && !strings.HasPrefix(ct, "application/grpc-web")
}

// grpcAnswer is a response of trailers only, as gRPC clients expect it.
func grpcAnswer(ex *filter.Exchange, h http.Header, p Problem) *http.Response {
	h["Content-Type"] = []string{"application/grpc"}
	h["Grpc-Status"] = []string{strconv.Itoa(grpcStatus(p.Status))}
	h["Grpc-Message"] = []string{percentEncode(p.Detail + " (" + string(p.Code) + ")")}
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: http.NoBody, Request: ex.Request}
}

// grpcStatus is the gRPC status for an HTTP status, as in gRPC's "HTTP to gRPC Status Code Mapping", a little finer.
func grpcStatus(status int) int {
	switch status {
	case 400:
		return 3 // INVALID_ARGUMENT
	case 401:
		return 16 // UNAUTHENTICATED
	case 403:
		return 7 // PERMISSION_DENIED
	case 404, 405, 410:
		return 12 // UNIMPLEMENTED
	case 408, 504:
		return 4 // DEADLINE_EXCEEDED
	case 413, 414, 429, 431:
		return 8 // RESOURCE_EXHAUSTED
	case 499:
		return 1 // CANCELLED
	case 500:
		return 13 // INTERNAL
	case 501:
		return 12 // UNIMPLEMENTED
	case 502, 503:
		return 14 // UNAVAILABLE
	default:
		return 2 // UNKNOWN
	}
}

// percentEncode encodes a grpc-message: all but printable ASCII, and "%".
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			const digits = "0123456789ABCDEF"
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// prefersHTML says whether a person's browser asks: it names text/html before any JSON.
func prefersHTML(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	i := strings.Index(accept, "text/html")
	if i < 0 {
		return false
	}
	j := strings.Index(accept, "json")
	return j < 0 || i < j
}

func page(p Problem) []byte {
	title := html.EscapeString(strconv.Itoa(p.Status) + " " + p.Title)
	return []byte(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>` + title + `</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:20vh auto;max-width:34rem;padding:0 1rem;color:#222}h1{font-size:1.4rem}code{color:#666;font-size:.85rem}</style>
</head><body><h1>` + title + `</h1><p>` + html.EscapeString(p.Detail) + `</p><p><code>` + html.EscapeString(string(p.Code)) + `<br>` + html.EscapeString(p.RequestID) + `</code></p></body></html>
`)
}
