package basic

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/fresh"
	"cardea.dev/cardea/internal/password"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("basic", filter.Authenticate, build) }

// maxValue is how long a user name and a password may be, in bytes.
const maxValue = 1024

// policy is the policy as it runs.
type policy struct {
	inline    users
	file      *fresh.Files[users]
	consumers filter.Consumers // nil: theirs are not taken
	checks    *checks
	like      atomic.Pointer[password.Hash] // what users have who are not there: the hash of one who was
	remember  time.Duration
	forward   bool
	challenge string
	now       func() time.Time
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	kept, err := filter.Keep(env, "basic:checks", func() (*checks, error) { return newChecks(), nil })
	if err != nil {
		return nil, err
	}
	p := &policy{checks: kept, remember: time.Duration(c.Remember), forward: c.Forward, now: time.Now, challenge: challenge(c.Realm)}
	if err := p.gather(env, c); err != nil {
		return nil, err
	}
	return env.Join("basic", filter.Authenticator{
		Authenticate: p.authenticate,
		Challenge:    func(*filter.Error) string { return p.challenge },
	}), nil
}

// gather finds those who have passwords.
func (p *policy) gather(env *filter.Env, c *Config) (err error) {
	roster := newRoster(c.Groups)
	if p.inline, err = roster.inline(c.Users); err != nil {
		return err
	}
	if c.takesConsumers() {
		p.consumers = env.Consumers
	}
	first := p.inline.first()
	if c.File != "" {
		name := c.File
		if !filepath.IsAbs(name) {
			name = filepath.Join(env.Dir, name)
		}
		p.file, err = fresh.Read([]string{name}, maxFile, env.Log, p.now(), func(texts [][]byte) (users, error) { return roster.htpasswd(c.File, texts[0]) })
		if err != nil {
			return config.FieldErrorf("file", "%w", err)
		}
		if first == nil {
			first = p.file.Value(p.now()).first()
		}
	}
	p.like.Store(password.Dummy())
	if first != nil {
		p.like.Store(first.hash)
	}
	return nil
}

// authenticate finds the user whose password it is.
func (p *policy) authenticate(ex *filter.Exchange) (*filter.Identity, error) {
	encoded, found, err := credentials(ex.Request.Header["Authorization"])
	if !found {
		return nil, nil
	}
	if !p.forward {
		delete(ex.Request.Header, "Authorization")
	}
	if err != nil {
		return nil, refuse("%w", err)
	}
	s := p.checks.scratch.Get().(*scratch)
	defer func() {
		clear(s.plain[:cap(s.plain)])
		clear(s.encoded[:cap(s.encoded)])
		p.checks.scratch.Put(s)
	}()
	name, pass, err := s.decode(encoded)
	if err != nil {
		return nil, refuse("%w", err)
	}
	return p.verify(ex, s, name, pass)
}

// verify checks a user's password.
func (p *policy) verify(ex *filter.Exchange, s *scratch, name, pass []byte) (*filter.Identity, error) {
	now := p.now()
	text, id, err := p.find(name, now)
	if err != nil {
		return p.unknown(ex, pass, err)
	}
	f := s.print(name, pass, text)
	if p.checks.remembers(f, now) {
		return id, nil
	}
	hash, err := password.Parse(text)
	if err != nil { // checked when it was loaded
		return nil, fmt.Errorf("cannot check the password of %s: %w", name, err)
	}
	p.like.Store(hash)
	right, err := p.check(ex, hash, pass, func() bool { return p.checks.remembers(f, p.now()) })
	switch {
	case err != nil:
		return nil, err
	case !right:
		return nil, refuse("the password of %s is wrong", name)
	}
	if !ex.Dry {
		p.checks.remember(f, p.now(), p.remember)
	}
	return id, nil
}

