package expr

import (
	"encoding/json"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"cardea.dev/cardea/filter"
)

// activation gives an evaluation the names it asks for, out of an exchange. It holds the maps, so that they need not be made.
type activation struct {
	ex        *filter.Exchange
	addresses *addressTexts
	header    textMap
	query     textMap
	cookie    textMap
	path      textMap
	response  textMap
	tags      textMap
	more      map[string]filter.Lookup
}

// activations are kept for their next use.
type activations struct{ pool sync.Pool }

// get returns an activation for an exchange.
func (p *activations) get(ex *filter.Exchange, addresses *addressTexts) *activation {
	a, _ := p.pool.Get().(*activation)
	if a == nil {
		a = &activation{}
	}
	a.ex, a.addresses = ex, addresses
	a.header = textMap{ex, headerFields}
	a.query = textMap{ex, queryParameters}
	a.cookie = textMap{ex, cookies}
	a.path = textMap{ex, pathParameters}
	a.response = textMap{ex, responseFields}
	a.tags = textMap{ex, identityTags}
	return a
}

// put takes an activation back. Nothing of it may be in use any more.
func (p *activations) put(a *activation) {
	*a = activation{}
	p.pool.Put(a)
}

// Parent is nil: there are no other names.
func (a *activation) Parent() cel.Activation { return nil }

// ResolveName returns what a name stands for.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "header":
		return &a.header, true
	case "query":
		return &a.query, true
	case "cookie":
		return &a.cookie, true
	case "path":
		return &a.path, true
	case "response.header":
		return &a.response, true
	case "jwt", "identity.claims":
		return a.claims(), true
	case "identity.groups":
		return a.groups(), true
	case "identity.scopes":
		return a.scopes(), true
	case "identity.tags":
		return &a.tags, true
	case "request.size":
		return types.Int(a.size()), true
	case "request.time":
		return types.Timestamp{Time: a.ex.Start}, true
	case "status", "response.status":
		return types.Int(responseStatus(a.ex)), true
	}
	return a.resolveText(name)
}

// resolveText resolves the names of texts. A text that there is not is "".
func (a *activation) resolveText(name string) (any, bool) {
	var s string
	switch name {
	case "address":
		if a.ex.Client.IsValid() {
			s = a.addresses.text(a.ex.Client)
		}
	case "identity":
		s, _ = identity(a.ex)
	case "identity.subject":
		s, _ = subject(a.ex)
	case "identity.consumer":
		s, _ = consumer(a.ex)
	case "identity.method":
		s, _ = authentication(a.ex)
	case "method", "request.method":
		s, _ = requestMethod(a.ex)
	case "request.path":
		s, _ = requestPath(a.ex)
	case "host", "request.host":
		s, _ = requestHost(a.ex)
	case "scheme", "request.scheme":
		s, _ = requestScheme(a.ex)
	case "request_id", "request.id":
		s = a.ex.ID
	case "route":
		s, _ = routeName(a.ex)
	case "upstream":
		s, _ = upstreamName(a.ex)
	case "endpoint":
		s, _ = endpointName(a.ex)
	case "error":
		s, _ = errorCode(a.ex)
	default:
		return a.resolveMore(name)
	}
	return types.String(s), true
}

// resolveMore resolves further names. What there is not is null.
func (a *activation) resolveMore(name string) (any, bool) {
	more := a.more[name]
	if more == nil {
		return nil, false
	}
	if v, ok := more(a.ex); ok && v != nil {
		return v, true
	}
	return types.NullValue, true
}

// claims returns the caller's claims, which are empty where there are none.
func (a *activation) claims() any {
	if a.ex.Identity == nil || a.ex.Identity.Claims == nil {
		return map[string]any{}
	}
	return a.ex.Identity.Claims
}

// groups returns the caller's groups.
func (a *activation) groups() any {
	if a.ex.Identity == nil {
		return []string(nil)
	}
	return a.ex.Identity.Groups
}

// scopes returns what the caller's credential is good for.
func (a *activation) scopes() any {
	if a.ex.Identity == nil {
		return []string(nil)
	}
	return a.ex.Identity.Scopes
}

// size returns the length of the request's body, -1 where it is not known beforehand.
func (a *activation) size() int64 {
	if a.ex.Request == nil {
		return 0
	}
	return a.ex.Request.ContentLength
}

// adapter makes CEL values of Go's. It knows the numbers of JSON, which a token's claims may hold.
type adapter struct{ types.Adapter }

// NativeToValue makes a CEL value.
func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return types.Int(i)
		}
		f, err := v.Float64()
		if err != nil {
			return types.NewErr("%q is not a number", v.String())
		}
		return types.Double(f)
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	case map[string]string:
		return types.NewStringStringMap(a, v)
	case []string:
		return types.NewStringList(a, v)
	}
	return a.Adapter.NativeToValue(v)
}
