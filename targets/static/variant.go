package static

import (
	"net/http"
	"os"
	"strings"
)

// variants are the encodings that may lie beside a file, the smallest first. It is never written.
var variants = [...]struct{ encoding, suffix string }{{"br", ".br"}, {"zstd", ".zst"}, {"gzip", ".gz"}}

// variant returns the encoded file beside another one, where there is one that the client takes, and its encoding; else the file. A
// file of unknown type has none: its type is found out from its bytes.
func variant(root *os.Root, file found, accept []string, h http.Header) (found, string) {
	if h["Content-Type"] == nil {
		return file, ""
	}
	h["Vary"] = []string{"Accept-Encoding"}
	for _, v := range variants {
		if !accepts(accept, v.encoding) {
			continue
		}
		got, err := open(root, file.name+v.suffix)
		if err != nil {
			continue
		}
		if got.info.IsDir() || got.info.ModTime().Before(file.info.ModTime()) {
			got.close()
			continue
		}
		file.close()
		got.name, got.fallback = file.name, file.fallback
		h["Content-Encoding"] = []string{v.encoding}
		return got, v.encoding
	}
	return file, ""
}

// accepts says whether an Accept-Encoding field takes an encoding (RFC 9110, section 12.5.3).
func accepts(fields []string, encoding string) bool {
	any := false
	for _, value := range fields {
		for item := range strings.SplitSeq(value, ",") {
			name, params, _ := strings.Cut(item, ";")
			switch name = strings.Trim(name, " \t"); {
			case strings.EqualFold(name, encoding):
				return !isZero(params)
			case name == "*":
				any = !isZero(params)
			}
		}
	}
	return any
}

// isZero says whether parameters give a weight of 0.
func isZero(params string) bool {
	name, value, _ := strings.Cut(strings.Trim(params, " \t"), "=")
	return strings.EqualFold(name, "q") && value != "" && strings.Trim(value, "0.") == ""
}
