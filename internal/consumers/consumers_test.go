package consumers_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/consumers"
)

// read makes consumers of a configuration's text.
func read(t *testing.T, text string) (*consumers.Consumers, error) {
	t.Helper()
	root, err := config.ParseTree("c.yaml", []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]config.Consumer{}
	if err := root.Decode(&settings); err != nil {
		return nil, err
	}
	c, errs := consumers.New(settings, root)
	return c, errs.Err()
}

func TestCredentials(t *testing.T) {
	c, err := read(t, fmt.Sprintf(`
acme:
  groups: [partners]
  tags: {plan: gold}
  keys: [a-key-of-acme-0123456789, {key: "sha256:%x", label: second, scopes: [read]}]
  password: $2b$05$abcdefghijklmnopqrstuv
  subjects: ["https://idp.example.com/ 7", {issuer: other, subject: "8"}]
  certificates: ["dns:Client.example.com", "sha256:AB12"]
  secrets: {k1: secret}`, sha256.Sum256([]byte("second"))))
	if err != nil {
		t.Fatal(err)
	}
	for text, kind := range map[string]filter.CredentialKind{
		"a-key-of-acme-0123456789": filter.KeyCredential, "second": filter.KeyCredential, "acme": filter.PasswordCredential,
		"https://idp.example.com/ 7": filter.SubjectCredential, "other 8": filter.SubjectCredential,
		"dns:client.example.com": filter.CertificateCredential, "sha256:ab12": filter.CertificateCredential, "k1": filter.SignatureCredential,
	} {
		found := c.Credential(kind, filter.NewCredentialID(text))
		if found == nil || found.Consumer.Name != "acme" || found.Identity.Tags["plan"] != "gold" || found.Identity.Groups[0] != "partners" {
			t.Errorf("%s %q: %+v", kind, text, found)
		}
		if strings.Contains(text, "a-key") && found.Label != "a-ke…" {
			t.Errorf("label %q", found.Label)
		}
	}
	if c.Credential(filter.PasswordCredential, filter.NewCredentialID("a-key-of-acme-0123456789")) != nil || c.Named("acme") == nil || c.Named("x") != nil {
		t.Error("what is found is wrong")
	}
}

func TestWrongConsumers(t *testing.T) {
	for text, want := range map[string]string{
		"a: {keys: [short]}":                                             "c.yaml:1:12",
		"a: {keys: ['sha256:12']}":                                       "64 hexadecimal digits",
		"a: {keys: ['sha256:" + strings.Repeat("zz", 32) + "']}":         "64 hexadecimal digits",
		"a: {password: hunter2}":                                         "not the hash of a password",
		"a: {subjects: [x]}":                                             "names no issuer",
		"a: {subjects: [{issuer: x}]}":                                   "expected an issuer and a subject",
		"a: {certificates: [client.example.com]}":                        "no name of a certificate",
		"a: {keys: [{key: 0123456789abcdefg, expires: tomorrow}]}":       "a date such as",
		"a: {keys: [0123456789abcdefg]}\nb: {keys: [0123456789abcdefg]}": `given to "a" already`,
		"a: {secrets: {k: x}}\nb: {secrets: {k: y}}":                     `given to "a" already`,
		"a: {kees: []}":                                                  `did you mean "keys"`,
	} {
		_, err := read(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "0123456789abcdefg")) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}
