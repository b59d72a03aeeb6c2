package sequence

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/call"
)

// Config says which calls are made, one after the other. Each key that is none of these settings is a step, by its name:
// `order: {call: POST orders/orders, on_error: "DELETE orders/orders/{order.id}"}`. They are made in the order in which they are written.
type Config struct {
	// Steps are steps by name, as beside it; for names that are settings here. They come before the others.
	Steps map[string]Step `yaml:"steps"`

	// More are the steps, by their names.
	More map[string]Step `yaml:",inline"`

	// Self is the whole, for the order of the steps.
	Self config.Node `yaml:",self"`

	// Timeout is how long all steps together may take. After it the step under way is cut, and what was done is undone; that has time of its own. By
	// default 30s; 0 is without an end.
	Timeout config.Duration `yaml:"timeout"`

	// Undo bounds the calls that undo.
	Undo Undo `yaml:"undo"`

	// Abandoned says what becomes of a sequence whose client leaves: "undo" ends the step under way, begins no other, and undoes what was done; "finish"
	// goes on to the end, for clients that ask again with the same key. One whose last step was under way is finished in any case. By default "undo".
	Abandoned string `yaml:"abandoned" enum:"undo,finish"`

	// Key is a template of what makes two requests the same one, `{body.order_number}`, for clients that send no Idempotency-Key. By default the client's
	// field Idempotency-Key. Requests without one, or in which one of its values is missing or empty, get a key of their own.
	Key string `yaml:"key"`

	// RequireKey refuses requests without a key with 400. By default they are taken.
	RequireKey bool `yaml:"require_key"`

	// Store is the Redis or Valkey in which gateways share keys: "redis://host:6379"; or "local": keys are those of this gateway alone, in memory. By default the
	// configuration's `store`, or else "local".
	Store config.Secret `yaml:"store"`

	// Disk is a directory in which one gateway keeps keys, answers and a journal, instead of a store: after its end, be it by kill -9, it knows them still, and
	// undoes what it has left in the middle. It is made if it is not there; several sequences of a gateway may use it, other gateways not. It needs a Secret. By
	// default there is none.
	Disk string `yaml:"disk"`

	// Secret is what is encrypted with that the store, or the disk, keeps of requests and answers: a text of at least 32 characters that nobody can guess, or a
	// list of such. The first one encrypts, all decrypt. With it there is a journal, by which other gateways, or the same one after its start, undo what one has
	// begun that ended in the middle, and the answers of requests with a key are kept for an hour. By default none: the store knows keys, and the names of steps.
	Secret []config.Secret `yaml:"secret"`

	// Lease is how long the store waits for a sign of life of the gateway that makes the steps. After that others take the sequence for abandoned. With a disk it
	// is how long a step waits for the disk where that fails. By default 10s.
	Lease config.Duration `yaml:"lease" min:"1s" max:"10m"`

	// StoreTimeout is how long a request waits for the store, or the disk, before OnStoreFailure holds. By default 1s.
	StoreTimeout config.Duration `yaml:"store_timeout" min:"1ms"`

	// OnStoreFailure is what becomes of requests that come while the store cannot be asked, or the disk cannot be written: "deny" (503 sequence_unavailable), or "local": keys are those of
	// this gateway alone, and there is no journal. By default "deny".
	OnStoreFailure string `yaml:"on_store_failure" enum:"deny,local"`

	// Answer is the step whose answer is that of the whole. By default the answer is an object with a key for each step that was made.
	Answer string `yaml:"answer"`

	// Compose is a jq program that makes the answer. Its input is the object of all answers by name: `{id: .order.id, paid: .charge.amount}`.
	Compose string `yaml:"compose"`

	// Status is the status of the answer. By default 200.
	Status int `yaml:"status" min:"200" max:"299"`

	// Location is a template of the path of what was made, for the field Location: "/orders/{order.id}". By default there is no such field.
	Location string `yaml:"location"`

	// Headers are further fields of the answer, by name; values are templates, which see the steps' answers.
	Headers map[string]string `yaml:"headers"`

	// FailureStatus is the status where a step fails: "gateway" for 504 where it took too long and else 502, "upstream" for the status that the
	// upstream answered, where it is 400 or above. By default "gateway".
	FailureStatus string `yaml:"failure_status" enum:"gateway,upstream"`

	// MaxBody is how long the client's body may be. By default 1MiB.
	MaxBody config.Size `yaml:"max_body" min:"1"`

	// MaxPart is how long the answer of a step may be. By default 1MiB.
	MaxPart config.Size `yaml:"max_part" min:"1"`
}

