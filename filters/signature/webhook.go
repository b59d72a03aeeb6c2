package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// maxSignatures is how many signatures a webhook may have at once.
const maxSignatures = 16

// webhook checks what one kind of webhooks sends.
type webhook struct {
	field    string // with the signature
	secrets  [][]byte
	hash     func() hash.Hash
	payload  []part
	identity *filter.Identity
	maxAge   time.Duration // 0: the time is not signed

	// read takes apart the field: what may be the signature, and the time, "" where there is none.
	read func(ex *filter.Exchange, value string) (signatures [][]byte, timestamp string, err error)
}

// part is a part of what is signed: a text, or what it stands for.
type part struct{ literal, name string }

// newPayload reads the description of what is signed.
func newPayload(h *HMAC) (parts []part, err error) {
	template := h.Payload
	if template == "" {
		template = "{body}"
		if h.TimestampHeader != "" {
			template = "{timestamp}.{body}"
		}
	}
	has := map[string]bool{}
	for rest := template; rest != ""; {
		literal, after, found := strings.Cut(rest, "{")
		if literal != "" {
			parts = append(parts, part{literal: literal})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		switch field, isField := strings.CutPrefix(name, "header."); {
		case !closed:
			return nil, errors.New("a brace is not closed")
		case isField && field != "":
			name = "header." + http.CanonicalHeaderKey(field)
		case name != "body" && name != "timestamp" && name != "method" && name != "path" && name != "query":
			return nil, fmt.Errorf("{%s} is not known: expected {body}, {timestamp}, {method}, {path}, {query} or {header.NAME}", name)
		}
		has[name] = true
		parts, rest = append(parts, part{name: name}), after
	}
	switch {
	case !has["body"]:
		return nil, errors.New("{body} is not in it, so that anybody could change the body")
	case has["timestamp"] != (h.TimestampHeader != ""):
		return nil, errors.New("{timestamp} and `timestamp_header` go together: a time that is not signed says nothing")
	}
	return parts, nil
}

// newWebhook makes the check that a configuration asks for; nil for none.
func newWebhook(env *filter.Env, c *Config) (*webhook, error) {
	w := &webhook{hash: sha256.New, payload: []part{{name: "body"}}}
	var secrets []config.Secret
	subject := ""
	switch {
	case len(c.GitHub) > 0:
		subject, secrets, w.field, w.read = "github", c.GitHub, "X-Hub-Signature-256", prefixed("sha256=", hex.DecodeString)
	case len(c.Stripe) > 0:
		subject, secrets, w.field, w.read = "stripe", c.Stripe, "Stripe-Signature", readStripe
		w.payload, w.maxAge = []part{{name: "timestamp"}, {literal: "."}, {name: "body"}}, time.Duration(c.MaxAge)
	case c.HMAC != nil:
		subject, secrets = "webhook", c.HMAC.Secrets
		if err := w.describe(c); err != nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	for _, s := range secrets {
		w.secrets = append(w.secrets, []byte(s.Reveal()))
	}
	var err error
	w.identity, err = identityOf(env, subject, c.Consumer)
	if err != nil {
		return nil, config.FieldErrorf("consumer", "%w", err)
	}
	return w, nil
}

// describe makes the check of a description.
func (w *webhook) describe(c *Config) (err error) {
	h := c.HMAC
	if w.payload, err = newPayload(h); err != nil {
		return config.FieldErrorf("hmac.payload", "%w", err)
	}
	w.field = http.CanonicalHeaderKey(h.Header)
	w.hash = map[string]func() hash.Hash{"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}[h.Algorithm]
	decode := hex.DecodeString
	if h.Encoding == "base64" {
		decode = base64.StdEncoding.Strict().DecodeString
	}
	w.read = prefixed(h.Prefix, decode)
	if h.TimestampHeader == "" {
		return nil
	}
	w.maxAge = time.Duration(c.MaxAge)
	field, signatures := http.CanonicalHeaderKey(h.TimestampHeader), w.read
	w.read = func(ex *filter.Exchange, value string) ([][]byte, string, error) {
		times := ex.Request.Header[field]
		if len(times) != 1 {
			return nil, "", fmt.Errorf("the request has the field %s %d times, and not once", field, len(times))
		}
		found, _, err := signatures(ex, value)
		return found, times[0], err
	}
	return nil
}

// prefixed reads a field with one signature.
func prefixed(prefix string, decode func(string) ([]byte, error)) func(*filter.Exchange, string) ([][]byte, string, error) {
	return func(_ *filter.Exchange, value string) ([][]byte, string, error) {
		digits, ok := strings.CutPrefix(value, prefix)
		if !ok {
			return nil, "", fmt.Errorf("the signature does not begin with %q", prefix)
		}
		one, err := decode(digits)
		if err != nil {
			return nil, "", errors.New("the signature is not encoded as it should be")
		}
		return [][]byte{one}, "", nil
	}
}

// readStripe reads "t=…,v1=…,v1=…". Signatures of other versions are passed over.
func readStripe(_ *filter.Exchange, value string) (signatures [][]byte, timestamp string, err error) {
	for pair := range strings.SplitSeq(value, ",") {
		name, v, _ := strings.Cut(strings.TrimSpace(pair), "=")
		switch {
		case name == "t" && timestamp != "":
			return nil, "", errors.New("the signature has two times")
		case name == "t":
			timestamp = v
		case name == "v1":
			one, err := hex.DecodeString(v)
			if err != nil || len(signatures) == maxSignatures {
				return nil, "", errors.New("the signature has a v1 that is not hexadecimal, or too many")
			}
			signatures = append(signatures, one)
		}
	}
	return signatures, timestamp, nil
}

// authenticate checks a webhook.
func (p *policy) webhookCaller(ex *filter.Exchange) (*filter.Identity, error) {
	w := p.webhook
	values := ex.Request.Header[w.field]
	switch {
	case len(values) == 0:
		return nil, nil
	case len(values) > 1:
		return nil, refuse("the request has several fields %s", w.field)
	}
	signatures, timestamp, err := w.read(ex, values[0])
	if err != nil {
		return nil, refuse("%w", err)
	}
	if w.maxAge > 0 {
		if err := p.recent(timestamp); err != nil {
			return nil, refuse("%w", err)
		}
	}
	if ex.Dry {
		return nil, errBody
	}
	body, err := whole(ex, p.maxBody)
	if err != nil {
		return nil, err
	}
	if !w.signed(ex, signatures, timestamp, body) {
		return nil, refuse("none of the secrets has made the signature for this request")
	}
	return w.identity, nil
}

// recent checks a time in seconds since 1970.
func (p *policy) recent(timestamp string) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return errors.New("the request has no time, in seconds since 1970")
	}
	return p.inTime(time.Unix(seconds, 0))
}

// inTime checks when something was signed.
func (p *policy) inTime(at time.Time) error {
	switch age := p.now().Sub(at); {
	case age > p.maxAge+skew:
		return fmt.Errorf("the request was signed %s ago, and %s is allowed", age.Round(time.Second), p.maxAge)
	case age < -skew:
		return fmt.Errorf("the request was signed %s from now: the clocks differ", (-age).Round(time.Second))
	}
	return nil
}

// signed says whether one of the secrets has made one of the signatures.
func (w *webhook) signed(ex *filter.Exchange, signatures [][]byte, timestamp string, body []byte) bool {
	right := false
	for _, secret := range w.secrets {
		mac := hmac.New(w.hash, secret)
		for _, p := range w.payload {
			p.write(mac, ex, timestamp, body)
		}
		sum := mac.Sum(nil)
		for _, s := range signatures {
			right = hmac.Equal(sum, s) || right
		}
	}
	return right
}

// write adds a part of what is signed.
func (p part) write(to hash.Hash, ex *filter.Exchange, timestamp string, body []byte) {
	m := message{ex}
	value := p.literal
	switch p.name {
	case "":
	case "body":
		to.Write(body)
		return
	case "timestamp":
		value = timestamp
	case "method":
		value = ex.Original.Method
	case "path":
		value = m.path()
	case "query":
		value = ex.Original.Query
	default:
		value = combined(ex.Request.Header[strings.TrimPrefix(p.name, "header.")])
	}
	to.Write([]byte(value))
}
