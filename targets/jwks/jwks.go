package jwks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/signingkey"
	"cardea.dev/cardea/target"
)

// Config publishes the public halves of keys as a JWK Set. The short form is Keys.
type Config struct {
	// Keys are the files of the keys, in PEM: key pairs, of which only the public half is read out, or public halves. They are read again with
	// each reload.
	Keys []string `yaml:"keys,short,required"`

	// MaxAge is how long others may keep the answer. By default 5m; 0 has them ask each time.
	MaxAge config.Duration `yaml:"max_age"`
}

// Default sets five minutes.
func (c *Config) Default() { c.MaxAge = config.Duration(5 * time.Minute) }

// Validate checks that there is a key.
func (c *Config) Validate() error {
	if len(c.Keys) == 0 {
		return errors.New("no key is named: write the files of the keys, as in `jwks: internal.pem`")
	}
	return nil
}

// Kind is the kind of this target.
func Kind() target.Kind { return target.Define("jwks", build) }

// jwks is the answer. It is immutable.
type jwks struct {
	header http.Header
	body   []byte
	keys   int
}

func build(env *filter.Env, c *Config) (target.Target, error) {
	var set jose.JSONWebKeySet
	var errs []error
	for i, name := range c.Keys {
		env.Reads(name)
		key, err := signingkey.Read(env.Dir, name)
		if err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("keys[%d]", i), "%w", err))
			continue
		}
		if len(set.Key(key.ID)) > 0 {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("keys[%d]", i), "the key is in the list already"))
		}
		set.Keys = append(set.Keys, key.JWK())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	body, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("cannot write the keys: %w", err)
	}
	control := "no-cache"
	if c.MaxAge > 0 {
		control = fmt.Sprintf("public, max-age=%d", int64(c.MaxAge.Std().Seconds()))
	}
	return &jwks{body: append(body, '\n'), keys: len(set.Keys), header: http.Header{
		"Content-Type": {"application/jwk-set+json"}, "Cache-Control": {control}, "Content-Length": {strconv.Itoa(len(body) + 1)},
	}}, nil
}

// Serve answers with the keys.
func (j *jwks) Serve(ex *filter.Exchange) (*http.Response, error) {
	resp := &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: j.header.Clone(), ContentLength: int64(len(j.body)), Body: http.NoBody, Request: ex.Request,
	}
	if ex.Request.Method != http.MethodHead {
		resp.Body = io.NopCloser(bytes.NewReader(j.body))
	}
	return resp, nil
}

// Explain says how many keys there are.
func (j *jwks) Explain(*filter.Exchange) string {
	return fmt.Sprintf("200, a JWK Set with the public halves of %d keys", j.keys)
}
