package transform

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// codings are the content codings of a message, in the order in which they were applied.
func codings(h http.Header) (all []string) {
	for _, value := range h["Content-Encoding"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.ToLower(strings.Trim(name, " \t")); name != "" && name != "identity" {
				all = append(all, name)
			}
		}
	}
	return all
}

// decoded takes the content coding off a body that is in memory. The result has no more than max bytes, so that a small body cannot
// become a huge one.
func decoded(body []byte, all []string, max int64) ([]byte, error) {
	if len(all) == 0 {
		return body, nil
	}
	if len(all) > 1 {
		return nil, &problem{kind: wrongType, reason: fmt.Sprintf("it has several content codings: %.100s", strings.Join(all, ", ")), shown: true}
	}
	r, err := uncoded(all[0], body)
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, max+1))
	switch {
	case int64(len(out)) > max:
		return nil, tooLong(max)
	case err != nil:
		return nil, &problem{reason: "it is not in its content coding, " + all[0], cause: err}
	}
	return out, nil
}

// uncoded takes a content coding off (RFC 9110, section 8.4.1).
func uncoded(name string, body []byte) (io.Reader, error) {
	src := bufio.NewReader(bytes.NewReader(body))
	var r io.Reader
	var err error
	switch name {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(src)
	case "deflate":
		// Some send what deflate is without the zlib around it that the name means.
		if begin, _ := src.Peek(2); len(begin) == 2 && begin[0]&0x0f == 8 && (int(begin[0])<<8|int(begin[1]))%31 == 0 {
			r, err = zlib.NewReader(src)
		} else {
			r = flate.NewReader(src)
		}
	default:
		return nil, &problem{kind: wrongType, reason: fmt.Sprintf("its content coding, %.40s, is not known; gzip and deflate are", name), shown: true}
	}
	if err != nil {
		return nil, &problem{reason: "it is not in its content coding, " + name, cause: err}
	}
	return r, nil
}
