package signature

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/fresh"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("signature", filter.Authenticate, build) }

const (
	maxID      = 256      // of a key id and a nonce, in characters
	maxLabels  = 8        // signatures of one request
	maxField   = 16 << 10 // of Signature and Signature-Input, in bytes
	maxKeyFile = 1 << 20
)

// policy is the policy as it runs.
type policy struct {
	secrets    map[string]*key // of the configuration
	files      *fresh.Files[map[string]*key]
	identities map[string]*filter.Identity // of the keys of the configuration
	consumers  filter.Consumers
	components []string
	unsigned   bool // bodies need not be signed
	wantsNonce bool
	nonces     *nonces
	tag        string
	maxAge     time.Duration
	maxBody    int64
	webhook    *webhook // instead of message signatures
	now        func() time.Time
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p, err := newPolicy(env, c, time.Now)
	if err != nil {
		return nil, err
	}
	find := p.caller
	if p.webhook != nil {
		find = p.webhookCaller
	}
	return env.Join("signature", filter.Authenticator{Authenticate: find}), nil
}

func newPolicy(env *filter.Env, c *Config, now func() time.Time) (p *policy, err error) {
	p = &policy{
		secrets: map[string]*key{}, identities: map[string]*filter.Identity{}, consumers: env.Consumers, components: c.Components,
		unsigned: c.UnsignedBody, wantsNonce: c.Nonce, tag: c.Tag, maxAge: time.Duration(c.MaxAge), maxBody: int64(c.MaxBody), now: now,
	}
	if p.webhook, err = newWebhook(env, c); err != nil || p.webhook != nil {
		return p, err
	}
	span := p.maxAge + 2*skew
	p.nonces, err = filter.Keep(env, "signature:nonces:"+span.String(), func() (*nonces, error) { return newNonces(span), nil })
	if err != nil {
		return nil, err
	}
	return p, p.loadKeys(env, c)
}

// loadKeys reads the keys of the configuration.
func (p *policy) loadKeys(env *filter.Env, c *Config) error {
	var errs []error
	var ids, names []string
	for _, id := range slices.Sorted(maps.Keys(c.Keys)) {
		k := c.Keys[id]
		identity, err := identityOf(env, id, k.Consumer)
		if err != nil {
			errs = append(errs, config.FieldErrorf("keys."+id+".consumer", "%w", err))
		}
		p.identities[id] = identity
		if k.File != "" {
			name := k.File
			if !filepath.IsAbs(name) {
				name = filepath.Join(env.Dir, name)
			}
			ids, names = append(ids, id), append(names, name)
			continue
		}
		if p.secrets[id], err = secretKey(k.Secret.Reveal()); err != nil {
			errs = append(errs, config.FieldErrorf("keys."+id, "%w", err))
		}
	}
	if len(names) == 0 || len(errs) > 0 {
		return errors.Join(errs...)
	}
	var err error
	p.files, err = fresh.Read(names, maxKeyFile, env.Log, p.now(), func(texts [][]byte) (map[string]*key, error) {
		all := make(map[string]*key, len(texts))
		for i, text := range texts {
			k, err := publicKey(text, c.Keys[ids[i]].Algorithm)
			if err != nil {
				return nil, fmt.Errorf("key %s: %s: %w", ids[i], names[i], err)
			}
			all[ids[i]] = k
		}
		return all, nil
	})
	if err != nil {
		return config.FieldErrorf("keys", "%w", err)
	}
	return nil
}

// identityOf is who signs with a key of the configuration.
func identityOf(env *filter.Env, subject, consumer string) (*filter.Identity, error) {
	id := &filter.Identity{Subject: subject, Method: "signature"}
	if consumer == "" {
		return id, nil
	}
	c := env.Consumers.Named(consumer)
	if c == nil {
		return nil, fmt.Errorf("there is no consumer %q", consumer)
	}
	id.Consumer, id.Groups, id.Tags = c.Name, c.Groups, c.Tags
	return id, nil
}

