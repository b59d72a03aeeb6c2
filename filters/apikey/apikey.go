package apikey

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
)

// Config says where callers show their key. The short form is In.
type Config struct {
	// In are the places where the key may be: "header.NAME", "query.NAME" or "cookie.NAME". The first that has one counts; two keys in
	// the same place are refused. By default [header.x-api-key].
	In []string `yaml:"in,short"`

	// Scheme is the word before the key in the field Authorization: "ApiKey", for `Authorization: ApiKey KEY`. By default there is none
	// before it.
	Scheme string `yaml:"scheme"`

	// Forward leaves the key in the request that the upstream gets. By default off.
	Forward bool `yaml:"forward"`
}

// Default is the usual field.
func (c *Config) Default() { c.In = []string{"header.x-api-key"} }

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("api_key", filter.Authenticate, build) }

// maxKey is how long a key may be.
const maxKey = 1024

// policy is the policy as it runs.
type policy struct {
	places    []place
	names     string // of the places, for people
	consumers filter.Consumers
	forward   bool
	now       func() time.Time
	challenge string
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p := &policy{consumers: env.Consumers, forward: c.Forward, now: time.Now, names: strings.Join(c.In, ", ")}
	var errs []error
	for i, text := range c.In {
		place, err := parsePlace(text, c.Scheme)
		if err != nil {
			errs = append(errs, fieldError(i, err))
			continue
		}
		p.places = append(p.places, place)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	p.challenge = challenge(p.places, c.Scheme)
	return env.Join("api_key", filter.Authenticator{
		Authenticate: p.authenticate,
		Challenge:    func(*filter.Error) string { return p.challenge },
	}), nil
}

// authenticate finds the consumer that has the key.
func (p *policy) authenticate(ex *filter.Exchange) (*filter.Identity, error) {
	key, err := p.take(ex)
	switch {
	case err != nil:
		return nil, refuse("%w", err)
	case key == "":
		return nil, nil
	case len(key) > maxKey:
		return nil, refuse("the key has %d characters, and no key is that long", len(key))
	}
	credential := p.consumers.Credential(filter.KeyCredential, filter.NewCredentialID(key))
	switch {
	case credential == nil:
		return nil, refuse("no consumer has this key")
	case credential.Expired(p.now()):
		return nil, refuse("key %s of consumer %s expired at %s", credential.Label, credential.Consumer.Name, credential.Expires.Format(time.RFC3339))
	}
	return credential.Identity, nil
}

// take returns the key of a request, "" where there is none. It removes all keys from the request, unless they are forwarded.
func (p *policy) take(ex *filter.Exchange) (key string, err error) {
	for i := range p.places {
		at := &p.places[i]
		found, many := at.find(ex)
		if many {
			return "", fmt.Errorf("there are several keys in %s", at.text)
		}
		if found == "" {
			continue
		}
		if key == "" {
			key = found
		}
		if !p.forward {
			at.remove(ex.Request)
		}
	}
	return key, nil
}

// refuse refuses a key, for a reason that operators see.
func refuse(reason string, args ...any) error {
	return filter.Reject(filter.APIKeyInvalid, "").Because(fmt.Errorf(reason, args...))
}

// challenge names the scheme of the field Authorization, where keys are in that. There is no standard scheme for the others.
func challenge(places []place, scheme string) string {
	for i := range places {
		if places[i].kind == inHeader && places[i].name == "Authorization" && scheme != "" {
			return scheme
		}
	}
	return "ApiKey"
}

// canonical is a field's name as requests have it.
func canonical(name string) string { return http.CanonicalHeaderKey(name) }
