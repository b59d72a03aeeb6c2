package transform

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/internal/convert"
	"cardea.dev/cardea/internal/convert/csv"
	"cardea.dev/cardea/internal/convert/form"
	"cardea.dev/cardea/internal/convert/xml"
	"cardea.dev/cardea/internal/convert/xml/soap"
)

// formatNames are the formats of bodies.
var formatNames = [...]string{"json", "xml", "soap", "form", "csv", "ndjson"}

// mediaTypes are the media types of a format; the first is the one that is written, and asked for.
func mediaTypes(format string) []string {
	switch format {
	case "json":
		return []string{"application/json", "text/json"}
	case "xml":
		return []string{"application/xml", "text/xml"}
	case "soap":
		return []string{"text/xml", "application/soap+xml"}
	case "form":
		return []string{"application/x-www-form-urlencoded", "multipart/form-data"}
	case "csv":
		return []string{"text/csv"}
	case "ndjson":
		return []string{"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
	}
	return []string{"text/plain"}
}

// suffix ends the media types of other formats that are written in this one (RFC 6839).
func suffix(format string) string {
	switch format {
	case "json":
		return "+json"
	case "xml":
		return "+xml"
	}
	return ""
}

// media is what a Content-Type says.
type media struct {
	name     string // in lower case; "": there is none
	charset  string
	boundary string
	unread   bool // it cannot be read
}

func readMedia(h http.Header) media {
	values := h["Content-Type"]
	switch {
	case len(values) > 1: // others may read another one of them
		return media{unread: true}
	case len(values) == 0 || values[0] == "":
		return media{}
	case values[0] == "application/json":
		return media{name: values[0]}
	}
	name, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		return media{unread: true}
	}
	return media{name: name, charset: params["charset"], boundary: params["boundary"]}
}

// is says whether a body of a media type is taken for one of a format.
func (m media) is(format string, more []string) bool {
	s := suffix(format)
	return m.name == "" || slices.Contains(mediaTypes(format), m.name) || s != "" && strings.HasSuffix(m.name, s) ||
		slices.ContainsFunc(more, func(t string) bool { return strings.EqualFold(t, m.name) })
}

// expected are the media types that are taken for a format.
func expected(format string, more []string) string {
	all := append(mediaTypes(format), more...)
	if s := suffix(format); s != "" {
		all = append(all, "one that ends with "+s)
	}
	return strings.Join(all, ", ")
}

// check says what is wrong with a media type where one of a format is expected.
func (m media) check(format string, more []string) error {
	switch {
	case m.unread:
		return &problem{kind: wrongType, reason: "its Content-Type cannot be read", shown: true}
	case !m.is(format, more):
		return &problem{kind: wrongType, reason: fmt.Sprintf("it is %.100s; expected %s", m.name, expected(format, more)), shown: true}
	}
	return nil
}

// converter writes one format as another.
type converter func(dst io.Writer, src io.Reader) error

// options are the rules of all formats.
type options struct {
	xml  *xml.Options
	soap *soap.Options
	form *form.Options
	csv  *csv.Options
}

// decoder is what makes JSON of a body; nil: it is JSON.
func (o *options) decoder(format string, m media, request bool) (converter, error) {
	switch format {
	case "xml":
		own := *o.xml
		own.Charset = m.charset
		return func(dst io.Writer, src io.Reader) error { return xml.ToJSON(dst, src, &own) }, nil
	case "soap":
		own := *o.soap
		own.Charset = m.charset
		if request {
			return func(dst io.Writer, src io.Reader) error { return soap.RequestToJSON(dst, src, &own) }, nil
		}
		return func(dst io.Writer, src io.Reader) error { return soap.ResponseToJSON(dst, src, &own) }, nil
	case "form":
		own := *o.form
		own.Charset = m.charset
		if m.name == "multipart/form-data" {
			return func(dst io.Writer, src io.Reader) error { return form.MultipartToJSON(dst, src, m.boundary, &own) }, nil
		}
		return func(dst io.Writer, src io.Reader) error { return form.ToJSON(dst, src, &own) }, nil
	case "csv":
		own := *o.csv
		own.Charset = m.charset
		return func(dst io.Writer, src io.Reader) error { return csv.ToJSON(dst, src, &own) }, nil
	}
	if m.charset != "" && !strings.EqualFold(m.charset, "utf-8") && !strings.EqualFold(m.charset, "us-ascii") {
		return nil, &problem{kind: wrongType, reason: fmt.Sprintf("its charset, %.40s, is not known; JSON is in UTF-8", m.charset), shown: true}
	}
	if format == "ndjson" {
		return func(dst io.Writer, src io.Reader) error { return csv.FromNDJSON(dst, src, lines()) }, nil
	}
	return nil, nil
}

// lines bound NDJSON: what is held bounds itself, and what passes needs no bound but that of a line.
func lines() *convert.Limits {
	l := &convert.Limits{}
	l.Default()
	l.Size = 0
	return l
}

// encoder is what makes a body of JSON; nil: it is JSON.
func (o *options) encoder(format string, request bool) converter {
	switch {
	case format == "xml":
		return func(dst io.Writer, src io.Reader) error { return xml.FromJSON(dst, src, o.xml) }
	case format == "soap" && request:
		return func(dst io.Writer, src io.Reader) error { return soap.RequestFromJSON(dst, src, o.soap) }
	case format == "soap":
		return func(dst io.Writer, src io.Reader) error { return soap.ResponseFromJSON(dst, src, o.soap) }
	case format == "form":
		return func(dst io.Writer, src io.Reader) error { return form.FromJSON(dst, src, o.form) }
	case format == "csv":
		return func(dst io.Writer, src io.Reader) error { return csv.FromJSON(dst, src, o.csv) }
	case format == "ndjson":
		return func(dst io.Writer, src io.Reader) error { return csv.ToNDJSON(dst, src, lines()) }
	}
	return nil
}

// contentType is the Content-Type of a format as it is written.
func (o *options) contentType(format string, request bool) string {
	switch {
	case format == "xml", format == "csv", format == "text":
		return mediaTypes(format)[0] + "; charset=utf-8"
	case format == "soap" && request:
		return o.soap.ContentType()
	case format == "soap":
		own := *o.soap
		own.Action = ""
		return own.ContentType()
	}
	return mediaTypes(format)[0]
}
