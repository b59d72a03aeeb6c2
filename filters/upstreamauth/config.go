package upstreamauth

import (
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/oauth"
)

// Config says how the gateway identifies itself to the upstream: by one of Basic, Bearer, ClientCredentials, TokenExchange and AWS, and by
// any fields of Header besides.
type Config struct {
	// Basic sends a user and a password.
	Basic *Basic `yaml:"basic"`

	// Bearer sends a token that does not change: ${file:/run/secrets/token}.
	Bearer config.Secret `yaml:"bearer"`

	// Header sends fields that do not change, by name: {X-Api-Key: "${API_KEY}"}. What the client sent in them is replaced. By default
	// none.
	Header map[string]config.Secret `yaml:"header"`

	// ClientCredentials sends a token that the gateway gets from a token endpoint for itself (RFC 6749, section 4.4).
	ClientCredentials *ClientCredentials `yaml:"client_credentials"`

	// TokenExchange sends a token that the gateway gets in exchange for the caller's own bearer token (RFC 8693).
	TokenExchange *TokenExchange `yaml:"token_exchange"`

	// AWS signs requests with Signature Version 4.
	AWS *AWS `yaml:"aws"`
}

// Basic is a user and a password (RFC 7617).
type Basic struct {
	// Username is the name of the user. It holds no colon.
	Username string `yaml:"username,required"`

	// Password is the password.
	Password config.Secret `yaml:"password,required"`
}

// Server is a token endpoint, and the client that the gateway is there.
type Server struct {
	// TokenURL is the token endpoint: "https://idp.example.com/oauth/token". Either this or Issuer is required.
	TokenURL string `yaml:"token_url"`

	// Issuer is the issuer, whose metadata names the token endpoint: "https://idp.example.com/". It must be what the metadata says, to
	// the letter.
	Issuer string `yaml:"issuer"`

	// ClientID is the name of the gateway at the server.
	ClientID string `yaml:"client_id,required"`

	// ClientSecret is the password of the gateway at the server. By default it has none.
	ClientSecret config.Secret `yaml:"client_secret"`

	// AuthStyle says where ClientID and ClientSecret are sent: "basic" (in Authorization) or "post" (in the form). By default "basic".
	AuthStyle string `yaml:"auth_style" enum:"basic,post"`

	// Scopes are what the token is wanted for: [orders.read]. By default the server decides.
	Scopes []string `yaml:"scopes"`

	// Audience is the service that the token is wanted for, where the server asks for that. By default none.
	Audience string `yaml:"audience"`

	// CA is a file with the certificates of the authorities that the server's certificate may be from, in PEM. By default those that the
	// system trusts.
	CA string `yaml:"ca"`

	// Timeout is how long one token may take. By default 10s.
	Timeout config.Duration `yaml:"timeout" min:"1ms"`
}

// ClientCredentials get a token for the gateway itself. One token is kept for all requests and renewed before its end.
type ClientCredentials struct {
	Server `yaml:",inline"`
}

// TokenExchange exchanges the caller's bearer token.
type TokenExchange struct {
	Server `yaml:",inline"`

	// Resource is the URI of the service that the token is wanted for. By default none.
	Resource string `yaml:"resource"`

	// SubjectTokenType is the type of the caller's token. By default "urn:ietf:params:oauth:token-type:access_token".
	SubjectTokenType string `yaml:"subject_token_type"`

	// RequestedTokenType is the type of the token that is wanted. By default the server decides.
	RequestedTokenType string `yaml:"requested_token_type"`

	// Cache is how many tokens are kept at most, each until its end or that of the caller's. Those not used for longest give way. By
	// default 10000.
	Cache int `yaml:"cache" min:"1"`
}

// AWS signs requests with Signature Version 4. The upstream must leave the Host field as it is (`host: keep`, its default).
type AWS struct {
	// Region is the region of the service: "eu-central-1".
	Region string `yaml:"region,required"`

	// Service is the name of the service in signatures: "s3", "execute-api", "lambda", "es".
	Service string `yaml:"service,required"`

	// Host is the Host field that is sent and signed. By default "SERVICE.REGION.amazonaws.com".
	Host string `yaml:"host"`

	// AccessKey is the id of the key: ${AWS_ACCESS_KEY_ID}.
	AccessKey string `yaml:"access_key,required"`

	// SecretKey is the key: ${AWS_SECRET_ACCESS_KEY}.
	SecretKey config.Secret `yaml:"secret_key,required"`

	// SessionToken goes with keys that are good for a while only. By default none.
	SessionToken config.Secret `yaml:"session_token"`

	// Payload says whether the signature covers the body: "signed" (the body is read first), "unsigned" (it streams), or "auto" (unsigned
	// for s3, signed for all other services). By default "auto".
	Payload string `yaml:"payload" enum:"auto,signed,unsigned"`

	// MaxBody is the size of bodies that are read in order to be signed, at most; larger ones are refused. By default 1MiB.
	MaxBody config.Size `yaml:"max_body"`
}

// Default sets the defaults.
func (s *Server) Default() { s.AuthStyle, s.Timeout = "basic", config.Duration(10*time.Second) }

// Default sets the defaults.
func (c *ClientCredentials) Default() { c.Server.Default() }

// Default sets the defaults.
func (t *TokenExchange) Default() {
	t.Server.Default()
	t.SubjectTokenType, t.Cache = "urn:ietf:params:oauth:token-type:access_token", 10_000
}

// Default sets the defaults.
func (a *AWS) Default() { a.Payload, a.MaxBody = "auto", 1<<20 }

