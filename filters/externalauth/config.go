package externalauth

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
)

// Config says who is asked whether a request may pass, what it is told, and what becomes of its answer. The short form is URL.
type Config struct {
	// URL is what is asked, by HTTP: "http://authz:4180/oauth2/auth". Certificates of https are checked against the roots of the system.
	// Exactly one of url, to and grpc is required.
	URL string `yaml:"url,short"`

	// To is the upstream that is asked, with its balancing, health checks, retries and breaker. It gets the Host of the client, unless its
	// own `host` says otherwise.
	To string `yaml:"to"`

	// GRPC is who is asked by gRPC, as Envoy's ext_authz asks (envoy.service.auth.v3.Authorization): "authz:9191" without TLS,
	// "https://authz.example.com:443", or the name of an upstream, whose `protocol` is then h2c or http2. Fields that it sets for the
	// upstream, the client and refusals are all passed on; only response_headers, where it is given, bounds those for the upstream.
	GRPC string `yaml:"grpc"`

	// ContextExtensions tell an authorizer that is asked by gRPC about the route: {team: orders}. By default none.
	ContextExtensions map[string]string `yaml:"context_extensions"`

	// Path is the path that the upstream is asked for, with a query if need be. By default "/". Only with to.
	Path string `yaml:"path"`

	// Method is the method of the question; "same" is that of the request. By default "GET".
	Method string `yaml:"method"`

	// RequestHeaders are the fields of the request that the authorizer is shown. By default all but those of the connection and of the
	// body. X-Forwarded-Method, -Proto, -Host, -Uri and -For, X-Original-Method, -URL and -URI and X-Real-IP are always sent, and are the
	// gateway's own.
	RequestHeaders []string `yaml:"request_headers"`

	// Set are further fields for the authorizer, by name; with grpc, metadata of the call. Values are templates. By default none.
	Set map[string]string `yaml:"set"`

	// Body is how much of the request's body the authorizer is shown. A request with a larger body is refused with 413. The body is
	// held in memory until the upstream has it. By default 0: the body is neither read nor shown.
	Body config.Size `yaml:"body"`

	// ResponseHeaders are the fields of an accepting answer that the upstream gets. What the client sends under these names never
	// reaches it. By default none.
	ResponseHeaders []string `yaml:"response_headers"`

	// ClientHeaders are the fields of an accepting answer that are added to what the client gets: [Set-Cookie] for sessions that the
	// authorizer renews. By default none.
	ClientHeaders []string `yaml:"client_headers"`

	// RefusalHeaders are the fields of a refusing answer that the client gets. By default [Location, WWW-Authenticate, Set-Cookie,
	// Retry-After, Cache-Control, Content-Language].
	RefusalHeaders []string `yaml:"refusal_headers"`

	// RefusalBody is how large the body of a refusing answer may be for the client to get it, with its Content-Type; in the place of a
	// larger one the client gets the gateway's own. By default 64KiB; 0 never passes it on.
	RefusalBody config.Size `yaml:"refusal_body" max:"1MiB"`

	// Identity says which fields of an accepting answer tell who calls. What the client sends under these names never reaches the upstream
	// either. By default none: the caller is accepted, and not known.
	Identity Identity `yaml:"identity"`

	// Timeout is how long the question may take, all tries together. By default 1s.
	Timeout config.Duration `yaml:"timeout" min:"1ms" max:"5m"`

	// OnFailure says what becomes of a request when there is no answer, or one of no use (5xx): "deny" refuses it with 503
	// authentication_unavailable; "allow" lets it pass, without an identity. By default "deny".
	OnFailure string `yaml:"on_failure" enum:"deny,allow"`

	// Cache remembers answers. By default off: every request is asked about.
	Cache *Cache `yaml:"cache"`
}

// Identity says which fields tell who calls.
type Identity struct {
	// Subject is the field with the caller's own name: "X-Auth-Request-User". By default none.
	Subject string `yaml:"subject,short"`

	// Consumer is the field with the name of the consumer that the caller is. A name that no consumer has is refused. By default none.
	Consumer string `yaml:"consumer"`

	// Groups is the field with the caller's groups, separated by commas. By default none.
	Groups string `yaml:"groups"`

	// Scopes is the field with what the caller's credential is good for, separated by spaces or commas. By default none.
	Scopes string `yaml:"scopes"`

	// Claims are further fields, by the name of the claim that each becomes: {email: X-Auth-Request-Email}. By default none.
	Claims map[string]string `yaml:"claims"`
}

// Cache says how long answers are remembered. The short form is Key.
type Cache struct {
	// Key is all that the answer depends on: variables or CEL expressions, such as [header.authorization, method, path]. Only their hash
	// is kept. A request that lacks one of them is always asked about. Required.
	Key []string `yaml:"key,short,required"`

	// TTL is how long an accepting answer holds. By default 10s.
	TTL config.Duration `yaml:"ttl" min:"1ms" max:"1d"`

	// RefusalTTL is how long a refusing answer holds. By default 0: it is not remembered.
	RefusalTTL config.Duration `yaml:"refusal_ttl" max:"1d"`

	// Max is how many answers of a route are remembered; others make room. By default 10000.
	Max int `yaml:"max" min:"2" max:"10000000"`
}

// Default sets GET, 1s, and to deny on failure.
func (c *Config) Default() {
	c.Method, c.OnFailure = http.MethodGet, "deny"
	c.Timeout = config.Duration(time.Second)
	c.RefusalBody = 64 << 10
	c.RefusalHeaders = []string{"Location", "WWW-Authenticate", "Set-Cookie", "Retry-After", "Cache-Control", "Content-Language"}
}

