package oidc

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxChunk  = 3800 // of a cookie's value: browsers keep 4096 bytes with name and attributes (RFC 6265, section 6.1)
	maxChunks = 5
	maxLogins = 5 // cookies of logins that have begun; the oldest go first
)

// jar knows the names of the policy's cookies, for one scheme.
type jar struct {
	session string // the first cookie of a session; the others are called session.1, session.2, …
	login   string // what the names of logins' cookies begin with; the state follows
	secure  bool
}

// newJar names cookies. Those with the prefix __Host- are only taken by browsers over https, from the host itself and with path "/": no other
// host of the same domain can set them.
func newJar(id string, secure bool) *jar {
	name := "oidc-" + id
	if secure {
		name = "__Host-" + name
	}
	return &jar{session: name, login: name + "-login-", secure: secure}
}

// gather appends the sealed session of a request to buf. It appends nothing where there is none, or not all of it.
func (j *jar) gather(h http.Header, buf []byte) []byte {
	lines := h["Cookie"]
	if lines == nil {
		return buf
	}
	first := find(lines, j.session, "")
	if len(first) < 2 {
		return buf
	}
	chunks := int(first[0]) - '0'
	if chunks < 1 || chunks > maxChunks {
		return buf
	}
	start := len(buf)
	buf = append(buf, first[1:]...)
	for i := 1; i < chunks; i++ {
		chunk := find(lines, j.session, suffixes[i])
		if chunk == "" || len(chunk) > maxChunk {
			return buf[:start]
		}
		buf = append(buf, chunk...)
	}
	return buf
}

// suffixes are what the names of a session's cookies end with.
var suffixes = [maxChunks]string{"", ".1", ".2", ".3", ".4"}

// find returns the value of the first cookie with a name, which is given in two parts.
func find(lines []string, name, suffix string) string {
	for _, line := range lines {
		for len(line) > 0 {
			var pair string
			pair, line = cut(line)
			if rest, ok := strings.CutPrefix(pair, name); ok {
				if rest, ok = strings.CutPrefix(rest, suffix); ok && strings.HasPrefix(rest, "=") {
					return rest[1:]
				}
			}
		}
	}
	return ""
}

// cut cuts the first pair off a line of cookies.
func cut(line string) (pair, rest string) {
	if i := strings.IndexByte(line, ';'); i >= 0 {
		line, rest = line[:i], line[i+1:]
	}
	return strings.TrimSpace(line), rest
}

// logins are the states of the logins that a request has cookies of, in order.
func (j *jar) logins(h http.Header) []string {
	var states []string
	for _, line := range h["Cookie"] {
		for len(line) > 0 {
			var pair string
			pair, line = cut(line)
			if rest, ok := strings.CutPrefix(pair, j.login); ok && len(states) < 64 {
				state, _, _ := strings.Cut(rest, "=")
				if validState(state) {
					states = append(states, state)
				}
			}
		}
	}
	return states
}

// write returns the fields Set-Cookie of a sealed session, which end the other cookies of the request's own session. False: it is too large.
func (j *jar) write(sealed string, h http.Header, life time.Duration) ([]string, bool) {
	chunks := (len(sealed) + maxChunk - 1) / maxChunk
	if chunks > maxChunks {
		return nil, false
	}
	var fields []string
	for i := range chunks {
		part := sealed[i*maxChunk : min((i+1)*maxChunk, len(sealed))]
		if i == 0 {
			part = strconv.Itoa(chunks) + part
		}
		fields = append(fields, j.set(j.session+suffixes[i], part, life))
	}
	return append(fields, j.expire(h, max(chunks, 1))...), true
}

// expire returns the fields Set-Cookie that end the cookies of a request's session, from one of them on.
func (j *jar) expire(h http.Header, from int) []string {
	var fields []string
	for i := from; i < maxChunks; i++ {
		if find(h["Cookie"], j.session, suffixes[i]) != "" {
			fields = append(fields, j.set(j.session+suffixes[i], "", 0))
		}
	}
	return fields
}

// set is a field Set-Cookie. A life of 0 ends the cookie.
func (j *jar) set(name, value string, life time.Duration) string {
	field := name + "=" + value + "; Path=/; Max-Age=" + strconv.FormatInt(int64(life/time.Second), 10) + "; HttpOnly; SameSite=Lax"
	if life <= 0 {
		field += "; Expires=Thu, 01 Jan 1970 00:00:00 GMT" // for clients that do not go by Max-Age
	}
	if j.secure {
		field += "; Secure"
	}
	return field
}

// strip takes the policy's cookies out of a request.
func (j *jar) strip(h http.Header) {
	lines := h["Cookie"]
	kept := 0
	for _, line := range lines {
		if line = j.stripLine(line); line != "" {
			lines[kept] = line
			kept++
		}
	}
	if kept == 0 {
		delete(h, "Cookie")
	} else if kept < len(lines) {
		h["Cookie"] = lines[:kept]
	}
}

// stripLine takes the policy's cookies out of a line. It makes a new one only where they stand between others.
func (j *jar) stripLine(line string) string {
	if !strings.Contains(line, j.session) {
		return line
	}
	for line != "" {
		pair, rest := cut(line)
		if pair != "" && !j.ours(pair) {
			break
		}
		line = rest
	}
	for line != "" {
		i := strings.LastIndexByte(line, ';')
		if pair := strings.TrimSpace(line[i+1:]); pair != "" && !j.ours(pair) {
			break
		}
		line = line[:max(i, 0)]
	}
	line = strings.TrimSpace(line)
	if !strings.Contains(line, j.session) {
		return line
	}
	var left []string
	for rest := line; rest != ""; {
		var pair string
		if pair, rest = cut(rest); pair != "" && !j.ours(pair) {
			left = append(left, pair)
		}
	}
	return strings.Join(left, "; ")
}

// ours says whether a pair is one of the policy's cookies.
func (j *jar) ours(pair string) bool {
	rest, ok := strings.CutPrefix(pair, j.session)
	if !ok {
		return false
	}
	return rest == "" || rest[0] == '=' || rest[0] == '.' || strings.HasPrefix(rest, "-login-")
}