// Validate checks that there is one way, and that it has what it needs.
func (c *Config) Validate() error {
	var errs []error
	ways := c.ways()
	switch {
	case len(ways) == 0 && len(c.Header) == 0:
		errs = append(errs, errors.New("nothing is named: write one of basic, bearer, header, client_credentials, token_exchange and aws"))
	case len(ways) > 1:
		errs = append(errs, config.FieldErrorf(ways[1], "there is `%s` already; both would set Authorization", ways[0]))
	}
	if c.Bearer != "" && !isToken(c.Bearer.Reveal()) {
		errs = append(errs, config.FieldErrorf("bearer", "the token has characters that no token has"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Header)) {
		errs = append(errs, checkField(name, c.Header[name], len(ways) > 0))
	}
	return errors.Join(errs...)
}

// ways are the names of those that are there, of the ways that exclude each other.
func (c *Config) ways() []string {
	var ways []string
	for _, w := range []struct {
		name  string
		there bool
	}{
		{"basic", c.Basic != nil},
		{"bearer", c.Bearer != ""},
		{"client_credentials", c.ClientCredentials != nil},
		{"token_exchange", c.TokenExchange != nil},
		{"aws", c.AWS != nil},
	} {
		if w.there {
			ways = append(ways, w.name)
		}
	}
	return ways
}

// checkField says what is wrong with a field of Header.
func checkField(name string, value config.Secret, authorized bool) error {
	path := "header[" + strconv.Quote(name) + "]"
	switch canonical := http.CanonicalHeaderKey(name); {
	case !httpguts.ValidHeaderFieldName(name):
		return config.FieldErrorf(path, "%q cannot be the name of a field", name)
	case slices.Contains([]string{"Connection", "Content-Length", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}, canonical):
		return config.FieldErrorf(path, "%s is no field for credentials", canonical)
	case canonical == "Authorization" && authorized:
		return config.FieldErrorf(path, "Authorization is set already")
	case value == "":
		return config.FieldErrorf(path, "the value is empty")
	case !httpguts.ValidHeaderFieldValue(value.Reveal()) || strings.TrimSpace(value.Reveal()) != value.Reveal():
		return config.FieldErrorf(path, "the value has a control character, or a space at an end")
	}
	return nil
}

// isToken says whether a text can be a bearer token (RFC 6750, section 2.1), a little more freely.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Validate checks that the user can be told from the password.
func (b *Basic) Validate() error {
	var errs []error
	if strings.Contains(b.Username, ":") {
		errs = append(errs, config.FieldErrorf("username", "the name holds a colon, which ends it"))
	}
	if hasControl(b.Username) {
		errs = append(errs, config.FieldErrorf("username", "the name has a control character"))
	}
	if hasControl(b.Password.Reveal()) {
		errs = append(errs, config.FieldErrorf("password", "the password has a control character"))
	}
	return errors.Join(errs...)
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// value is the value of Authorization.
func (b *Basic) value() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(b.Username+":"+b.Password.Reveal()))
}

// Validate checks where tokens come from.
func (s *Server) Validate() error {
	var errs []error
	switch {
	case s.TokenURL == "" && s.Issuer == "":
		errs = append(errs, errors.New("nothing says where tokens come from: write `token_url` or `issuer`"))
	case s.TokenURL != "" && s.Issuer != "":
		errs = append(errs, config.FieldErrorf("issuer", "there is `token_url` already; one of them is enough"))
	}
	for _, u := range []struct{ field, text string }{{"token_url", s.TokenURL}, {"issuer", s.Issuer}} {
		if u.text == "" {
			continue
		}
		if err := oauth.CheckURL(u.text); err != nil {
			errs = append(errs, config.FieldErrorf(u.field, "the URL cannot be used: %w", err))
		}
	}
	if s.ClientID == "" {
		errs = append(errs, config.FieldErrorf("client_id", "the name is empty"))
	}
	for i, scope := range s.Scopes {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			errs = append(errs, config.FieldErrorf("scopes["+strconv.Itoa(i)+"]", "%q cannot be a scope", scope))
		}
	}
	return errors.Join(errs...)
}

// Validate checks that there is a secret.
func (c *ClientCredentials) Validate() error {
	if c.ClientSecret == "" {
		return errors.Join(c.Server.Validate(), config.FieldErrorf("client_secret", "the gateway cannot prove who it is without one"))
	}
	return c.Server.Validate()
}

// Validate checks the server, for an embedded Validate does not know of more.
func (t *TokenExchange) Validate() error {
	if t.SubjectTokenType == "" {
		return errors.Join(t.Server.Validate(), config.FieldErrorf("subject_token_type", "the type is empty"))
	}
	return t.Server.Validate()
}

// Validate checks what stands in signatures.
func (a *AWS) Validate() error {
	var errs []error
	for _, f := range []struct{ field, text string }{{"region", a.Region}, {"service", a.Service}, {"access_key", a.AccessKey}} {
		if f.text == "" || strings.ContainsFunc(f.text, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			errs = append(errs, config.FieldErrorf(f.field, "it is empty, or has other characters than letters, digits and dashes"))
		}
	}
	if a.SecretKey == "" || hasControl(a.SecretKey.Reveal()) {
		errs = append(errs, config.FieldErrorf("secret_key", "the key is empty or has a control character"))
	}
	if a.SessionToken != "" && !isToken(a.SessionToken.Reveal()) {
		errs = append(errs, config.FieldErrorf("session_token", "the token has characters that no token has"))
	}
	if a.Host != "" && !filter.ValidHost(a.Host) {
		errs = append(errs, config.FieldErrorf("host", "%q is not a host", a.Host))
	}
	if a.Payload != "unsigned" && a.MaxBody <= 0 {
		errs = append(errs, config.FieldErrorf("max_body", "no body could be signed"))
	}
	return errors.Join(errs...)
}
