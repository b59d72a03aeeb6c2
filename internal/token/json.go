package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
)

// MaxLength is how long a token may be.
const MaxLength = 16 << 10

// maxDepth is how deep what a token says may be nested.
const maxDepth = 32

// decode decodes a part of a token, of which there is one way to write it only.
func decode(part string) ([]byte, error) {
	// The decoder would skip line breaks.
	if strings.ContainsAny(part, "\r\n") {
		return nil, errors.New("it has line breaks")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errors.New("it is not base64url")
	}
	return b, nil
}

// ParseObject reads a JSON object strictly. Names that stand twice, text that is not UTF-8 and anything after it are refused.
func ParseObject(text []byte) (map[string]any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	if tooDeep(text) {
		return nil, fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.SetNumberType(json.UnmarshalIntOrFloat)
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, fmt.Errorf("it is no JSON object: %w", err)
	}
	if object == nil {
		return nil, errors.New("it is no JSON object")
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON object")
	}
	return object, nil
}

// tooDeep says whether JSON is nested too deep.
func tooDeep(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// textOf returns a claim that is a text; "" where there is none.
func textOf(object map[string]any, name string) (string, error) {
	switch v := object[name].(type) {
	case nil:
		if _, there := object[name]; there {
			return "", fmt.Errorf("`%s` is null, not a text", name)
		}
		return "", nil
	case string:
		return v, nil
	default:
		return "", fmt.Errorf("`%s` is not a text", name)
	}
}

// textsOf returns a claim that is a text or a list of them.
func textsOf(object map[string]any, name string) ([]string, error) {
	v, there := object[name]
	if !there {
		return nil, nil
	}
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case []any:
		texts := make([]string, 0, len(v))
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("`%s` is a list of something else than texts", name)
			}
			texts = append(texts, text)
		}
		return texts, nil
	}
	return nil, fmt.Errorf("`%s` is neither a text nor a list of them", name)
}

// maxSeconds is the last moment that is taken: the end of the year 9999.
const maxSeconds = 253402300799

// secondsOf returns a claim that is a NumericDate (RFC 7519, section 2), in whole seconds; 0 where there is none.
func secondsOf(object map[string]any, name string) (int64, error) {
	v, there := object[name]
	if !there {
		return 0, nil
	}
	var seconds float64
	switch v := v.(type) {
	case int64:
		seconds = float64(v)
	case float64:
		seconds = math.Floor(v)
	default:
		return 0, fmt.Errorf("`%s` is not a number", name)
	}
	if !(seconds > 0 && seconds <= maxSeconds) {
		return 0, fmt.Errorf("`%s` is %v, which is no point in time", name, v)
	}
	return int64(seconds), nil
}
