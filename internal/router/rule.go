package router

import (
	"net/http"
	"net/netip"
	"regexp"
)

// Rule is one alternative match of one route. All that it gives must hold; what it leaves out holds always.
type Rule struct {
	// Hosts are the names the rule answers to, in lower case and without port: "api.example.com", or
	// "*.example.com" for one or more labels before ".example.com". Empty, or "*" among them: any host.
	Hosts []string
	// Path is the pattern from ParsePath. The zero Path is any path.
	Path Path
	// Methods are the methods, in upper case. Empty: any. GET answers HEAD too, as long as no rule for the same
	// host and path names HEAD.
	Methods []string
	// Headers, Queries and Cookies are conditions on values, all of which must hold. One given twice counts once.
	Headers, Queries, Cookies []ValueRule
	// Addresses are the networks of the client, one of which must contain it. Empty: any.
	Addresses []netip.Prefix
	// When is the compiled condition, called last, with Params set. Nil: none.
	When func(*Request) bool
	// WhenText is the condition as it was written. Two conditions are the same when their texts are.
	WhenText string
	// Value is what Match returns: the index of the route.
	Value int
	// Name is the name of the route, for explanations and conflicts, and the last but one tie-breaker.
	Name string
}

// String returns all that the rule matches, in one line.
func (r *Rule) String() string { return newRule(r, 0).String() }

// ValueRule is a condition on a header, a query parameter or a cookie. Where the request gives the name more than
// once, Is and Matches hold when they hold for any of the values.
type ValueRule struct {
	// Name is the name: of a header in any case, of a query parameter or cookie exactly.
	Name string
	// Is is the value wanted, unless Matches or Present is set.
	Is string
	// Matches is the expression that the value must match. It is used as it is: anchor it before.
	Matches *regexp.Regexp
	// Present is 1 where the name must be there with any value, -1 where it must be absent, and 0 where the value counts.
	Present int8
	// Shown stands for the value wherever the rule is told of, since the value itself must not be seen. Empty: the value.
	Shown string
}

// Request is what a rule is held against. The caller fills it and may use it again for the next request.
type Request struct {
	// Method is the method as it was sent.
	Method string
	// Host is the host in lower case, without port and trailing dot, as NormalizeHost makes it.
	Host string
	// Path is the escaped path as Normalize makes it.
	Path string
	// Header holds the header fields by their canonical names, cookies among them.
	Header http.Header
	// RawQuery is the query without the question mark, still encoded. It is read only where a rule asks for it.
	RawQuery string
	// Client is the address of the client, after trusted-proxy rules.
	Client netip.Addr
	// Subject is what conditions are about: what a When takes from its Request. The router itself does not read it.
	Subject any
	// Params receives the parameters of the path that matched. Nil: they are not wanted.
	Params *Params
}