// Default sets the defaults.
func (c *Config) Default() {
	c.Timeout, c.Abandoned, c.Status, c.FailureStatus = config.Duration(30*time.Second), "undo", 200, "gateway"
	c.MaxBody, c.MaxPart = 1<<20, 1<<20
	c.Lease, c.StoreTimeout, c.OnStoreFailure = config.Duration(10*time.Second), config.Duration(time.Second), "deny"
	c.Undo.Default()
}

// Validate checks what does not go together.
func (c *Config) Validate() error {
	errs := call.CheckDeclared("steps", "step", "order: POST orders/orders", c.Steps, c.More)
	for i, secret := range c.Secret {
		if len(secret.Reveal()) < minSecret {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("secret[%d]", i), "the secret has %d characters, and must have %d at least; make one with: openssl rand -base64 32", len(secret.Reveal()), minSecret))
		}
	}
	if c.StoreTimeout >= c.Lease {
		errs = append(errs, config.FieldErrorf("store_timeout", "it is not shorter than the lease, %s", c.Lease))
	}
	errs = append(errs, c.checkDisk()...)
	if c.Answer != "" && c.Compose != "" {
		errs = append(errs, config.FieldErrorf("compose", "one of `answer` and `compose` makes the answer"))
	}
	return errors.Join(errs...)
}

// checkDisk checks what does not go together with a directory.
func (c *Config) checkDisk() (errs []error) {
	switch {
	case c.Disk == "":
		return nil
	case c.Disk == "off":
		errs = append(errs, config.FieldErrorf("disk", "it is a directory, or left out; write ./off for a directory of that name"))
	case strings.ContainsRune(c.Disk, 0):
		errs = append(errs, config.FieldErrorf("disk", "no name of a directory has the character NUL in it"))
	}
	if c.Store != "" {
		errs = append(errs, config.FieldErrorf("disk", "keys are either on a disk or in a `store` that gateways share"))
	}
	if len(c.Secret) == 0 {
		errs = append(errs, config.FieldErrorf("disk", "what is kept there is encrypted; say with which `secret`; make one with: openssl rand -base64 32"))
	}
	return errs
}

// minSecret is how long a secret must be at least.
const minSecret = 32

// Undo bounds each call that undoes. It goes on when the client has left, when the time of the whole is over, and when the gateway is about to end. The
// short form is Within.
type Undo struct {
	// Within is how long a call that undoes may take with all its tries. The client's answer, and the end of the gateway, wait for so long at most for each
	// of them. By default 15s.
	Within config.Duration `yaml:"within,short" min:"1ms"`

	// Timeout is how long one try may take. By default 5s.
	Timeout config.Duration `yaml:"timeout" min:"1ms"`

	// Times is how many tries may follow the first where the service cannot be reached, does not answer, or answers with 408, 409, 425, 429 or 5xx. By
	// default 5.
	Times int `yaml:"times" min:"0" max:"100"`

	// Backoff is the wait before the second try; it doubles with each that follows, up to 10s, and up to half of it is left out at random. By default 250ms.
	Backoff config.Duration `yaml:"backoff" min:"1ms"`
}

// Default sets the bounds.
func (u *Undo) Default() {
	u.Within, u.Timeout, u.Times, u.Backoff = config.Duration(15*time.Second), config.Duration(5*time.Second), 5, config.Duration(250*time.Millisecond)
}

// Step is a call of a sequence. The short form is Call.
type Step struct {
	call.Config `yaml:",inline"`

	// OnError are the calls that undo the step, one or a list, each as a text or an object as the step is. They see its answer by its name, and
	// `idempotency_key`, the key that its call had. Of a DELETE the answers 404 and 410 are good too: there is nothing left. By default nothing undoes it.
	OnError []call.Config `yaml:"on_error"`

	// Unknown says what is done about the step where nobody knows whether it was done, since its answer did not come or was 5xx: "undo" makes the calls of
	// OnError, as far as they can be made without the answer; "repeat" makes its call again, with the same key, to learn the answer, and undoes it then: for
	// services that know a request again by its key; "keep" leaves it as it is. By default "undo".
	Unknown string `yaml:"unknown" enum:"undo,repeat,keep"`
}

// Default undoes what is not known.
func (s *Step) Default() {
	s.Config.Default()
	s.Unknown = "undo"
}
