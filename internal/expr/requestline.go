package expr

import (
	"strconv"
	"strings"

	"cardea.dev/cardea/filter"
)

// The request line is the client's, as the engine noted it. An exchange without that note, such as one made for a request of the
// gateway's own, has that of its request.

func requestMethod(ex *filter.Exchange) (string, bool) {
	if ex.Original.Method == "" && ex.Request != nil {
		return present(ex.Request.Method)
	}
	return present(ex.Original.Method)
}

func requestScheme(ex *filter.Exchange) (string, bool) {
	switch {
	case ex.Original.Scheme != "":
		return ex.Original.Scheme, true
	case ex.Request == nil:
		return "", false
	case ex.Request.URL != nil && ex.Request.URL.Scheme != "":
		return ex.Request.URL.Scheme, true
	case ex.Request.TLS != nil:
		return "https", true
	}
	return "http", true
}

func requestHost(ex *filter.Exchange) (string, bool) {
	if ex.Original.Host == "" && ex.Request != nil {
		return present(bareHost(ex.Request.Host))
	}
	return present(ex.Original.Host)
}

// bareHost takes the port off a host and lowers its case.
func bareHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return strings.ToLower(host)
}

func requestPath(ex *filter.Exchange) (string, bool) {
	if ex.Original.Path == "" && ex.Request != nil && ex.Request.URL != nil {
		return present(ex.Request.URL.EscapedPath())
	}
	return present(ex.Original.Path)
}

// rawQuery returns the query as it was sent.
func rawQuery(ex *filter.Exchange) string {
	if ex.Original.Path == "" && ex.Request != nil && ex.Request.URL != nil {
		return ex.Request.URL.RawQuery
	}
	return ex.Original.Query
}

// responseStatus returns the status of the response, or 0 while there is none.
func responseStatus(ex *filter.Exchange) int {
	if ex.Status == 0 && ex.Response != nil {
		return ex.Response.StatusCode
	}
	return ex.Status
}

// statusText returns the variable status. Its texts are made beforehand.
func statusText() filter.Value {
	var texts [600]string
	for i := range texts {
		texts[i] = strconv.Itoa(i)
	}
	return func(ex *filter.Exchange) (string, bool) {
		switch status := responseStatus(ex); {
		case status == 0:
			return "", false
		case status > 0 && status < len(texts):
			return texts[status], true
		default:
			return strconv.Itoa(status), true
		}
	}
}
