package consumers_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
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
  password: $2b$05$fQwBnKDXkrzPWzhMMbNuYO/gTrnqfYhEY/cZYcAf1VxfTwPjTgDEm
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
		"a: {keys: [{key: 0123456789abcdefg, expires: tomorrow}]}":       "a day such as",
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

func TestFile(t *testing.T) {
	for text, want := range map[string]string{
		`{"name": "a", "groups": ["g"], "tags": {"plan": "gold"}, "keys": [{"key": "0123456789abcdefg", "expires": "2030-01-01"}], "subjects": ["https://idp/ 7"]}` + "\n\n" + `{"name": "b"}`: "",
		`{"name": "a"}` + "\n" + `{"name": "a"}`:  `c.jsonl:2: there is a consumer "a" already`,
		`{"name": ""}`:                            "c.jsonl:1: the consumer has no name",
		`{"name": "a"} {"name": "b"}`:             "one JSON object a line",
		`{"name": "a", "keys": [{"key": "k"}]}`:   "keys[0]",
		`{"name": "a", "keys": "hunter2"}`:        "expected",
		`{"name": "a", "kees": ["hunter2"]}`:      "kees",
		`{"name": "a", "password": "hunter2"}`:    "not the hash",
		`{"name": "a", "subjects": ["x"]}`:        "names no issuer",
		"name: a":                                 "c.jsonl:1: expected a JSON object",
		`{"name": "` + strings.Repeat("a", 2<<20): "too long",
	} {
		path := filepath.Join(t.TempDir(), "c.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _ := read(t, "{}")
		err := c.AddFile(path)
		if want == "" {
			found := c.Credential(filter.KeyCredential, filter.NewCredentialID("0123456789abcdefg"))
			if err != nil || found == nil || found.Expires.Year() != 2030 || found.Consumer.Tags["plan"] != "gold" || c.Named("b") == nil ||
				c.Credential(filter.SubjectCredential, filter.NewCredentialID("https://idp/ 7")) == nil {
				t.Errorf("%v, %+v", err, found)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.60s: %v", text, err)
		}
	}
	c, _ := read(t, "{}")
	if err := c.AddFile("nowhere.jsonl"); err == nil {
		t.Error("a file that is not there")
	}
}
