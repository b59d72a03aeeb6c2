package form

import (
	"bufio"
	"fmt"
	"io"
	"mime/multipart"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/internal/convert"
)

// ToJSON reads a form and writes it as a JSON object.
func ToJSON(dst io.Writer, src io.Reader, o *Options) error {
	const format = "form"
	if err := o.checkCharset(format, o.Charset); err != nil {
		return err
	}
	r := newReader(src, format, o)
	br := bufio.NewReader(r.in)
	for {
		pair, err := br.ReadSlice('&')
		long := append([]byte(nil), pair...)
		for err == bufio.ErrBufferFull {
			pair, err = br.ReadSlice('&')
			long = append(long, pair...)
		}
		if err != nil && err != io.EOF {
			return err
		}
		r.in.MarkAll()
		if failed := r.pair(strings.TrimSuffix(string(long), "&")); failed != nil {
			return failed
		}
		if err == io.EOF {
			return r.write(dst)
		}
	}
}

// MultipartToJSON reads the text fields of a multipart/form-data body and writes them as a JSON object. Files are refused.
func MultipartToJSON(dst io.Writer, src io.Reader, boundary string, o *Options) error {
	const format = "multipart"
	r := newReader(src, format, o)
	parts := multipart.NewReader(r.in, boundary)
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return r.write(dst)
		}
		if err != nil {
			return r.wrap(err)
		}
		r.in.MarkAll()
		if err := r.part(p); err != nil {
			return err
		}
	}
}

type reader struct {
	in     *convert.Reader
	format string
	o      *Options
	root   *tree
	pairs  int
	left   int64
}

func newReader(src io.Reader, format string, o *Options) *reader {
	return &reader{
		in: convert.NewReader(src, format, o.Limits), format: format, o: o, root: &tree{kind: '{', below: map[string]*tree{}}, left: int64(o.Buffer),
	}
}

func (r *reader) write(dst io.Writer) error {
	return r.root.write(jsontext.NewEncoder(dst), "", r.o)
}

func (r *reader) pair(text string) error {
	if text == "" {
		return nil
	}
	rawName, rawValue, _ := strings.Cut(text, "=")
	name, err := url.QueryUnescape(rawName)
	if err != nil {
		return r.fail(convert.Malformed, "", "a name has a percent sign without two hexadecimal digits")
	}
	value, err := url.QueryUnescape(rawValue)
	if err != nil {
		return r.fail(convert.Malformed, name, "the value has a percent sign without two hexadecimal digits")
	}
	return r.put(name, value)
}

func (r *reader) part(p *multipart.Part) error {
	name := p.FormName()
	_, params, err := parseType(p.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return r.fail(convert.Malformed, name, "the part's Content-Type cannot be read")
	case name == "":
		return r.fail(convert.Malformed, "", "a part has no name")
	case p.FileName() != "" || isFile(p.Header.Get("Content-Disposition")):
		return r.fail(convert.Refused, name, "files are not accepted, only text fields")
	case !isText(p.Header.Get("Content-Type")):
		return r.fail(convert.Refused, name, "the part is no text")
	case p.Header.Get("Content-Transfer-Encoding") != "":
		return r.fail(convert.Refused, name, "RFC 7578 does away with Content-Transfer-Encoding")
	}
	if err := r.o.checkCharset(r.format, params["charset"]); err != nil {
		return err
	}
	value, err := io.ReadAll(p)
	if err != nil {
		return r.wrap(err)
	}
	r.in.MarkAll()
	return r.put(name, string(value))
}

// pairCost is what a pair takes in memory beside its text.
const pairCost = 256

func (r *reader) put(name, value string) error {
	r.pairs++
	if r.pairs > r.o.Pairs {
		return r.fail(convert.TooLarge, "", fmt.Sprintf("there are more than %d pairs", r.o.Pairs))
	}
	if !utf8.ValidString(name) || !utf8.ValidString(value) {
		return r.fail(convert.Malformed, strings.ToValidUTF8(name, "\uFFFD"), "the text is not in UTF-8")
	}
	steps, bad := r.o.steps(name)
	if bad != "" {
		return r.fail(convert.Malformed, name, "the name "+bad)
	}
	if len(steps) >= r.o.Depth {
		return r.fail(convert.TooLarge, "", fmt.Sprintf("a name has more than %d parts", r.o.Depth))
	}
	if r.left -= int64(len(steps)*pairCost + len(name) + len(value)); r.left < 0 {
		return r.fail(convert.TooLarge, "", fmt.Sprintf("the form takes more than %d bytes in memory", int64(r.o.Buffer)))
	}
	if bad := r.root.put(steps, value, r.o); bad != "" {
		return r.fail(convert.Unsuitable, name, "the name "+bad)
	}
	return nil
}

func (r *reader) fail(kind convert.Kind, name, reason string) error {
	return &convert.Error{Format: r.format, Kind: kind, Offset: r.in.Offset(), Path: name, Reason: reason}
}

func (r *reader) wrap(err error) error {
	if own := r.in.Err(); own != nil {
		return own
	}
	if _, ok := convert.AsError(err); ok {
		return err
	}
	return r.fail(convert.Malformed, "", strings.TrimPrefix(err.Error(), "multipart: "))
}
