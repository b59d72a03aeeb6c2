package compile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// signers is a file with a certificate.
const signers = `-----BEGIN CERTIFICATE-----
MIIBejCCASGgAwIBAgIUAsxd9Th4TAzelodIKnTXQpMwfMswCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHQ2xpZW50czAgFw0yNjExMjYxNDA3MzNaGA8yMTI2MTEwMjE0
MDczM1owEjEQMA4GA1UEAwwHQ2xpZW50czBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABNEca58ki57hnTzbkBGgB3YnwBJC3RQe6STYEOQvLDbsyEw3/2ZGYuuBI7iq
pHYxNkzOza0576phARYILqqFJXKjUzBRMB0GA1UdDgQWBBRExWeZiZJGdDs+BE3f
Zyz9FlD5KjAfBgNVHSMEGDAWgBRExWeZiZJGdDs+BE3fZyz9FlD5KjAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIA7WrWzBGLset6hjoyG87sQtZjY+
MA5HAjUkYcsZufHaAiAostGNwWrpdUt8pxZgn0l3F306czzg+UGI9jCdnvOHwA==
-----END CERTIFICATE-----
`

func TestMutualTLSNeedsAListenerThatAsks(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(signers), 0o600); err != nil {
		t.Fatal(err)
	}
	const routes = "\nroutes: [{match: /a, respond: x}, {match: /b, respond: x, mtls: off}]\nmtls: "
	for listen, warned := range map[string]bool{
		"listen: :0": true,
		"listen: {address: ':0', tls: {cert: a.pem}}":                                                  true,
		"listen: {address: ':0', tls: {cert: a.pem, client_certificate: off}}":                         true,
		"listen: {address: ':0', tls: {cert: a.pem, client_certificate: optional}}":                    false,
		"listen: [{address: ':1'}, {address: ':0', tls: {cert: a.pem, client_certificate: required}}]": false,
	} {
		_, warnings, err := build(t, "cardea.yaml", listen+routes+ca, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(warnings.Error(), "no listener asks clients"); len(warnings) > 0 != warned || warned && got != 1 {
			t.Errorf("%s: got %v", listen, warnings)
		}
	}
}
