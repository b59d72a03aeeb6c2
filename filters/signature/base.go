package signature

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"cardea.dev/cardea/filter"
)

// message is a request as its client sent and signed it.
type message struct {
	ex *filter.Exchange
}

// base is the text that was signed (RFC 9421, section 2.5).
func (m message) base(signed *member) (string, error) {
	var b strings.Builder
	seen := make(map[string]bool, len(signed.items))
	for i := range signed.items {
		component := &signed.items[i]
		start := b.Len()
		component.write(&b)
		name := b.String()[start:]
		if seen[name] {
			return "", fmt.Errorf("the component %s is there twice", name)
		}
		seen[name] = true
		value, err := m.component(component)
		if err != nil {
			return "", fmt.Errorf("the component %s: %w", name, err)
		}
		if strings.ContainsAny(value, "\r\n") {
			return "", fmt.Errorf("the component %s has a line break", name)
		}
		b.WriteString(": ")
		b.WriteString(value)
		b.WriteByte('\n')
	}
	b.WriteString(`"@signature-params": `)
	signed.writeList(&b)
	return b.String(), nil
}

// component is the value of a component (RFC 9421, sections 2.1 and 2.2).
func (m message) component(c *item) (string, error) {
	if c.kind != text {
		return "", errors.New("its name is no string")
	}
	name, isDerived := strings.CutPrefix(c.text, "@")
	if !isDerived {
		return m.field(c)
	}
	if name == "query-param" {
		return m.queryParameter(c)
	}
	if len(c.parameters) > 0 {
		return "", errors.New("it has parameters that are not taken")
	}
	return m.derived(name)
}

// derived are the components that are no fields.
func (m message) derived(name string) (string, error) {
	o := &m.ex.Original
	switch name {
	case "method":
		return o.Method, nil
	case "scheme":
		return o.Scheme, nil
	case "authority":
		return m.authority(), nil
	case "path":
		return m.path(), nil
	case "query":
		return "?" + o.Query, nil
	case "request-target":
		return m.target(), nil
	case "target-uri":
		return o.Scheme + "://" + m.authority() + m.target(), nil
	}
	return "", errors.New("it is not known of requests")
}

func (m message) path() string {
	if m.ex.Original.Path == "" {
		return "/"
	}
	return m.ex.Original.Path
}

func (m message) target() string {
	if m.ex.Original.Query == "" {
		return m.path()
	}
	return m.path() + "?" + m.ex.Original.Query
}

// authority is the host as the client sent it, in lower case and without the port that the scheme has anyway (RFC 9421, section 2.2.3). Where a
// trusted proxy says that it was another one, it is that, of which the port is not known.
func (m message) authority() string {
	host := strings.ToLower(m.ex.Request.Host)
	name := host
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, ']') {
		name = name[:colon]
	}
	if original := m.ex.Original.Host; original != "" && original != strings.TrimSuffix(name, ".") {
		return original
	}
	port := map[string]string{"http": ":80", "https": ":443"}[m.ex.Original.Scheme]
	if port != "" {
		host = strings.TrimSuffix(host, port)
	}
	return host
}

// queryParameter is the value of a parameter that must be there once (RFC 9421, section 2.2.8).
func (m message) queryParameter(c *item) (string, error) {
	wanted, found, err := c.parameter("name", text)
	if err != nil || !found || len(c.parameters) != 1 {
		return "", errors.New("it should have a name and no other parameter")
	}
	value, times := "", 0
	for pair := range strings.SplitSeq(m.ex.Original.Query, "&") {
		k, v, _ := strings.Cut(pair, "=")
		name, err := encoded(k)
		if err != nil {
			return "", err
		}
		if name != wanted.text {
			continue
		}
		times++
		if value, err = encoded(v); err != nil {
			return "", err
		}
	}
	if times != 1 {
		return "", fmt.Errorf("the query has it %d times, and not once", times)
	}
	return value, nil
}

// encoded is a part of a query in the one form that is signed: all but letters, digits and *-._ is escaped.
func encoded(part string) (string, error) {
	plain, err := url.QueryUnescape(part)
	if err != nil {
		return "", errors.New("the query is not well formed")
	}
	return strings.NewReplacer("+", "%20", "~", "%7E", "%2A", "*").Replace(url.QueryEscape(plain)), nil
}

// field is the value of a field, all its lines.
func (m message) field(c *item) (string, error) {
	if c.text == "" || c.text != strings.ToLower(c.text) {
		return "", errors.New("names of fields are written in lower case")
	}
	lines, err := m.lines(c.text)
	if err != nil {
		return "", err
	}
	switch {
	case len(c.parameters) == 0:
		return combined(lines), nil
	case len(c.parameters) == 1 && c.parameters[0] == parameter{"bs", value{kind: boolean, n: 1}}:
		wrapped := make([]string, len(lines))
		for i, line := range lines {
			wrapped[i] = ":" + base64.StdEncoding.EncodeToString([]byte(strings.Trim(line, " \t"))) + ":"
		}
		return strings.Join(wrapped, ", "), nil
	}
	return "", errors.New("of the parameters only bs is taken")
}

// lines are the lines of a field.
func (m message) lines(name string) ([]string, error) {
	if lines := m.ex.Request.Header[http.CanonicalHeaderKey(name)]; len(lines) > 0 {
		return lines, nil
	}
	switch {
	case name == "host":
		return []string{m.ex.Request.Host}, nil
	case name == "content-length" && m.ex.Request.ContentLength >= 0:
		return []string{strconv.FormatInt(m.ex.Request.ContentLength, 10)}, nil
	}
	return nil, errors.New("the request does not have it")
}

// combined are the lines of a field as one (RFC 9421, section 2.1).
func combined(lines []string) string {
	if len(lines) == 1 {
		return strings.Trim(lines[0], " \t")
	}
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.Trim(line, " \t")
	}
	return strings.Join(trimmed, ", ")
}
