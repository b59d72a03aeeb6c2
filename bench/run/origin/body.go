//go:build linux

package origin

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// sizes are the answers by the last segment of the path.
var sizes = map[string]int{"1k": 1 << 10, "16k": 16 << 10, "1m": 1 << 20, "kept-1k": 1 << 10, "kept-16k": 16 << 10}

// Pages are answers in JSON that are made of others: the names of their parts. A part is answered at "page-" and its name.
var Pages = map[string][]string{"page": {"profile", "orders", "offers"}, "page-10": numbered(10), "page-50": numbered(50)}

// numbered are so many names.
func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("part%02d", i)
	}
	return names
}

// part is what a part of a page is.
func part(name string) []byte {
	switch name {
	case "profile":
		return list(4)
	case "orders":
		return list(55)
	}
	return list(14)
}

// list is a JSON list of so many items.
func list(n int) []byte {
	b := []byte{'['}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"id":%d,"name":"hinge no. %d","price":%d.50,"sold":%t,"tags":["a","b"]}`, 1000+i, i, i*7, i%3 == 0)
	}
	return append(b, ']')
}

// Body is what the origin answers to GET for a path that ends in this segment, and whether there is such an answer. Its bytes
// follow no short pattern, so that a gateway that mixed up pieces would be noticed.
func Body(segment string) ([]byte, bool) {
	if names, is := Pages[segment]; is {
		b := []byte{'{'}
		for _, name := range names {
			b = fmt.Appendf(b, `"%s":%s,`, name, part(name))
		}
		b[len(b)-1] = '}'
		return b, true
	}
	if name, is := strings.CutPrefix(segment, "page-"); is {
		return part(name), true
	}
	size, known := sizes[segment]
	if !known {
		return nil, false
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	body, state := make([]byte, size), uint32(size)
	for i := range body {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		body[i] = letters[state>>26]
	}
	return body, true
}

// rendered are whole answers to GET, made once.
func rendered() map[string][]byte {
	all := map[string][]byte{}
	for segment := range sizes {
		body, _ := Body(segment)
		all[segment] = answer("200 OK", body)
		if strings.HasPrefix(segment, "kept-") {
			all[segment] = bytes.Replace(all[segment], []byte("no-store"), []byte("max-age=86400"), 1)
		}
	}
	inJSON := func(segment string) {
		body, _ := Body(segment)
		all[segment] = bytes.Replace(answer("200 OK", body), []byte("text/plain; charset=utf-8"), []byte("application/json"), 1)
	}
	for segment, names := range Pages {
		inJSON(segment)
		for _, name := range names {
			inJSON("page-" + name)
		}
	}
	return all
}

// answer writes an answer with the fields that a service usually sends.
func answer(status string, body []byte) []byte {
	head := fmt.Sprintf("HTTP/1.1 %s\r\nServer: origin\r\nDate: %s\r\nContent-Type: text/plain; charset=utf-8\r\n"+
		"Cache-Control: no-store\r\nContent-Length: %s\r\n\r\n",
		status, time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), strconv.Itoa(len(body)))
	return append([]byte(head), body...)
}
