package apikey

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/place"
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
	places    []place.Place
	scheme    string // before the key in Authorization
	consumers filter.Consumers
	forward   bool
	now       func() time.Time
	challenge string
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p := &policy{scheme: c.Scheme, consumers: env.Consumers, forward: c.Forward, now: time.Now}
	var errs []error
	for i, text := range c.In {
		at, err := place.Parse(text)
		if err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("in[%d]", i), "%w", err))
			continue
		}
		p.places = append(p.places, at)
		if name := at.Parameter(); name != "" {
			env.Route.Conceal(name)
		}
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
		found, many := p.find(ex.Request, at)
		if many {
			return "", fmt.Errorf("there are several keys in %s", at)
		}
		if found == "" {
			continue
		}
		if key == "" {
			key = found
		}
		if !p.forward {
			at.Remove(ex.Request)
		}
	}
	return key, nil
}

// find returns the key that is in a place. In Authorization, what has another scheme is none.
func (p *policy) find(r *http.Request, at *place.Place) (key string, many bool) {
	if p.scheme == "" || at.Field != "Authorization" {
		return at.Find(r)
	}
	for _, v := range r.Header[at.Field] {
		scheme, rest, _ := strings.Cut(v, " ")
		if strings.EqualFold(scheme, p.scheme) {
			key, many = strings.TrimSpace(rest), many || key != ""
		}
	}
	return key, many
}

// refuse refuses a key, for a reason that operators see.
func refuse(reason string, args ...any) error {
	return filter.Reject(filter.APIKeyInvalid, "").Because(fmt.Errorf(reason, args...))
}

// challenge names the scheme of the field Authorization, where keys are in that. There is no standard scheme for the others.
func challenge(places []place.Place, scheme string) string {
	for i := range places {
		if places[i].Field == "Authorization" && scheme != "" {
			return scheme
		}
	}
	return "ApiKey"
}
