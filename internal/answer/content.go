package answer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// maxFile is how large a file may be.
const maxFile = 10 << 20

// content readies the body, and returns its type.
func (r *Answer) content(env *filter.Env, c *Config) (contentType string, err error) {
	switch {
	case c.File != "":
		env.Reads(c.File)
		name := c.File
		if !filepath.IsAbs(name) {
			name = filepath.Join(env.Dir, name)
		}
		if r.body, err = readFile(name); err != nil {
			return "", config.FieldErrorf("file", "%w", err)
		}
		contentType = mime.TypeByExtension(filepath.Ext(name))
		if contentType == "" {
			contentType = http.DetectContentType(r.body)
		}
	case !c.JSON.IsZero():
		var b bytes.Buffer
		if err := writeJSON(&b, c.JSON); err != nil {
			return "", err
		}
		r.body, contentType = append(b.Bytes(), '\n'), "application/json"
	case c.Template != "":
		contentType = textType(c.Template)
	default:
		r.body, contentType = []byte(c.Body), textType(c.Body)
	}
	if c.ContentType != "" {
		contentType = c.ContentType
	}
	if c.Template != "" {
		if r.template, err = newTemplate(env.Expr, c.Template, escaper(contentType)); err != nil {
			return "", config.FieldErrorf("template", "%w", err)
		}
	}
	return contentType, nil
}

// textType is the media type of a text.
func textType(s string) string {
	if strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), "<") {
		return "text/html; charset=utf-8"
	}
	return "text/plain; charset=utf-8"
}

// readFile reads a file that is not too large.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot read %s: it is no file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("cannot answer with %s: it has more than %d MiB; use `static` for large files", name, maxFile>>20)
	}
	return b, nil
}

// writeJSON writes a value as it was written, in its order.
func writeJSON(b *bytes.Buffer, n config.Node) error {
	switch n.Kind() {
	case config.NodeMap:
		b.WriteByte('{')
		first := true
		for name, value := range n.Fields() {
			if !first {
				b.WriteByte(',')
			}
			first = false
			if err := writeScalar(b, name); err != nil {
				return n.Errorf("%v", err)
			}
			b.WriteByte(':')
			if err := writeJSON(b, value); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case config.NodeList:
		b.WriteByte('[')
		for i, item := range n.Items() {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return err
	}
	if err := writeScalar(b, value); err != nil {
		return n.Errorf("%v", err)
	}
	return nil
}

// writeScalar writes a single value, without escaping what only matters within HTML.
func writeScalar(b *bytes.Buffer, value any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line end
	return nil
}

// newTemplate compiles a text with values in braces, each of them escaped. Escape may be nil.
func newTemplate(expr filter.Expressions, source string, escape func(string) string) (filter.Template, error) {
	parts, err := expr.Parts(source, nil)
	if err != nil {
		return nil, err
	}
	for i, p := range parts {
		if p.Value != nil && escape != nil {
			parts[i].Value = func(ex *filter.Exchange) (string, bool) { s, ok := p.Value(ex); return escape(s), ok }
		}
	}
	return parts.Template(), nil
}

// escaper returns what makes a value harmless in a body of a type; nil: nothing need be done.
func escaper(contentType string) func(string) string {
	mediaType, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return nil
	case mediaType == "text/html", mediaType == "application/xml", mediaType == "text/xml", strings.HasSuffix(mediaType, "+xml"):
		return html.EscapeString
	case mediaType == "application/json", strings.HasSuffix(mediaType, "+json"):
		return func(s string) string {
			quoted, _ := json.Marshal(s) // a string: it cannot fail
			return string(quoted[1 : len(quoted)-1])
		}
	}
	return nil
}
