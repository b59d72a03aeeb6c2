package mtls

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/fresh"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("mtls", filter.Authenticate, build) }

// policy is the policy as it runs.
type policy struct {
	trust     *fresh.Files[*trust]
	own       filter.OwnFields
	patterns  []*pattern
	wanted    string // the patterns, for people
	consumers filter.Consumers
	leaf      bool // is passed on
	chain     bool // is passed on
	now       func() time.Time
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p, err := newPolicy(env, c, time.Now)
	if err != nil {
		return nil, err
	}
	return env.Join("mtls", filter.Authenticator{Authenticate: p.authenticate, Explain: p.explain}), nil
}

func newPolicy(env *filter.Env, c *Config, now func() time.Time) (*policy, error) {
	p := &policy{
		consumers: env.Consumers, own: filter.NewOwnFields("Client-Cert", "Client-Cert-Chain"), now: now, wanted: strings.Join(c.Names, ", "),
		leaf: c.Forward == "certificate" || c.Forward == "chain", chain: c.Forward == "chain",
	}
	for i, text := range c.Names {
		pattern, err := newPattern(text)
		if err != nil {
			return nil, config.FieldErrorf(fmt.Sprintf("names[%d]", i), "%w", err)
		}
		p.patterns = append(p.patterns, pattern)
	}
	files := &parser{c: c, dir: env.Dir}
	var err error
	if p.trust, err = fresh.Read(files.files(), maxFile, env.Log, now(), files.parse); err != nil {
		return nil, err
	}
	return p, nil
}

// authenticate finds out whose certificate the connection has.
func (p *policy) authenticate(ex *filter.Exchange) (*filter.Identity, error) {
	header := ex.Request.Header
	p.own.Clean(ex.Request) // whoever sends these wants to be taken for another (RFC 9440, section 4)
	state := ex.Request.TLS
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil, nil
	}
	now := p.now()
	t := *p.trust.Value(now)
	sent := state.PeerCertificates
	v := t.found.get(sent, !p.chain || len(sent) == 1, now, func() *verdict { return p.find(t, sent, now) })
	if v.err != nil {
		return nil, filter.Reject(filter.CertificateInvalid, "").Because(v.err)
	}
	if v.leaf != nil {
		header["Client-Cert"] = v.leaf
	}
	if v.chain != nil {
		header["Client-Cert-Chain"] = v.chain
	}
	return v.identity, nil
}

// explain is authenticate without a connection.
func (p *policy) explain(ex *filter.Exchange) (*filter.Identity, error) {
	if ex.Request.TLS == nil {
		return nil, filter.ErrUnsaid
	}
	return p.authenticate(ex)
}

// find finds out whose certificate it is.
func (p *policy) find(t *trust, sent []*x509.Certificate, now time.Time) *verdict {
	refused := func(err error) *verdict {
		return &verdict{until: now.Add(forgetBad), err: err}
	}
	until, err := t.verify(sent, now)
	if err != nil {
		return refused(err)
	}
	n, err := namesOf(sent[0])
	if err != nil {
		return refused(err)
	}
	if err := p.accepted(n); err != nil {
		return refused(err)
	}
	v := &verdict{until: until}
	if v.identity, err = p.identify(sent[0], n); err != nil {
		return refused(err)
	}
	if p.leaf {
		v.leaf = []string{item(sent[0])}
	}
	if p.chain && len(sent) > 1 {
		items := make([]string, len(sent)-1)
		for i, c := range sent[1:] {
			items[i] = item(c)
		}
		v.chain = []string{strings.Join(items, ", ")}
	}
	return v
}

// item is a certificate as a field has it (RFC 9440, section 2.1).
func item(c *x509.Certificate) string { return ":" + base64.StdEncoding.EncodeToString(c.Raw) + ":" }

// accepted checks that a certificate has a wanted name.
func (p *policy) accepted(n names) error {
	for _, wanted := range p.patterns {
		if wanted.accepts(n) {
			return nil
		}
	}
	if len(p.patterns) == 0 {
		return nil
	}
	return fmt.Errorf("the certificate has the names %s, and none of %s", strings.Join(n.all(), ", "), p.wanted)
}

// identify makes the identity that requests with a certificate are given.
func (p *policy) identify(c *x509.Certificate, n names) (*filter.Identity, error) {
	id := &filter.Identity{Subject: n.called(c), Method: "mtls", Claims: map[string]any{
		"subject": c.Subject.String(), "issuer": c.Issuer.String(), "serial": fmt.Sprintf("%x", c.SerialNumber),
		"sans": anyOf(n.sans), "fingerprint": n.print, "expires": c.NotAfter.UTC().Format(time.RFC3339),
	}}
	var by string
	for _, name := range n.all() {
		credential := p.consumers.Credential(filter.CertificateCredential, filter.NewCredentialID(name))
		switch {
		case credential == nil, credential.Consumer.Name == id.Consumer:
			continue
		case id.Consumer != "":
			return nil, fmt.Errorf("the certificate is of two consumers: of %s by %s, and of %s by %s", id.Consumer, by, credential.Consumer.Name, name)
		}
		by = name
		consumer := credential.Consumer
		id.Consumer, id.Groups, id.Tags, id.Scopes = consumer.Name, consumer.Groups, consumer.Tags, credential.Scopes
	}
	return id, nil
}

func anyOf(texts []string) []any {
	all := make([]any, len(texts))
	for i, t := range texts {
		all[i] = t
	}
	return all
}
