package expr

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
)

// text makes a text of a value as it stands in a token: numbers in decimals, lists of single values joined by ",", other lists and objects
// as JSON. It is false for null and for what has no text.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case []any:
		if s, ok := joined(v); ok {
			return s, true
		}
	case []string:
		return strings.Join(v, ","), true
	default:
		if s, ok := scalar(v); ok {
			return s, true
		}
	}
	b, err := json.Marshal(v)
	return string(b), err == nil
}

// scalar makes a text of a single value.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return decimal(v), true
	case json.Number:
		return v.String(), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case uint64:
		return strconv.FormatUint(v, 10), true
	case fmt.Stringer:
		return v.String(), true
	}
	return "", false
}

// decimal writes a number without an exponent where that is readable: 1700000000 rather than 1.7e+09.
func decimal(f float64) string {
	if math.Abs(f) < 1e21 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// joined joins a list of single values.
func joined(list []any) (string, bool) {
	texts := make([]string, len(list))
	for i, v := range list {
		s, ok := scalar(v)
		if !ok {
			return "", false
		}
		texts[i] = s
	}
	return strings.Join(texts, ","), true
}

// addressTexts remembers the texts of addresses that were seen lately, since making one allocates. A place holds the last address that
// fell on it.
type addressTexts struct {
	places [4096]atomic.Pointer[addressText]
}

// addressText is an address with its text.
type addressText struct {
	addr netip.Addr
	text string
}

// text returns an address's text. An IPv4 address in IPv6 form is written as IPv4.
func (a *addressTexts) text(addr netip.Addr) string {
	addr = addr.Unmap()
	place := &a.places[spread(addr)%uint64(len(a.places))]
	if known := place.Load(); known != nil && known.addr == addr {
		return known.text
	}
	fresh := &addressText{addr, addr.String()}
	place.Store(fresh)
	return fresh.text
}

// spread makes a number of an address whose bits all depend on all of the address's.
func spread(addr netip.Addr) uint64 {
	b := addr.As16()
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	x, y := bits.Mul64(hi^0x9e3779b97f4a7c15, lo^0xbf58476d1ce4e5b9)
	return x ^ y
}
