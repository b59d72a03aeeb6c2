package redirect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
)

// place is where in an address a piece stands.
type place int

const (
	inScheme place = iota
	inHost
	inPath
	inQuery
	inFragment
)

// piece is a part of an address: a text, or a value with the place that it is encoded for.
type piece struct {
	text  string
	name  string       // of a value, as written
	value filter.Value // nil: a text
	place place
}

// compile takes an address apart, and refuses one whose host a client could choose.
func compile(expr filter.Expressions, source string) (address, fragment []piece, err error) {
	raw, err := split(expr, source)
	if err != nil {
		return nil, nil, err
	}
	pieces, err := arrange(raw)
	if err != nil {
		return nil, nil, err
	}
	if err := checkHost(pieces); err != nil {
		return nil, nil, err
	}
	for i := range pieces {
		if err := pieces[i].check(); err != nil {
			return nil, nil, err
		}
	}
	end := slices.IndexFunc(pieces, func(p piece) bool { return p.place == inFragment })
	if end < 0 {
		end = len(pieces)
	}
	return pieces[:end], pieces[end:], nil
}

// split compiles an address into texts and values. An address has no braces of its own, so that "{{" can only be an expression
// that begins with one.
func split(expr filter.Expressions, source string) ([]piece, error) {
	parts, err := expr.Parts(strings.ReplaceAll(source, "{{", "{ {"), requestLine)
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		return nil, errors.New("the address is empty")
	}
	pieces := make([]piece, len(parts))
	for i, p := range parts {
		if p.Value == nil {
			pieces[i].text = p.Text
		} else {
			pieces[i].name, pieces[i].value = p.Text, p.Value
		}
	}
	return pieces, nil
}

// requestLine gives the parts of the request line as it came, which are encoded already.
func requestLine(name string) (filter.Value, error) {
	switch name {
	case "path":
		return func(ex *filter.Exchange) (string, bool) { return ex.Original.Path, true }, nil
	case "query":
		return func(ex *filter.Exchange) (string, bool) { return ex.Original.Query, true }, nil
	case "host":
		return func(ex *filter.Exchange) (string, bool) { return ex.Original.Host, true }, nil
	case "scheme":
		return func(ex *filter.Exchange) (string, bool) { return ex.Original.Scheme, true }, nil
	}
	return nil, nil
}

// arrange finds out where each piece stands. A text that goes from one place to the next becomes several pieces.
func arrange(raw []piece) ([]piece, error) {
	out, rest, err := begin(raw)
	if err != nil {
		return nil, err
	}
	at := inPath
	if len(out) > 0 {
		at = inHost
	}
	for _, p := range rest {
		if p.name != "" {
			if at == inHost && p.name == "path" {
				at = inPath
			}
			p.place = at
			out = append(out, p)
			continue
		}
		for text := p.text; text != ""; {
			end, next := ends(text, at)
			if end > 0 {
				out = append(out, piece{text: text[:end], place: at})
			}
			text, at = text[end:], next
		}
	}
	return out, nil
}

// begin returns the scheme, if there is one, and what follows it.
func begin(raw []piece) (scheme, rest []piece, err error) {
	const expected = "an address begins with https://, http://, {scheme}://, / or {path}"
	first := raw[0]
	switch {
	case first.name == "path":
		return nil, raw, nil
	case first.name == "scheme" && len(raw) > 1 && strings.HasPrefix(raw[1].text, "://"):
		rest := append([]piece{{text: raw[1].text[3:]}}, raw[2:]...)
		return []piece{first, {text: "://"}}, rest, nil
	case first.name != "":
		return nil, nil, fmt.Errorf("{%s} would let clients choose where they are sent: %s", first.name, expected)
	case strings.HasPrefix(first.text, "//"):
		return nil, nil, errors.New("an address that begins with // names a host; write https:// before it")
	case first.text[0] == '/':
		return nil, raw, nil
	}
	for _, s := range []string{"https://", "http://"} {
		if after, ok := cutPrefixFold(first.text, s); ok {
			return []piece{{text: s}}, append([]piece{{text: after}}, raw[1:]...), nil
		}
	}
	return nil, nil, fmt.Errorf("%q cannot be the beginning of an address: %s", first.text, expected)
}

func cutPrefixFold(s, prefix string) (after string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// ends returns where a place ends within a text, and which place follows.
func ends(text string, at place) (end int, next place) {
	marks := [...]string{inHost: "/?#", inPath: "?#", inQuery: "#", inFragment: ""}[at]
	end = strings.IndexAny(text, marks)
	if end < 0 {
		return len(text), at
	}
	switch text[end] {
	case '/':
		return end, inPath
	case '?':
		return end, inQuery
	}
	return end, inFragment
}

// checkHost checks that no client can choose the host: it is fixed, or the one that was asked for, or ends in a fixed domain.
func checkHost(pieces []piece) error {
	if pieces[0].place != inScheme {
		return nil
	}
	var host []piece
	for _, p := range pieces {
		if p.place == inHost {
			host = append(host, p)
		}
	}
	if len(host) > 0 && host[0].name == "host" && (len(host) == 1 || len(host) == 2 && isPort(host[1].text)) {
		return nil
	}
	written, last := "", "" // all texts; the text after the last value
	value := ""
	for _, p := range host {
		written += p.text
		if last += p.text; p.name != "" {
			value, last = p.name, ""
		}
	}
	name, _, _ := strings.Cut(last, ":")
	switch {
	case written == "" && value == "":
		return errors.New("the address has no host")
	case !fitsHost(written):
		return fmt.Errorf("%q cannot be a host", written)
	case value != "" && (!strings.HasPrefix(name, ".") || strings.Count(strings.TrimSuffix(name, "."), ".") < 2):
		return fmt.Errorf("{%s} would let clients choose where they are sent: after a value in the host there must be a domain, as in https://{%s}.example.com", value, value)
	}
	return nil
}

// isPort says whether a text is a colon and a number.
func isPort(s string) bool {
	return len(s) > 1 && s[0] == ':' && strings.Trim(s[1:], "0123456789") == ""
}

// fitsHost says whether a text has only what hosts and ports have.
func fitsHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isUnreserved(c) && c != ':' && c != '[' && c != ']' || c == '~' {
			return false
		}
	}
	return true
}

// check checks that a piece can stand where it does.
func (p *piece) check() error {
	if p.name == "query" && p.place != inQuery {
		return errors.New("{query} has its place after a ?")
	}
	if i := strings.IndexFunc(p.text, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r) }); i >= 0 {
		return fmt.Errorf("%q cannot stand in an address as it is; percent-encode it", p.text[i:])
	}
	return nil
}

func hasQuery(pieces []piece) bool {
	return slices.ContainsFunc(pieces, func(p piece) bool { return p.place == inQuery })
}
