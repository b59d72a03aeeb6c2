package mtls

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// maxFile is how large each of the files may be.
const maxFile = 64 << 20

// trust is who is believed, as the files say, and what was found out with them. It is made anew when a file changes.
type trust struct {
	roots, intermediates *x509.CertPool
	lists                map[string]*list // by signer; nil where there are none
	found                *cache
}

// list is a revocation list.
type list struct {
	revoked map[string]bool // by serial number, as bytes
	this    time.Time
	next    time.Time // zero: it says nothing of it
}

// parser makes a trust of the texts of files, which come in the order of the configuration: CA, intermediates, lists.
type parser struct {
	c   *Config
	dir string
}

// files are the names of all files.
func (p *parser) files() []string {
	var all []string
	for _, names := range [][]string{p.c.CA, p.c.Intermediates, p.c.CRL} {
		for _, name := range names {
			if !filepath.IsAbs(name) {
				name = filepath.Join(p.dir, name)
			}
			all = append(all, name)
		}
	}
	return all
}

func (p *parser) parse(texts [][]byte) (*trust, error) {
	t := &trust{roots: x509.NewCertPool(), intermediates: x509.NewCertPool(), found: newCache()}
	var signers []*x509.Certificate
	names := p.files()
	for i, text := range texts[:len(p.c.CA)+len(p.c.Intermediates)] {
		certs, err := certificates(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", names[i], err)
		}
		pool := t.roots
		if i >= len(p.c.CA) {
			pool = t.intermediates
		}
		for _, c := range certs {
			pool.AddCert(c)
		}
		signers = append(signers, certs...)
	}
	lists := texts[len(p.c.CA)+len(p.c.Intermediates):]
	if len(lists) > 0 {
		t.lists = map[string]*list{}
	}
	for i, text := range lists {
		if err := t.addLists(text, signers); err != nil {
			return nil, fmt.Errorf("%s: %w", names[len(names)-len(lists)+i], err)
		}
	}
	return t, nil
}

// certificates reads the certificates of a PEM file.
func certificates(text []byte) (all []*x509.Certificate, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("cannot read certificate %d: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no certificate in it, in PEM")
	}
	return all, nil
}

// addLists reads the revocation lists of a file, PEM or DER.
func (t *trust) addLists(text []byte, signers []*x509.Certificate) error {
	block, rest := pem.Decode(text)
	if block == nil {
		return t.addList(text, signers)
	}
	for ; block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			return fmt.Errorf("there is a %s in it, where only revocation lists (X509 CRL) belong", block.Type)
		}
		if err := t.addList(block.Bytes, signers); err != nil {
			return err
		}
	}
	return nil
}

func (t *trust) addList(der []byte, signers []*x509.Certificate) error {
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("cannot read the revocation list: %w", err)
	}
	for _, e := range crl.Extensions {
		if e.Critical { // a list for a part of the certificates, or of changes only (RFC 5280, section 5.2)
			return fmt.Errorf("the revocation list of %s has the critical extension %s; only whole lists can be used", crl.Issuer, e.Id)
		}
	}
	l := &list{revoked: make(map[string]bool, len(crl.RevokedCertificateEntries)), this: crl.ThisUpdate, next: crl.NextUpdate}
	for i := range crl.RevokedCertificateEntries {
		l.revoked[string(crl.RevokedCertificateEntries[i].SerialNumber.Bytes())] = true
	}
	signed := false
	for _, s := range signers {
		if !bytes.Equal(s.RawSubject, crl.RawIssuer) || crl.CheckSignatureFrom(s) != nil {
			continue
		}
		signed = true
		if old := t.lists[signerKey(s)]; old == nil || old.this.Before(l.this) {
			t.lists[signerKey(s)] = l
		}
	}
	if !signed {
		return fmt.Errorf("the revocation list of %s is signed by none of the certificates in `ca` and `intermediates`", crl.Issuer)
	}
	return nil
}

// signerKey is what is the same in all certificates of one signer.
func signerKey(c *x509.Certificate) string {
	return string(c.RawSubject) + string(c.RawSubjectPublicKeyInfo)
}

// verify checks a chain that a client sent, its own certificate first. The answer is good until a time.
func (t *trust) verify(sent []*x509.Certificate, now time.Time) (until time.Time, err error) {
	between := t.intermediates
	if len(sent) > 1 {
		between = between.Clone()
		for _, c := range sent[1:] {
			between.AddCert(c)
		}
	}
	chains, err := sent[0].Verify(x509.VerifyOptions{
		Roots: t.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("the certificate is not good: %w", err)
	}
	for _, chain := range chains {
		var ends time.Time
		if ends, err = t.unrevoked(chain, now); err == nil {
			return ends, nil
		}
	}
	return time.Time{}, err
}

// unrevoked checks that no certificate of a chain is revoked.
func (t *trust) unrevoked(chain []*x509.Certificate, now time.Time) (until time.Time, err error) {
	until = chain[0].NotAfter
	earlier := func(end time.Time) {
		if !end.IsZero() && end.Before(until) {
			until = end
		}
	}
	for i, c := range chain {
		earlier(c.NotAfter)
		if t.lists == nil || i == len(chain)-1 { // what is in `ca` is believed as it is
			continue
		}
		l := t.lists[signerKey(chain[i+1])]
		switch {
		case l == nil && i == 0:
			return until, fmt.Errorf("there is no revocation list of %s, who signed the certificate", c.Issuer)
		case l == nil:
			continue
		case !l.next.IsZero() && now.After(l.next):
			return until, fmt.Errorf("the revocation list of %s was to be renewed at %s", c.Issuer, l.next.Format(time.RFC3339))
		case l.revoked[string(c.SerialNumber.Bytes())]:
			return until, fmt.Errorf("the certificate %x of %s is revoked", c.SerialNumber, c.Issuer)
		}
		earlier(l.next)
	}
	return until, nil
}