// caller finds who has signed a request. Of several signatures one must be good, made by a key that is known here.
func (p *policy) caller(ex *filter.Exchange) (*filter.Identity, error) {
	inputs, signatures := ex.Request.Header["Signature-Input"], ex.Request.Header["Signature"]
	switch {
	case len(inputs) == 0 && len(signatures) == 0:
		return nil, nil
	case len(inputs) == 0 || len(signatures) == 0:
		return nil, refuse("of the fields Signature-Input and Signature there is only one")
	}
	described, err := parseField("Signature-Input", inputs)
	if err != nil {
		return nil, err
	}
	given, err := parseField("Signature", signatures)
	if err != nil {
		return nil, err
	}
	if len(described) > maxLabels {
		return nil, refuse("the request has %d signatures, and may have %d at most", len(described), maxLabels)
	}
	var first error
	for i := range described {
		id, err := p.verify(ex, &described[i], given)
		switch {
		case err == nil && id != nil:
			return id, nil
		case err != nil && filter.AsError(err).Code != filter.SignatureInvalid:
			return nil, err
		case err != nil && first == nil:
			first = err
		}
	}
	if first == nil {
		first = refuse("no signature has the tag %q", p.tag)
	}
	return nil, first
}

func parseField(name string, lines []string) ([]member, error) {
	field := combined(lines)
	if len(field) > maxField {
		return nil, refuse("the field %s has %d bytes, which is too many", name, len(field))
	}
	all, err := parseDictionary(field)
	if err != nil {
		return nil, refuse("the field %s: %w", name, err)
	}
	return all, nil
}

// verify checks one signature (RFC 9421, section 3.2). It returns nothing for one with another tag.
func (p *policy) verify(ex *filter.Exchange, signed *member, given []member) (*filter.Identity, error) {
	if !signed.list {
		return nil, refuse("the signature %q does not list what it covers", signed.key)
	}
	about, err := p.parameters(signed)
	if err != nil {
		return nil, refuse("the signature %q: %w", signed.key, err)
	}
	if p.tag != "" && about.tag != p.tag {
		return nil, nil
	}
	signature, err := signatureOf(signed.key, given)
	if err != nil {
		return nil, refuse("the signature %q: %w", signed.key, err)
	}
	k, id, err := p.find(about)
	if err != nil {
		return nil, refuse("the signature %q: %w", signed.key, err)
	}
	if err := p.covers(ex, signed); err != nil {
		return nil, refuse("the signature %q: %w", signed.key, err)
	}
	base, err := message{ex}.base(signed)
	if err != nil {
		return nil, refuse("the signature %q: %w", signed.key, err)
	}
	if !k.check([]byte(base), signature) {
		return nil, refuse("the signature %q is not the one of key %q for this request", signed.key, about.keyID)
	}
	return id, p.afterwards(ex, signed, about)
}

// afterwards checks what costs more, or is kept, once a signature is right: the body, and the nonce.
func (p *policy) afterwards(ex *filter.Exchange, signed *member, about about) error {
	if covered(signed, "content-digest") {
		if ex.Dry {
			return errBody
		}
		body, err := whole(ex, p.maxBody)
		if err != nil {
			return err
		}
		if err := checkDigest(combined(ex.Request.Header["Content-Digest"]), body); err != nil {
			return refuse("%w", err)
		}
	}
	if about.nonce == "" || ex.Dry {
		return nil
	}
	first, kept := p.nonces.use(about.keyID, about.nonce, p.now())
	switch {
	case !first:
		return refuse("the nonce of the signature %q was used before", signed.key)
	case !kept:
		return filter.Reject(filter.AuthUnavailable, "").Because(errors.New("too many nonces were used lately to keep one more"))
	}
	return nil
}

// about is what a signature says of itself.
type about struct {
	keyID, algorithm, nonce, tag string
}

