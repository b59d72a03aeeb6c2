package purge

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/router"
	"cardea.dev/cardea/internal/stored"
)

// Normal returns the form in which URLs are stored and compared: "https://host/path?query", with scheme and host in lower case, without the port where
// it is the scheme's own, and the path as the gateway makes those of requests normal. The query stays as it is, an empty one, too; a fragment goes. The error says to
// who wrote the URL what is wrong with it.
func Normal(text string) (string, error) {
	u, err := parse(text)
	if err != nil {
		return "", err
	}
	path, _, err := lenient().Normalize(u.path)
	if err != nil {
		return "", fmt.Errorf("%q is no URL of a request: %w", text, err)
	}
	return u.scheme + "://" + u.host + u.port + path + u.query, nil
}

// NormalPrefix returns a prefix of URLs as they are in their normal form. Its host is whole, and its path is a text with which theirs begin: it need not end at
// a slash.
func NormalPrefix(text string) (string, error) {
	u, err := parse(text)
	if err != nil {
		return "", err
	}
	path, err := prefixPath(lenient(), u)
	if err != nil {
		return "", fmt.Errorf("%q is no prefix of URLs: %w", text, err)
	}
	return u.scheme + "://" + u.host + u.port + path + u.query, nil
}

// parts are those of a URL: host and path as they are compared.
type parts struct {
	scheme, host, path string
	port               string // ":8080", or "" where it is the scheme's own
	query              string // "?…", or ""; "?" alone where that is all
}

// parse takes a URL apart.
func parse(text string) (parts, error) {
	text, _, _ = strings.Cut(text, "#")
	text, query, asks := strings.Cut(text, "?")
	u, err := url.Parse(text)
	var because *url.Error
	switch {
	case errors.As(err, &because):
		return parts{}, fmt.Errorf("%q is no URL: %w", text, because.Err)
	case err != nil:
		return parts{}, err
	}
	scheme := strings.ToLower(u.Scheme)
	switch {
	case scheme != "http" && scheme != "https" || u.Opaque != "":
		return parts{}, fmt.Errorf("%q is no whole URL: expected one such as https://host/path", text)
	case u.Hostname() == "":
		return parts{}, fmt.Errorf("%q has no host: expected a URL such as https://host/path", text)
	case u.User != nil:
		return parts{}, errors.New("the URL has a user before its host: expected a URL such as https://host/path")
	}
	for _, c := range []byte(query) {
		if c <= ' ' || c == 0x7f {
			return parts{}, fmt.Errorf("the query %q has a space or control character, which must be escaped", query)
		}
	}
	p := parts{scheme: scheme, path: u.EscapedPath()}
	if p.host, err = normalHost(u.Host); err != nil {
		return parts{}, err
	}
	if port := u.Port(); port != "" && port != map[string]string{"http": "80", "https": "443"}[scheme] {
		p.port = ":" + port
	}
	if asks {
		p.query = "?" + query
	}
	return p, nil
}

// normalHost is a host as the gateway compares them. Names with other than ASCII letters are as clients send them.
func normalHost(hostport string) (string, error) {
	host := router.NormalizeHost(hostport)
	if strings.HasPrefix(host, "[") || net.ParseIP(host) != nil {
		return host, nil
	}
	for _, c := range []byte(host) {
		if c >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(host)
			if err != nil {
				return "", fmt.Errorf("the host %q is no name: %w", host, err)
			}
			return ascii, nil
		}
	}
	return host, nil
}

// prefixPath is the path of a prefix. Where it goes on after a dot segment, that is the beginning of a name.
func prefixPath(o router.Options, u parts) (string, error) {
	path, dots := u.path, ""
	if at := strings.LastIndexByte(path, '/'); u.query == "" && at >= 0 && (path[at+1:] == "." || path[at+1:] == "..") {
		path, dots = path[:at+1], path[at+1:]
	}
	path, _, err := o.Normalize(path)
	return path + dots, err
}

// lenient takes all paths that the gateway may be configured to take.
func lenient() router.Options {
	o := router.DefaultOptions()
	o.EncodedBackslash = router.Keep
	return o
}

// Alike are a normal URL, or prefix, and those that a purge does not tell from it: with the other scheme, and without the port.
func Alike(url string) []string {
	all := []string{url}
	scheme, rest, _ := strings.Cut(url, "://")
	other := map[string]string{"http": "https", "https": "http"}[scheme]
	all = append(all, other+"://"+rest)
	host, path, _ := strings.Cut(rest, "/")
	if name, _, err := net.SplitHostPort(host); err == nil {
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		all = append(all, scheme+"://"+name+"/"+path, other+"://"+name+"/"+path)
	}
	return all
}

// forms are the texts, without scheme, that a purge of a URL or prefix marks: one for each way in which the gateway may be configured to make paths
// normal, and one without the port, which is not always known of requests.
func forms(text string, prefix bool) []string {
	u, err := parse(text)
	if err != nil {
		return []string{bare(text)}
	}
	var all []string
	for _, merge := range []bool{true, false} {
		for _, slash := range []router.Escape{router.Keep, router.Decode} {
			o := lenient()
			o.MergeSlashes, o.EncodedSlash = merge, slash
			path, _, err := o.Normalize(u.path)
			if prefix {
				path, err = prefixPath(o, u)
			}
			if err != nil {
				path = u.path
			}
			all = append(all, u.host+u.port+path+u.query, u.host+path+u.query)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Matches returns what says whether a purge is for a response, whenever that was asked for.
func Matches(p filter.Purge) func(r *stored.Response) bool {
	var is []string
	switch {
	case p.All:
		return func(*stored.Response) bool { return true }
	case p.Tag != "":
		return func(r *stored.Response) bool { return slices.Contains(r.Tags, p.Tag) }
	case p.URL != "":
		is = forms(p.URL, false)
		return func(r *stored.Response) bool {
			url := bare(r.URL)
			if !r.Terms.Flags.Has(stored.NoVarySearch) {
				return slices.Contains(is, url)
			}
			path, _, _ := strings.Cut(url, "?")
			return slices.ContainsFunc(is, func(form string) bool { return form == path || strings.HasPrefix(form, path+"?") })
		}
	case p.Prefix != "":
		is = forms(p.Prefix, true)
	}
	return func(r *stored.Response) bool {
		return slices.ContainsFunc(is, func(prefix string) bool { return strings.HasPrefix(bare(r.URL), prefix) })
	}
}
