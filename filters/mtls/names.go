package mtls

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// names are the names in a certificate, as consumers and patterns write them: "uri:…", "dns:…", "email:…", "subject:…", "sha256:…".
type names struct {
	spiffe  string   // "spiffe://…", or ""
	sans    []string // uri, dns, email
	subject string
	print   string
}

// namesOf are the names of a certificate. It refuses one that means to be an X.509-SVID and is none.
func namesOf(c *x509.Certificate) (n names, err error) {
	sum := sha256.Sum256(c.Raw)
	n.print, n.subject = "sha256:"+hex.EncodeToString(sum[:]), "subject:"+c.Subject.String()
	for _, u := range c.URIs {
		text := u.String()
		n.sans = append(n.sans, "uri:"+text)
		if strings.EqualFold(u.Scheme, "spiffe") {
			n.spiffe = text
		}
	}
	for _, name := range c.DNSNames {
		if !strings.Contains(name, "*") { // a pattern for servers is nobody's name
			n.sans = append(n.sans, "dns:"+strings.ToLower(name))
		}
	}
	for _, name := range c.EmailAddresses {
		n.sans = append(n.sans, "email:"+strings.ToLower(name))
	}
	if n.spiffe != "" {
		return n, checkSVID(c, n.spiffe)
	}
	return n, nil
}

// checkSVID checks a leaf certificate (SPIFFE X.509-SVID, sections 2, 4.1 and 4.3).
func checkSVID(c *x509.Certificate, id string) error {
	switch {
	case len(c.URIs) != 1:
		return fmt.Errorf("the certificate has a SPIFFE id and %d URIs, where one alone is allowed", len(c.URIs))
	case c.IsCA || c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return errors.New("the certificate has a SPIFFE id and may sign others, which callers may not")
	case c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return errors.New("the certificate has a SPIFFE id, and its key is not for digital signatures")
	case len(id) > 2048 || !spiffeID.MatchString(id) || dotSegment.MatchString(id):
		return errors.New("the SPIFFE id of the certificate is not well formed")
	}
	return nil
}

// The form of a SPIFFE id (SPIFFE-ID, section 2).
var (
	spiffeID   = regexp.MustCompile(`^spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)*$`)
	dotSegment = regexp.MustCompile(`/\.\.?(/|$)`)
)

// called is what the caller is called.
func (n names) called(c *x509.Certificate) string {
	switch {
	case n.spiffe != "":
		return n.spiffe
	case len(n.sans) > 0:
		_, name, _ := strings.Cut(n.sans[0], ":")
		return name
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	}
	return c.Subject.String()
}

// all are all names, the most particular first.
func (n names) all() []string { return slices.Concat([]string{n.print}, n.sans, []string{n.subject}) }

// pattern is a wanted name.
type pattern struct {
	text   string
	spiffe bool
	match  *regexp.Regexp
}

// separators are what "*" does not stand for.
func separators() map[string]string {
	return map[string]string{"dns": ".", "email": "@", "uri": "/", "subject": ",", "sha256": ""}
}

// newPattern reads a wanted name.
func newPattern(text string) (*pattern, error) {
	p := &pattern{text: text}
	kind, rest, _ := strings.Cut(text, ":")
	if kind == "spiffe" {
		p.spiffe, kind, rest = true, "uri", text
	}
	separator, known := separators()[kind]
	switch {
	case !known || rest == "":
		return nil, fmt.Errorf("%q is no name of a certificate: expected dns:, email:, uri:, spiffe://, subject: or sha256: and the name", text)
	case p.spiffe && !spiffeID.MatchString(strings.ReplaceAll(rest, "*", "x")):
		return nil, fmt.Errorf("%q is no SPIFFE id: expected spiffe://TRUST-DOMAIN/PATH, its domain in lower case, without a slash at its end", text)
	case kind == "sha256" && !regexp.MustCompile(`^[0-9A-Fa-f]{64}$`).MatchString(rest):
		return nil, fmt.Errorf("%q is no SHA-256: expected 64 hexadecimal digits", text)
	}
	if kind == "dns" || kind == "email" || kind == "sha256" {
		rest = strings.ToLower(rest)
	}
	var b strings.Builder
	b.WriteString(`(?s)^` + kind + `:`)
	for i, part := range strings.Split(rest, "**") {
		if i > 0 {
			b.WriteString(`.+`)
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(part), `\*`, `[^`+regexp.QuoteMeta(separator)+`]+`))
	}
	match, err := regexp.Compile(b.String() + `$`)
	if err != nil {
		return nil, fmt.Errorf("cannot use the name %q: %w", text, err)
	}
	p.match = match
	return p, nil
}

// accepts says whether a certificate has the name.
func (p *pattern) accepts(n names) bool {
	if p.spiffe {
		return n.spiffe != "" && p.match.MatchString("uri:"+n.spiffe)
	}
	return slices.ContainsFunc(n.all(), p.match.MatchString)
}