// parameters reads and checks what a signature says of itself (RFC 9421, section 2.3).
func (p *policy) parameters(signed *member) (a about, err error) {
	for name, to := range map[string]*string{"keyid": &a.keyID, "alg": &a.algorithm, "nonce": &a.nonce, "tag": &a.tag} {
		v, _, err := signed.parameter(name, text)
		if err != nil {
			return a, err
		}
		if *to = v.text; len(v.text) > maxID {
			return a, fmt.Errorf("the parameter %q has %d characters, which is too many", name, len(v.text))
		}
	}
	created, found, err := signed.parameter("created", integer)
	switch {
	case err != nil:
		return a, err
	case !found:
		return a, errors.New("it does not say when it was created")
	}
	if err := p.inTime(time.Unix(created.n, 0)); err != nil {
		return a, err
	}
	expires, found, err := signed.parameter("expires", integer)
	switch {
	case err != nil:
		return a, err
	case found && !p.now().Before(time.Unix(expires.n, 0)):
		return a, errors.New("it has expired")
	case a.keyID == "":
		return a, errors.New("it names no key")
	case p.wantsNonce && a.nonce == "":
		return a, errors.New("it has no nonce")
	}
	return a, nil
}

func signatureOf(label string, given []member) ([]byte, error) {
	for i := range given {
		if given[i].key != label {
			continue
		}
		if given[i].list || given[i].kind != binary {
			return nil, errors.New("it is no sequence of bytes")
		}
		return []byte(given[i].text), nil
	}
	return nil, errors.New("the field Signature does not have it")
}

// find finds the key of a signature, and who has it: among the keys of the policy, and then the secrets of consumers.
func (p *policy) find(a about) (*key, *filter.Identity, error) {
	k, id := p.secrets[a.keyID], p.identities[a.keyID]
	if k == nil && p.files != nil {
		k = (*p.files.Value(p.now()))[a.keyID]
	}
	if k == nil {
		credential := p.consumers.Credential(filter.SignatureCredential, filter.NewCredentialID(a.keyID))
		switch {
		case credential == nil:
			return nil, nil, fmt.Errorf("there is no key %q", a.keyID)
		case credential.Expired(p.now()):
			return nil, nil, fmt.Errorf("the secret %q of %s has expired", a.keyID, credential.Consumer.Name)
		}
		var err error
		if k, err = secretKey(credential.Secret); err != nil {
			return nil, nil, fmt.Errorf("the secret %q of %s cannot be used: %w", a.keyID, credential.Consumer.Name, err)
		}
		id = credential.Identity
	}
	if a.algorithm != "" && a.algorithm != k.algorithm {
		return nil, nil, fmt.Errorf("it is made by %q, and the key %q is for %s", a.algorithm, a.keyID, k.algorithm)
	}
	return k, id, nil
}

// covered says whether a signature covers a component as it is.
func covered(signed *member, name string) bool {
	return slices.ContainsFunc(signed.items, func(i item) bool { return i.kind == text && i.text == name && len(i.parameters) == 0 })
}

// covers checks that a signature covers what it must.
func (p *policy) covers(ex *filter.Exchange, signed *member) error {
	missing := func(names ...string) error { return fmt.Errorf("it does not cover %s", strings.Join(names, ", ")) }
	for _, name := range p.components {
		if !covered(signed, name) {
			return missing(name)
		}
	}
	if len(p.components) == 0 {
		target := covered(signed, "@target-uri") ||
			covered(signed, "@authority") && (covered(signed, "@request-target") ||
				covered(signed, "@path") && (covered(signed, "@query") || ex.Original.Query == ""))
		switch {
		case !covered(signed, "@method"):
			return missing("@method")
		case !target:
			return missing("@target-uri", "or @authority with @path and @query")
		}
	}
	if !p.unsigned && hasBody(ex.Request) && !covered(signed, "content-digest") {
		return missing("content-digest", "and the request has a body")
	}
	return nil
}

// refuse refuses a signature, for a reason that operators see.
func refuse(reason string, args ...any) error {
	return filter.Reject(filter.SignatureInvalid, "").Because(fmt.Errorf(reason, args...))
}
