package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
)

// cookie sets the cookie that holds the choice of an upstream.
type cookie struct {
	name   string
	prefix string // up to the value
	suffix string // all attributes but Secure
}

func newCookie(c *Cookie) *cookie {
	attributes := "; Path=" + c.Path
	if c.Domain != "" {
		attributes += "; Domain=" + c.Domain
	}
	if c.MaxAge > 0 {
		attributes += "; Max-Age=" + strconv.FormatInt(max(1, int64(time.Duration(c.MaxAge)/time.Second)), 10)
	}
	return &cookie{name: c.Name, prefix: c.Name + "=", suffix: attributes + "; HttpOnly; SameSite=Lax"}
}

// set adds the cookie to a response.
func (c *cookie) set(ex *filter.Exchange, resp *http.Response, a *arm) {
	value := c.prefix + a.mark + c.suffix
	if ex.Original.Scheme == "https" {
		value += "; Secure"
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	resp.Header["Set-Cookie"] = append(resp.Header["Set-Cookie"], value)
}

// cookieValue returns the value of the first cookie with a name, or "".
func cookieValue(fields []string, name string) string {
	for _, rest := range fields {
		for rest != "" {
			var one string
			one, rest, _ = strings.Cut(rest, ";")
			key, value, _ := strings.Cut(one, "=")
			if strings.Trim(key, " \t") == name {
				return strings.Trim(value, " \t\"")
			}
		}
	}
	return ""
}
