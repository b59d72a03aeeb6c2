//go:build linux

package origin

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sizes are the answers by the last segment of the path.
var sizes = map[string]int{"1k": 1 << 10, "16k": 16 << 10, "1m": 1 << 20, "kept-1k": 1 << 10, "kept-16k": 16 << 10}

// items are the answers in JSON: how many items each has.
var items = map[string]int{"page-profile": 4, "page-orders": 55, "page-offers": 14}

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
	if n, is := items[segment]; is {
		return list(n), true
	}
	if segment == "page" { // what is made of them
		return fmt.Appendf(nil, `{"profile":%s,"orders":%s,"offers":%s}`, list(items["page-profile"]), list(items["page-orders"]), list(items["page-offers"])), true
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
	for _, segment := range append(slices.Collect(maps.Keys(items)), "page") {
		body, _ := Body(segment)
		all[segment] = bytes.Replace(answer("200 OK", body), []byte("text/plain; charset=utf-8"), []byte("application/json"), 1)
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
