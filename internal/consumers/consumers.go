// Package consumers holds the callers that a configuration names, and finds them by their credentials. It implements filter.Consumers. It
// knows no policy; the compiler of snapshots makes one for each configuration.
package consumers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/password"
)

// Consumers are the consumers of one configuration. They never change.
type Consumers struct {
	named       map[string]*filter.Consumer
	credentials map[key]*filter.Credential
}

// key finds a credential.
type key struct {
	kind filter.CredentialKind
	id   filter.CredentialID
}

// New makes consumers of their settings, by name. The errors, joined by config.Errors, are located below the node.
func New(settings map[string]config.Consumer, node config.Node) (*Consumers, config.Errors) {
	c := &Consumers{
		named:       make(map[string]*filter.Consumer, len(settings)),
		credentials: make(map[key]*filter.Credential, len(settings)),
	}
	var errs config.Errors
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		s := settings[name]
		if err := c.add(name, &s); err != nil {
			errs = append(errs, node.Field(name).Locate(err)...)
		}
	}
	return c, errs
}

// Named returns the consumer with a name, or nil.
func (c *Consumers) Named(name string) *filter.Consumer { return c.named[name] }

// Credential returns the credential of a kind with an id, or nil.
func (c *Consumers) Credential(kind filter.CredentialKind, id filter.CredentialID) *filter.Credential {
	return c.credentials[key{kind, id}]
}

// add adds a consumer with all its credentials.
func (c *Consumers) add(name string, s *config.Consumer) error {
	consumer := &filter.Consumer{Name: name, Groups: s.Groups, Tags: s.Tags}
	c.named[name] = consumer
	for i := range s.Keys {
		k := &s.Keys[i]
		id, hashed, err := k.Hash()
		if err != nil {
			return config.FieldErrorf(fmt.Sprintf("keys[%d]", i), "%w", err)
		}
		if !hashed {
			id = filter.NewCredentialID(k.Key.Reveal())
		}
		err = c.put(filter.KeyCredential, id, &filter.Credential{Consumer: consumer, Label: label(k), Expires: k.Expires.Time, Scopes: k.Scopes})
		if err != nil {
			return config.FieldErrorf(fmt.Sprintf("keys[%d]", i), "%w", err)
		}
	}
	if s.Password != "" {
		if _, err := password.Parse(s.Password.Reveal()); err != nil {
			return config.FieldErrorf("password", "%w", err)
		}
		_ = c.put(filter.PasswordCredential, filter.NewCredentialID(name), &filter.Credential{Consumer: consumer, Label: name, Secret: s.Password.Reveal()})
	}
	return c.addNames(consumer, s)
}

// addNames adds the credentials that are names.
func (c *Consumers) addNames(consumer *filter.Consumer, s *config.Consumer) error {
	for i, subject := range s.Subjects {
		text := subject.Issuer + " " + subject.Subject
		if err := c.put(filter.SubjectCredential, filter.NewCredentialID(text), &filter.Credential{Consumer: consumer, Label: text}); err != nil {
			return config.FieldErrorf(fmt.Sprintf("subjects[%d]", i), "%w", err)
		}
	}
	for i, name := range s.Certificates {
		scheme, rest, _ := strings.Cut(name, ":")
		if rest == "" || !slices.Contains([]string{"dns", "email", "uri", "subject", "sha256"}, scheme) {
			return config.FieldErrorf(fmt.Sprintf("certificates[%d]", i), "%q is no name of a certificate: expected dns:, email:, uri:, subject: or sha256: and the name", name)
		}
		if scheme == "sha256" || scheme == "dns" || scheme == "email" {
			name = strings.ToLower(name)
		}
		if err := c.put(filter.CertificateCredential, filter.NewCredentialID(name), &filter.Credential{Consumer: consumer, Label: name}); err != nil {
			return config.FieldErrorf(fmt.Sprintf("certificates[%d]", i), "%w", err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Secrets)) {
		if err := c.put(filter.SignatureCredential, filter.NewCredentialID(id), &filter.Credential{Consumer: consumer, Label: id, Secret: s.Secrets[id].Reveal()}); err != nil {
			return config.FieldErrorf("secrets."+id, "%w", err)
		}
	}
	return nil
}

// put adds a credential, which must be one consumer's alone.
func (c *Consumers) put(kind filter.CredentialKind, id filter.CredentialID, credential *filter.Credential) error {
	k := key{kind, id}
	if other := c.credentials[k]; other != nil {
		return fmt.Errorf("the same credential is given to %q already", other.Consumer.Name)
	}
	credential.Identity = &filter.Identity{
		Subject: credential.Consumer.Name, Consumer: credential.Consumer.Name, Groups: credential.Consumer.Groups, Tags: credential.Consumer.Tags,
		Scopes: credential.Scopes, Method: string(kind),
	}
	c.credentials[k] = credential
	return nil
}

// label is what operators may see of a key.
func label(k *config.ConsumerKey) string {
	if k.Label != "" {
		return k.Label
	}
	text := k.Key.Reveal()
	if digits, hashed := strings.CutPrefix(text, "sha256:"); hashed {
		return "sha256:" + digits[:8]
	}
	return text[:4] + "…"
}