// unknown refuses a user who is not there, after as long as others take.
func (p *policy) unknown(ex *filter.Exchange, pass []byte, why error) (*filter.Identity, error) {
	if _, err := p.check(ex, p.like.Load(), pass, nil); err != nil {
		return nil, err
	}
	return nil, refuse("%w", why)
}

// check checks a password, and does not wait in a dry exchange.
func (p *policy) check(ex *filter.Exchange, h *password.Hash, pass []byte, again func() bool) (bool, error) {
	if !ex.Dry {
		return p.checks.check(ex.Context(), ex.Client, h, pass, again)
	}
	right, said := p.checks.try(h, pass)
	if !said {
		return false, filter.ErrUnsaid
	}
	return right, nil
}

// find finds a user: the hash, and who it is.
func (p *policy) find(name []byte, now time.Time) (text string, id *filter.Identity, err error) {
	u := p.inline[string(name)]
	if u == nil && p.file != nil {
		u = (*p.file.Value(now))[string(name)]
	}
	if u != nil {
		return u.text, u.identity, nil
	}
	if p.consumers == nil {
		return "", nil, fmt.Errorf("there is no user %q", name)
	}
	c := p.consumers.Credential(filter.PasswordCredential, sha256.Sum256(name))
	switch {
	case c == nil:
		return "", nil, fmt.Errorf("there is no consumer %q with a password", name)
	case c.Expired(now):
		return "", nil, fmt.Errorf("the password of %q has expired", name)
	}
	return c.Secret, c.Identity, nil
}

// credentials finds the credentials in the fields Authorization. Those of other schemes are not its own.
func credentials(fields []string) (encoded string, found bool, err error) {
	for _, field := range fields {
		scheme, rest, _ := strings.Cut(field, " ")
		if !strings.EqualFold(scheme, "Basic") {
			continue
		}
		encoded, found = strings.Trim(rest, " "), true
	}
	switch {
	case !found:
		return "", false, nil
	case len(fields) > 1:
		return "", true, errors.New("there are several fields Authorization")
	case encoded == "":
		return "", true, errors.New("there is nothing after Basic")
	case len(encoded) > base64.StdEncoding.EncodedLen(2*maxValue+1):
		return "", true, fmt.Errorf("the credentials have %d characters, which is too many", len(encoded))
	}
	return encoded, true, nil
}

// decode takes apart the user name and the password (RFC 7617, section 2). They are good until the scratch is used again.
func (s *scratch) decode(encoded string) (name, pass []byte, err error) {
	s.encoded = append(s.encoded[:0], encoded...)
	if need := 2*maxValue + 512; cap(s.plain) < need {
		s.plain = make([]byte, 0, need)
	}
	s.plain = s.plain[:base64.StdEncoding.DecodedLen(len(encoded))]
	n, err := base64.StdEncoding.Decode(s.plain, s.encoded)
	if err != nil {
		return nil, nil, errors.New("what is after Basic is not base64")
	}
	s.plain = s.plain[:n]
	name, pass, ok := bytes.Cut(s.plain, []byte(":"))
	switch {
	case !ok:
		return nil, nil, errors.New("there is no colon between a user name and a password")
	case len(name) > maxValue || len(pass) > maxValue:
		return nil, nil, fmt.Errorf("the user name has %d bytes and the password %d, and no more than %d are taken", len(name), len(pass), maxValue)
	case !utf8.Valid(s.plain):
		return nil, nil, errors.New("the user name or the password is not UTF-8")
	case bytes.ContainsFunc(s.plain, control):
		return nil, nil, errors.New("the user name or the password has control characters")
	}
	return name, pass, nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// refuse refuses a password, for a reason that operators see.
func refuse(reason string, args ...any) error {
	return filter.Reject(filter.PasswordInvalid, "").Because(fmt.Errorf(reason, args...))
}

// challenge is what WWW-Authenticate says (RFC 7617, sections 2 and 2.1).
func challenge(realm string) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(realm)
	return `Basic realm="` + quoted + `", charset="UTF-8"`
}
