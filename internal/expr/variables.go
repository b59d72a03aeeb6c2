package expr

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
)

// Variable describes a variable, for the manual.
type Variable struct {
	Name string // "address", or "header.<name>" for a family of them
	Doc  string
}

// Variables lists all variables.
func Variables() []Variable {
	return []Variable{
		{"address", "the client's address, after trusted proxies"},
		{"cookie.<name>", "the first cookie of a name"},
		{"endpoint", "the endpoint that the last attempt went to"},
		{"error", "the code of the gateway's own error, if the response is one"},
		{"header.<name>", "a field of the request; repeated ones are joined by \", \""},
		{"host", "the host that was asked for, in lower case and without port"},
		{"identity", "who calls: the subject, or else the consumer"},
		{"identity.consumer", "the consumer that the caller is known as"},
		{"identity.method", "the policy that authenticated the caller"},
		{"identity.subject", "the caller's own name"},
		{"identity.tags.<name>", "a tag of the caller's consumer"},
		{"jwt.<claim>", "a claim of the caller's token; nested ones by dots"},
		{"limit.key", "whom the limit counted for that refused the request, or would have in a dry run"},
		{"limit.policy", "the policy of that limit"},
		{"method", "the request's method"},
		{"path", "the path that was asked for, normalised and escaped"},
		{"path.<parameter>", "a parameter of the route's path, decoded"},
		{"query.<name>", "the first query parameter of a name, decoded"},
		{"request_id", "the request's id"},
		{"response.header.<name>", "a field of the response"},
		{"route", "the route's name"},
		{"scheme", "http or https"},
		{"status", "the status of the response"},
		{"upstream", "the upstream that the request was for, even where nothing could be sent"},
	}
}

// plainVariables are the variables of one name, and the CEL names that mean the same.
func (e *Expressions) plainVariables() map[string]filter.Value {
	status := statusText()
	vars := map[string]filter.Value{
		"address":           e.address,
		"identity":          identity,
		"identity.subject":  subject,
		"identity.consumer": consumer,
		"identity.method":   authentication,
		"path":              requestPath,
		"method":            requestMethod,
		"scheme":            requestScheme,
		"host":              requestHost,
		"request_id":        requestID,
		"route":             routeName,
		"status":            status,
		"upstream":          upstreamName,
		"endpoint":          endpointName,
		"error":             errorCode,
		"limit.key":         limitKey,
		"limit.policy":      limitPolicy,
	}
	vars["request.path"], vars["request.method"] = requestPath, requestMethod
	vars["request.scheme"], vars["request.host"] = requestScheme, requestHost
	vars["request.id"], vars["response.status"] = requestID, status
	return vars
}

// variable returns the variable that a name is, if it is one.
func (e *Expressions) variable(name string) (filter.Value, bool) {
	if v := e.variables[name]; v != nil {
		return v, true
	}
	if rest, ok := strings.CutPrefix(name, "response.header."); ok && isName(rest, "-") {
		return responseHeader(textproto.CanonicalMIMEHeaderKey(rest)), true
	}
	if rest, ok := strings.CutPrefix(name, "identity.tags."); ok && isName(rest, "-.") {
		return identityTag(rest), true
	}
	family, rest, _ := strings.Cut(name, ".")
	switch {
	case family == "header" && isName(rest, "-"):
		return requestHeader(textproto.CanonicalMIMEHeaderKey(rest)), true
	case family == "query" && isName(rest, "-."):
		return queryParameter(rest), true
	case family == "cookie" && isName(rest, "-."):
		return requestCookie(rest), true
	case family == "path" && isName(rest, "-"):
		return pathParameter(rest), true
	case family == "jwt" && isName(rest, "-.") && !slices.Contains(strings.Split(rest, "."), ""):
		return claim(strings.Split(rest, ".")), true
	}
	return nil, false
}

// isName reports whether a text is letters, digits, "_" and some more, and begins and ends with none of those.
func isName(s, more string) bool {
	if s == "" || strings.ContainsRune(more, rune(s[0])) || strings.ContainsRune(more, rune(s[len(s)-1])) {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) && strings.IndexByte(more, s[i]) < 0 {
			return false
		}
	}
	return true
}

