package expr

import (
	"net/netip"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// ipInFunction declares ip_in(address, range) and ip_in(address, [ranges]): whether an address is in a range, or in one of several. An address
// that is empty, as that of a client on a Unix socket, is in none.
func ipInFunction() cel.EnvOption {
	return cel.Function("ip_in",
		cel.Overload("ip_in_string", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType, cel.BinaryBinding(ipIn)),
		cel.Overload("ip_in_list", []*cel.Type{cel.StringType, cel.ListType(cel.StringType)}, cel.BoolType, cel.BinaryBinding(ipInAny)),
	)
}

// ipIn is ip_in for one range.
func ipIn(address, within ref.Val) ref.Val {
	text, ok := address.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(address)
	}
	if text == "" {
		return types.False
	}
	addr, err := netip.ParseAddr(string(text))
	if err != nil {
		return types.NewErr("%q is not an address", string(text))
	}
	return contains(within, addr.Unmap().WithZone(""))
}

// ipInAny is ip_in for a list of ranges.
func ipInAny(address, list ref.Val) ref.Val {
	ranges, ok := list.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(list)
	}
	for it := ranges.Iterator(); it.HasNext() == types.True; {
		if found := ipIn(address, it.Next()); found != types.False {
			return found
		}
	}
	return types.False
}

// contains reports whether an address is in a range.
func contains(within ref.Val, addr netip.Addr) ref.Val {
	text, ok := within.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(within)
	}
	prefix, err := parseRange(string(text))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Bool(prefix.Contains(addr))
}

// parseRange reads a range: "10.0.0.0/8", or an address for itself alone.
func parseRange(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, errNoRange(text)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, errNoRange(text)
	}
	return p, nil
}
