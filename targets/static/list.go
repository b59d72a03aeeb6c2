package static

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"

	"cardea.dev/cardea/filter"
)

// maxListed is how many names are listed at most.
const maxListed = 10000

// list answers with the names in a directory.
func (s *static) list(ex *filter.Exchange, dir found) (*http.Response, error) {
	defer dir.close()
	entries, err := dir.f.ReadDir(maxListed)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, filter.Reject(filter.InternalError, "").Because(fmt.Errorf("cannot list %s: %w", dir.name, err))
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if !s.dotfiles && isHidden(path.Join(dir.name, name)) {
			continue
		}
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	page := listPage(dir.name, names, len(entries) == maxListed)
	resp := &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: ex.Request, ContentLength: int64(len(page)), Body: http.NoBody,
		Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}, "Content-Length": {strconv.Itoa(len(page))}, "X-Content-Type-Options": {"nosniff"}},
	}
	if ex.Request.Method != http.MethodHead {
		resp.Body = io.NopCloser(bytes.NewReader(page))
	}
	return resp, nil
}

// listPage is a page with links.
func listPage(dir string, names []string, more bool) []byte {
	title := html.EscapeString(path.Join("/", dir))
	var b bytes.Buffer
	b.WriteString("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>" + title +
		"</title></head>\n<body><h1>" + title + "</h1>\n<ul>\n")
	if dir != "." {
		b.WriteString("<li><a href=\"../\">../</a></li>\n")
	}
	for _, name := range names {
		link := url.URL{Path: "./" + name} // "./": a colon in a name is no scheme
		b.WriteString("<li><a href=\"" + html.EscapeString(link.String()) + "\">" + html.EscapeString(name) + "</a></li>\n")
	}
	if more {
		b.WriteString("<li>…</li>\n")
	}
	b.WriteString("</ul></body></html>\n")
	return b.Bytes()
}
