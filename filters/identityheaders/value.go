package identityheaders

import (
	"encoding/json"
	"regexp"
	"strings"

	"cardea.dev/cardea/filter"
)

// value makes the value of a field, safe to be sent.
type value struct {
	list func(*filter.Identity) ([]string, bool) // the texts of a list, which are joined; false for none. It may be nil.
	text filter.Value
	own  bool // it depends on the identity alone
}

// newValue compiles a variable or expression. Lists of the identity are known as such, so that a "," in one of their texts can be told from
// one between them.
func newValue(env *filter.Env, source string) (value, error) {
	text, err := env.Expr.Value(source)
	if err != nil {
		return value{}, err
	}
	v := value{text: text}
	source = strings.TrimSpace(source)
	switch {
	case source == "identity.groups":
		v.list = func(id *filter.Identity) ([]string, bool) { return id.Groups, true }
	case source == "identity.scopes":
		v.list = func(id *filter.Identity) ([]string, bool) { return id.Scopes, true }
	case regexp.MustCompile(`^jwt(\.[A-Za-z0-9_-]+)+$`).MatchString(source):
		path := strings.Split(source, ".")[1:]
		v.list = func(id *filter.Identity) ([]string, bool) { return claimList(id.Claims, path) }
	}
	v.own = v.list != nil || regexp.MustCompile(`^identity(\.[A-Za-z0-9_.-]+)?$`).MatchString(source)
	return v, nil
}

// claimList returns the texts of a claim that is a list of single values.
func claimList(claims map[string]any, path []string) ([]string, bool) {
	for _, name := range path[:len(path)-1] {
		claims, _ = claims[name].(map[string]any)
	}
	var texts []string
	switch list := claims[path[len(path)-1]].(type) {
	case []string:
		return list, true
	case []any:
		for _, item := range list {
			switch item := item.(type) {
			case string:
				texts = append(texts, item)
			case json.Number:
				texts = append(texts, item.String())
			default:
				return nil, false // as JSON, by the expression
			}
		}
		return texts, true
	}
	return nil, false
}

// of is the value for a request; false where there is none.
func (v *value) of(ex *filter.Exchange) (string, bool) {
	if v.list != nil && ex.Identity != nil {
		if texts, ok := v.list(ex.Identity); ok {
			encoded := make([]string, len(texts))
			for i, text := range texts {
				encoded[i] = encode(text, true)
			}
			s := strings.Join(encoded, ",")
			return s, s != ""
		}
	}
	s, ok := v.text(ex)
	if !ok || s == "" {
		return "", false
	}
	return encode(s, false), true
}

// encode percent-encodes what a field cannot hold, or what could be taken for something else: control characters, what is not ASCII,
// "%", spaces at the ends, and "," in the texts of lists.
func encode(s string, inList bool) string {
	unsafe := func(i int) bool {
		c := s[i]
		return c < ' ' || c >= 0x7f || c == '%' || c == ',' && inList || c == ' ' && (i == 0 || i == len(s)-1)
	}
	first := 0
	for first < len(s) && !unsafe(first) {
		first++
	}
	if first == len(s) {
		return s
	}
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(s)+16)
	out = append(out, s[:first]...)
	for i := first; i < len(s); i++ {
		if unsafe(i) {
			out = append(out, '%', digits[s[i]>>4], digits[s[i]&15])
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}
