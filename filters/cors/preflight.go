package cors

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/filter"
)

// preflightMethod returns the method that a preflight asks about, or "" for any other request.
func preflightMethod(r *http.Request) string {
	if r.Method != http.MethodOptions {
		return ""
	}
	asked := r.Header["Access-Control-Request-Method"]
	if len(asked) == 0 {
		return ""
	}
	return asked[0]
}

// answer answers a preflight, or refuses it with the reason.
func (c *cors) answer(ex *filter.Exchange, method string) error {
	req := ex.Request
	if reason := c.objection(req, method); reason != "" {
		c.refused.Inc()
		return filter.Reject(filter.CORSRejected, "%s", strings.ToUpper(reason[:1])+reason[1:]+".")
	}
	c.preflights.Inc()
	h := http.Header{
		"Access-Control-Allow-Origin": c.find(req.Header["Origin"]).origin,
		"Vary":                        varyPreflight,
	}
	h["Access-Control-Allow-Methods"] = c.methods.text
	if c.methods.all {
		h["Access-Control-Allow-Methods"] = []string{method}
	}
	if asked := req.Header["Access-Control-Request-Headers"]; c.headers.all && len(asked) > 0 {
		h["Access-Control-Allow-Headers"] = []string{strings.Join(asked, ", ")}
	} else if c.headers.text != nil {
		h["Access-Control-Allow-Headers"] = c.headers.text
	}
	if c.credentials {
		h["Access-Control-Allow-Credentials"] = yes
	}
	if c.privateNetwork && req.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h["Access-Control-Allow-Private-Network"] = yes
	}
	h["Access-Control-Max-Age"] = c.maxAge
	ex.Response = &http.Response{
		StatusCode: http.StatusNoContent, ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: http.NoBody, Request: req,
	}
	return nil
}

// objection says what speaks against a preflight, or "".
func (c *cors) objection(req *http.Request, method string) string {
	if c.find(req.Header["Origin"]) == nil {
		return "this origin is not allowed"
	}
	if !httpguts.ValidHeaderFieldName(method) || !c.methods.has(method) {
		return "this method is not allowed across origins"
	}
	for _, line := range req.Header["Access-Control-Request-Headers"] {
		for more := line != ""; more; {
			var name string
			name, line, more = strings.Cut(line, ",")
			name = strings.Trim(name, " \t")
			if name == "" {
				continue // empty items mean nothing (RFC 9110, section 5.6.1)
			}
			if !httpguts.ValidHeaderFieldName(name) {
				return "a header that is asked for cannot be one"
			}
			if !c.headers.has(strings.ToLower(name)) {
				return "the header " + name + " is not allowed across origins"
			}
		}
	}
	return ""
}

// list is a list of names that are allowed.
type list struct {
	all   bool
	names map[string]bool
	text  []string // for the answer; nil when there are none
}

// has says whether a name is allowed.
func (l *list) has(name string) bool { return l.all || l.names[name] }
