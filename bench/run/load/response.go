//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

// response is an answer that is being read. Only its status and the length of its body are looked at; whether the body is right
// is verified before anything is measured.
type response struct {
	want int64  // the length that the body must have
	head []byte // a head that came in pieces
	body bool   // whether the head is complete
	left int64  // bytes of the body that are still to come
}

// feed takes what came and says whether the answer is complete. An answer that is not as it should be is an error.
func (r *response) feed(b []byte) (complete bool, err error) {
	if !r.body {
		if len(r.head) > 0 {
			r.head = append(r.head, b...)
			b = r.head
		}
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			if len(r.head) == 0 {
				r.head = append(r.head, b...)
			}
			return false, nil
		}
		if err := r.parse(b[:end+2]); err != nil {
			return false, err
		}
		r.body, r.left, b = true, r.want, b[end+4:]
	}
	if r.left -= int64(len(b)); r.left < 0 {
		return false, fmt.Errorf("%d bytes after the answer", -r.left)
	}
	return r.left == 0, nil
}

// reset makes it ready for the next answer.
func (r *response) reset() { r.head, r.body, r.left = r.head[:0], false, 0 }

func (r *response) parse(head []byte) error {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("status line %q", line)
	}
	for len(fields) > 0 {
		var field []byte
		field, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(field, []byte(":"))
		if len(name) != len("content-length") || !bytes.EqualFold(name, []byte("content-length")) {
			continue
		}
		if length, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil || length != r.want {
			return fmt.Errorf("Content-Length %s, want %d", bytes.TrimSpace(value), r.want)
		}
		return nil
	}
	return errors.New("answer without Content-Length")
}
