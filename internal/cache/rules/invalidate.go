package rules

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// URL is the normal form of a target URI (RFC 9110, section 4.2.3): scheme and host in lower case, no default port, no fragment, "/" for no path. The path and the query are as they are.
func URL(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch {
	case scheme == "http":
		host = strings.TrimSuffix(host, ":80")
	case scheme == "https":
		host = strings.TrimSuffix(host, ":443")
	}
	host = strings.TrimSuffix(host, ":")
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	text := scheme + "://" + host + path
	if u.RawQuery != "" || u.ForceQuery {
		text += "?" + u.RawQuery
	}
	return text
}

// Safe says whether a method is known to change nothing (RFC 9110, section 9.2.1, and the registry of methods).
func Safe(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "PRI", "PROPFIND", "QUERY", "REPORT", "SEARCH", "TRACE":
		return true
	}
	return false
}

// Invalidated are the URLs whose stored responses a response makes invalid (RFC 9111, section 4.4): that of its target, whose URI is given, and those in Location and Content-Location
// with the same origin. They are normal. It is nil for safe methods and for errors.
func Invalidated(method string, target *url.URL, resp *http.Response) []string {
	if Safe(method) || resp.StatusCode < 200 || resp.StatusCode > 399 {
		return nil
	}
	own := URL(target)
	urls := []string{own}
	for _, name := range [...]string{"Location", "Content-Location"} {
		for _, line := range resp.Header[name] {
			u, err := target.Parse(trim(line))
			if err != nil || u.Opaque != "" || !sameOrigin(u, target) {
				continue
			}
			if text := URL(u); !slices.Contains(urls, text) {
				urls = append(urls, text)
			}
		}
	}
	return urls
}

func sameOrigin(a, b *url.URL) bool {
	x, y := url.URL{Scheme: a.Scheme, Host: a.Host}, url.URL{Scheme: b.Scheme, Host: b.Host}
	return URL(&x) == URL(&y)
}

// Tags are what a response can be purged by: the words of Surrogate-Key and the members of Cache-Tag, each once.
func Tags(h http.Header) []string {
	var tags []string
	for _, line := range h["Surrogate-Key"] {
		for tag := range strings.FieldsSeq(line) {
			tags = append(tags, tag)
		}
	}
	for _, line := range h["Cache-Tag"] {
		for tag := range strings.SplitSeq(line, ",") {
			if tag = trim(tag); tag != "" {
				tags = append(tags, tag)
			}
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}
