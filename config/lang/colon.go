package lang

import "github.com/goccy/go-yaml/token"

// mendColons joins what goccy's lexer takes apart: in an object in braces it sees a key and a value in `http://10.0.0.1:8080` and
// `2001:db8::/32`. A colon ends a plain key only where white space or the end of the object or list follows (YAML 1.2.2, section
// 7.3.3); keys in quotes may do without.
func mendColons(tokens token.Tokens) token.Tokens {
	mended := tokens[:0:0]
	for _, t := range tokens {
		if n := len(mended); n >= 2 && unquoted(t) && touches(mended[n-1], t) && mended[n-1].Type == token.MappingValueType {
			if key := mended[n-2]; unquoted(key) && touches(key, mended[n-1]) {
				join(key, mended[n-1], t)
				mended = mended[:n-1]
				continue
			}
		}
		mended = append(mended, t)
	}
	for i, t := range mended {
		t.Prev, t.Next = nil, nil
		if i > 0 {
			t.Prev, mended[i-1].Next = mended[i-1], t
		}
	}
	return mended
}

// unquoted says whether a token is (a piece of) a scalar without quotes.
func unquoted(t *token.Token) bool {
	switch t.Type {
	case token.StringType, token.IntegerType, token.FloatType, token.BoolType, token.NullType, token.InfinityType, token.NanType,
		token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType:
		return true
	}
	return false
}

// touches says whether b begins where a ends.
func touches(a, b *token.Token) bool {
	return a.Position.Line == b.Position.Line && a.Position.Column+len([]rune(a.Value)) == b.Position.Column
}

// join makes one scalar of key, colon and value.
func join(key, colon, value *token.Token) {
	key.Value += colon.Value + value.Value
	key.Origin += colon.Origin + value.Origin
	key.Type = token.StringType
	key.CharacterType, key.Indicator = token.CharacterTypeMiscellaneous, token.NotIndicator
}
