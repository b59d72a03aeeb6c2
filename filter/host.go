package filter

import (
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// ValidHost says whether a text is a host, with or without a port, as it may stand in the field Host.
func ValidHost(s string) bool {
	if s == "" || strings.ContainsAny(s, "/\\?#@,;'\"!$&()*+= <>{}|^`%") || !httpguts.ValidHostHeader(s) {
		return false
	}
	u, err := url.Parse("http://" + s)
	return err == nil && u.Host == s && u.Hostname() != ""
}