// Default sets 10s and 10000 answers.
func (c *Cache) Default() { c.TTL, c.Max = config.Duration(10*time.Second), 10000 }

// Validate checks that there is one who is asked, and that fields are such.
func (c *Config) Validate() error {
	errs := []error{c.validateWhom()}
	if !httpguts.ValidHeaderFieldName(c.Method) {
		errs = append(errs, config.FieldErrorf("method", "%q is no method", c.Method))
	}
	if c.Cache != nil && c.Body > 0 {
		errs = append(errs, config.FieldErrorf("cache", "answers cannot be remembered where the authorizer looks at bodies"))
	}
	lists := []struct {
		key   string
		names []string
	}{
		{"request_headers", c.RequestHeaders},
		{"response_headers", c.ResponseHeaders},
		{"client_headers", c.ClientHeaders},
		{"refusal_headers", c.RefusalHeaders},
	}
	for _, list := range lists {
		for i, name := range list.names {
			errs = append(errs, validateField(fmt.Sprintf("%s[%d]", list.key, i), name))
		}
	}
	for name := range c.Set {
		errs = append(errs, validateField("set."+name, name))
	}
	return errors.Join(append(errs, c.Identity.validate())...)
}

func (c *Config) validateWhom() error {
	switch {
	case c.URL == "" && c.To == "" && c.GRPC == "":
		return config.FieldErrorf("", "name who is asked: a URL such as http://authz:4180/auth, `to` with the name of an upstream, or `grpc`")
	case c.URL != "" && c.To != "":
		return config.FieldErrorf("to", "there is a url already; only one is asked")
	case c.GRPC != "" && (c.URL != "" || c.To != ""):
		return config.FieldErrorf("grpc", "there is a url or an upstream already; only one is asked")
	case c.GRPC != "" && c.Path != "":
		return config.FieldErrorf("path", "there is no path in gRPC")
	case c.GRPC != "" && c.Method != http.MethodGet:
		return config.FieldErrorf("method", "there is no method to choose in gRPC")
	case c.GRPC == "" && len(c.ContextExtensions) > 0:
		return config.FieldErrorf("context_extensions", "they are for gRPC; for HTTP there is `set`")
	case c.GRPC != "":
		return validateGRPC(c.GRPC)
	case c.URL != "" && c.Path != "":
		return config.FieldErrorf("path", "the path is part of the url")
	case c.To != "":
		return validatePath(c.Path)
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Opaque != "":
		return config.FieldErrorf("url", "%q is no URL that can be asked; expected http://HOST:PORT/PATH or https://HOST/PATH", c.URL)
	case u.User != nil:
		return config.FieldErrorf("url", "a password does not belong into the URL; use `set: {Authorization: …}`")
	case u.Fragment != "":
		return config.FieldErrorf("url", "a URL that is asked has no fragment (#)")
	}
	return nil
}

// validateGRPC checks an address, a URL or a name.
func validateGRPC(to string) error {
	if !strings.Contains(to, ":") {
		return nil // a name
	}
	u, err := grpcURL(to)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Path != "" || u.User != nil || u.RawQuery != "" {
		return config.FieldErrorf("grpc", "%q is nobody who can be asked; expected HOST:PORT, https://HOST:PORT, or the name of an upstream", to)
	}
	return nil
}

// grpcURL is the URL of an address.
func grpcURL(to string) (*url.URL, error) {
	if !strings.Contains(to, "://") {
		to = "http://" + to
	}
	return url.Parse(to)
}

func validatePath(path string) error {
	u, err := url.ParseRequestURI(path)
	if path != "" && (path[0] != '/' || err != nil || u.Host != "") {
		return config.FieldErrorf("path", "%q is no path; it begins with /", path)
	}
	return nil
}

func (id *Identity) validate() error {
	var errs []error
	check := func(key, name string) {
		if name != "" {
			errs = append(errs, validateField("identity."+key, name))
		}
	}
	check("subject", id.Subject)
	check("consumer", id.Consumer)
	check("groups", id.Groups)
	check("scopes", id.Scopes)
	for claim, name := range id.Claims {
		check("claims."+claim, name)
	}
	return errors.Join(errs...)
}

// validateField checks that a field may be passed on.
func validateField(at, name string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return config.FieldErrorf(at, "%q is no name of a field", name)
	case ofConnection(http.CanonicalHeaderKey(name)):
		return config.FieldErrorf(at, "%s is the gateway's business, and cannot be passed on", name)
	}
	return nil
}

// ofConnection says whether a field is about a connection, or about where its message ends.
func ofConnection(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Authenticate",
		"Proxy-Authorization", "Http2-Settings", "Expect", "Content-Length", "Host":
		return true
	}
	return strings.HasPrefix(name, ":")
}

// reserved are the fields that the upstream gets from the authorizer or not at all.
func (c *Config) reserved() []string {
	names := canonical(c.ResponseHeaders)
	for _, name := range canonical(c.Identity.fields()) {
		if name != "Authorization" && name != "Cookie" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// fields are the names of all fields that tell who calls.
func (id *Identity) fields() []string {
	names := slices.Collect(maps.Values(id.Claims))
	for _, name := range []string{id.Subject, id.Consumer, id.Groups, id.Scopes} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// canonical are names as headers have them.
func canonical(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, http.CanonicalHeaderKey(name))
	}
	return out
}
