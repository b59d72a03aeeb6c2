//go:build linux

package origin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
)

// request is a request that is being read. Its head is read at once; its body is counted, or hashed, and dropped.
type request struct {
	head    []byte // the head, or what is there of it
	body    bool   // whether the head is complete
	left    int64  // bytes of the body that are still to come
	size    int64
	last    bool // whether the connection ends after it
	segment string
	digest  hash.Hash // for /sha256
}

// feed takes what came and returns what is left of it, once the request is complete.
func (r *request) feed(b []byte) (rest []byte, complete bool, refusal string) {
	if !r.body {
		r.head = append(r.head, b...)
		end := bytes.Index(r.head, []byte("\r\n\r\n"))
		if end < 0 {
			if len(r.head) > 64<<10 {
				return nil, false, "431 Request Header Fields Too Large"
			}
			return nil, false, ""
		}
		b = b[len(b)-(len(r.head)-end-4):]
		r.head = r.head[:end+2]
		if refusal := r.parse(); refusal != "" {
			return nil, false, refusal
		}
		r.body = true
	}
	n := min(int64(len(b)), r.left)
	if r.digest != nil {
		_, _ = r.digest.Write(b[:n])
	}
	r.left -= n
	return b[n:], r.left == 0, ""
}

// parse takes from the head what decides the answer. It trusts its gateways: they are what is measured, and it is not.
func (r *request) parse() (refusal string) {
	line, fields, _ := bytes.Cut(r.head, []byte("\r\n"))
	words := bytes.Split(line, []byte(" "))
	if len(words) != 3 {
		return "400 Bad Request"
	}
	path, _, _ := bytes.Cut(words[1], []byte("?"))
	r.segment = string(path[bytes.LastIndexByte(path, '/')+1:])
	for len(fields) > 0 {
		var field []byte
		field, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(field, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			n, err := strconv.ParseInt(string(value), 10, 64)
			if err != nil || n < 0 {
				return "400 Bad Request"
			}
			r.left, r.size = n, n
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			return "411 Length Required"
		case bytes.EqualFold(name, []byte("connection")):
			r.last = bytes.EqualFold(value, []byte("close"))
		}
	}
	if r.segment == "sha256" {
		r.digest = sha256.New()
	}
	return ""
}

// reset makes it ready for the next request of its connection.
func (r *request) reset() { *r = request{head: r.head[:0]} }

// reply is the answer to a complete request.
func (r *request) reply(ready map[string][]byte) []byte {
	switch r.segment {
	case "upload": // how much came; uploads of one size get answers of one size
		return answer("200 OK", strconv.AppendInt(nil, r.size, 10))
	case "sha256": // what came
		return answer("200 OK", []byte(hex.EncodeToString(r.digest.Sum(nil))))
	case "head": // the head of the request, to see what a gateway made of it
		return answer("200 OK", r.head)
	}
	if whole, known := ready[r.segment]; known {
		return whole
	}
	return answer("404 Not Found", []byte("not found\n"))
}
