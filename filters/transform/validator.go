package transform

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// What is transformed is another representation than the upstream's, and so needs another validator (RFC 9110, section 8.8). As the same
// document always becomes the same one, by the same rules, the upstream's tag with a mark of the rules in it is a validator, as strong as the
// upstream's own: conditional requests with it work, from the client to the upstream and back. Answers with values of the request in them
// have none.

// generation is raised when the same rules make other bytes than before.
const generation = 2

// mark names the rules by which a document becomes what is sent.
func mark(rules ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q", generation, fmt.Sprintf("%+v", rules)))
	return "~" + hex.EncodeToString(sum[:6])
}

// marked is an entity tag with a mark in it. Where it is no entity tag, it is "".
func marked(tag, mark string) string {
	if len(tag) < 2 || tag[len(tag)-1] != '"' || !strings.HasPrefix(strings.TrimPrefix(tag, "W/"), `"`) {
		return ""
	}
	return tag[:len(tag)-1] + mark + `"`
}

// unmarked gives the entity tags of a condition that have a mark without it; strangers says whether the others stay.
func unmarked(values []string, mark string, strangers bool) []string {
	var out []string
	for _, value := range values {
		for _, tag := range entityTags(value) {
			if own, ok := strings.CutSuffix(tag, mark+`"`); ok {
				out = append(out, own+`"`)
			} else if strangers || tag == "*" {
				out = append(out, tag)
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return []string{strings.Join(out, ", ")}
}

// entityTags takes a list of entity tags apart. Commas may stand within them.
func entityTags(value string) (tags []string) {
	for value = strings.Trim(value, " \t,"); value != ""; value = strings.Trim(value, " \t,") {
		open := strings.IndexByte(value, '"')
		end := strings.IndexByte(value, ',')
		if open >= 0 && (end < 0 || open < end) {
			end = len(value)
			if close := strings.IndexByte(value[open+1:], '"'); close >= 0 {
				end = open + 1 + close + 1
			}
		}
		if end < 0 {
			end = len(value)
		}
		tags, value = append(tags, strings.Trim(value[:end], " \t")), value[end:]
	}
	return tags
}

// askAgain changes the conditions of a request to what the upstream knows. Those of GET and HEAD that only another representation could meet
// are left out, which has the upstream answer in full; a date says nothing of the rules, so it is left out, too. A condition on a change is never left out.
func askAgain(r *http.Request, mark string) {
	h := r.Header
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if reads {
		delete(h, "If-Modified-Since")
	}
	if mark == "" {
		if reads {
			delete(h, "If-None-Match")
		}
		return
	}
	set(h, "If-None-Match", unmarked(h["If-None-Match"], mark, !reads))
	set(h, "If-Match", unmarked(h["If-Match"], mark, true))
}

func set(h http.Header, name string, values []string) {
	if values == nil {
		delete(h, name)
		return
	}
	h[name] = values
}

// remark gives a response the validator of what it becomes. Without a mark it has none.
func remark(h http.Header, mark string) {
	tag := h.Get("Etag")
	delete(h, "Etag")
	if mark == "" {
		delete(h, "Last-Modified")
	} else if own := marked(tag, mark); own != "" {
		h["Etag"] = []string{own}
	}
}

// forgetBytes takes away what is said of the bytes as they were.
func forgetBytes(h http.Header) {
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Accept-Ranges", "Content-Range", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		delete(h, name)
	}
}
