package listen

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
)

// Issued are certificates that are no files: somebody has an authority issue them. All its methods are called while a client waits,
// and so never wait for an authority.
type Issued interface {
	// Certificate returns the certificate for a name, in lower case and without a dot at its end; nil: it has none.
	Certificate(name string) *tls.Certificate

	// Any returns some certificate, for clients that ask for no name, or for one that nobody has; nil: it has none at all.
	Any() *tls.Certificate

	// Challenge returns what answers an authority which asks by tls-alpn-01 (RFC 8737) whether a name is ours; nil: it did not
	// have it asked.
	Challenge(name string) *tls.Certificate

	// Answer answers a request of an authority which asks by http-01 (RFC 8555, section 8.3), and says whether it did.
	Answer(w http.ResponseWriter, r *http.Request) bool
}

// challengeProtocol is what an authority speaks that asks by tls-alpn-01, and nobody else.
const challengeProtocol = "acme-tls/1"

// challengePath is where an authority asks by http-01.
const challengePath = "/.well-known/acme-challenge/"

// challenged gives a connection of an authority a configuration of its own: it gets the answer, and neither a session nor a
// question for its own certificate. All others get the one that the listener has.
func challenged(issued Issued) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Equal(hello.SupportedProtos, []string{challengeProtocol}) {
			return nil, nil
		}
		answer := issued.Challenge(canonicalName(hello.ServerName))
		return &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{challengeProtocol}, SessionTicketsDisabled: true,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return answer, nil }, // nil refuses the name
		}, nil
	}
}

// canonicalName is a host name as certificates are looked up by.
func canonicalName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// answered says whether a request was an authority's question, which has its answer then.
func (l *listener) answered(w http.ResponseWriter, r *http.Request) bool {
	return l.options.Issued != nil && strings.HasPrefix(r.URL.Path, challengePath) && l.options.Issued.Answer(w, r)
}