// isWord reports whether a character may stand in an identifier.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// address gives the client's address.
func (e *Expressions) address(ex *filter.Exchange) (string, bool) {
	if !ex.Client.IsValid() {
		return "", false
	}
	return e.addresses.text(ex.Client), true
}

func identity(ex *filter.Exchange) (string, bool) {
	if s, ok := subject(ex); ok {
		return s, true
	}
	return consumer(ex)
}

func limitKey(ex *filter.Exchange) (string, bool) { return present(ex.Limited.Key) }

func limitPolicy(ex *filter.Exchange) (string, bool) { return present(ex.Limited.Policy) }

func subject(ex *filter.Exchange) (string, bool) {
	if ex.Identity == nil {
		return "", false
	}
	return present(ex.Identity.Subject)
}

func consumer(ex *filter.Exchange) (string, bool) {
	if ex.Identity == nil {
		return "", false
	}
	return present(ex.Identity.Consumer)
}

func authentication(ex *filter.Exchange) (string, bool) {
	if ex.Identity == nil {
		return "", false
	}
	return present(ex.Identity.Method)
}

func identityTag(name string) filter.Value {
	return func(ex *filter.Exchange) (string, bool) {
		if ex.Identity == nil {
			return "", false
		}
		value, ok := ex.Identity.Tags[name]
		return value, ok
	}
}

// present takes an empty text for none.
func present(s string) (string, bool) { return s, s != "" }

func requestID(ex *filter.Exchange) (string, bool) { return present(ex.ID) }

func routeName(ex *filter.Exchange) (string, bool) {
	if ex.Route == nil {
		return "", false
	}
	return present(ex.Route.Name)
}

func upstreamName(ex *filter.Exchange) (string, bool) {
	return present(ex.Upstream)
}

func endpointName(ex *filter.Exchange) (string, bool) {
	if last := ex.Last(); last != nil && last.Upstream == ex.Upstream {
		return present(last.Endpoint)
	}
	return "", false
}

func errorCode(ex *filter.Exchange) (string, bool) {
	if ex.Err == nil {
		return "", false
	}
	if e, ok := ex.Err.(*filter.Error); ok {
		return present(string(e.Code))
	}
	return string(filter.AsError(ex.Err).Code), true
}

func pathParameter(name string) filter.Value {
	return func(ex *filter.Exchange) (string, bool) {
		if ex.Params == nil {
			return "", false
		}
		return ex.Params.Get(name)
	}
}

func requestHeader(key string) filter.Value {
	if key == "Host" {
		return hostField
	}
	return func(ex *filter.Exchange) (string, bool) {
		if ex.Request == nil {
			return "", false
		}
		return field(ex.Request.Header, key)
	}
}

// hostField gives the field Host, which net/http keeps apart from the others.
func hostField(ex *filter.Exchange) (string, bool) {
	if ex.Request == nil {
		return "", false
	}
	return present(ex.Request.Host)
}

func responseHeader(key string) filter.Value {
	return func(ex *filter.Exchange) (string, bool) {
		if ex.Response == nil {
			return "", false
		}
		return field(ex.Response.Header, key)
	}
}

// field returns a field by its canonical name. Several of a name are one list (RFC 9110, 5.3), but for cookies (RFC 6265, 5.4).
func field(h http.Header, key string) (string, bool) {
	values := h[key]
	switch {
	case len(values) == 0:
		return "", false
	case len(values) == 1:
		return values[0], true
	case key == "Cookie":
		return strings.Join(values, "; "), true
	}
	return strings.Join(values, ", "), true
}

// claim returns a claim by its path.
func claim(path []string) filter.Value {
	return func(ex *filter.Exchange) (string, bool) {
		if ex.Identity == nil {
			return "", false
		}
		claims := ex.Identity.Claims
		for _, name := range path[:len(path)-1] {
			claims, _ = claims[name].(map[string]any)
		}
		switch v := claims[path[len(path)-1]].(type) {
		case string:
			return v, true
		case nil:
			return "", false
		default:
			return text(v)
		}
	}
}
