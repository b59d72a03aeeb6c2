package listen

import (
	"net/http"
	"net/netip"
	"strings"
)

// tell writes the forwarding fields for the upstream.
func (f *Forwarding) tell(h http.Header, o *origin, values []string) {
	if len(values) < len(f.write) {
		values = make([]string, len(f.write)) // one piece of memory for all the fields' slices
	}
	if f.mode == clientOnly && len(o.before) > 0 {
		o.peer, o.text, o.before = o.client(), "", nil
	}
	for i, which := range f.write {
		value := o.value(which)
		if value == "" {
			continue
		}
		values[i] = value
		h[names[which]] = values[i : i+1 : i+1]
	}
}

// value is what is said in a field; "" when there is nothing to say.
func (o *origin) value(which field) string {
	switch which {
	case forwardedFor:
		return o.chain()
	case forwardedHost:
		return o.host
	case forwardedProto:
		return o.scheme
	case forwardedPort:
		return portOf(o.host, o.scheme)
	case forwarded:
		return o.elements()
	}
	if len(o.before) == 0 {
		return o.chain()
	}
	return o.client().String()
}

// chain lists the addresses from the client to the peer.
func (o *origin) chain() string {
	if len(o.before) == 0 && (o.text != "" || !o.peer.IsValid()) {
		return o.text
	}
	var few [96]byte
	b := few[:0]
	for i := len(o.before) - 1; i >= 0; i-- {
		b = o.before[i].AppendTo(b)
		if i > 0 || o.peer.IsValid() {
			b = append(b, ", "...)
		}
	}
	if o.peer.IsValid() {
		b = o.peer.AppendTo(b)
	}
	return string(b)
}

// elements writes a Forwarded field (RFC 7239): the first element tells how the client came.
func (o *origin) elements() string {
	var few [192]byte
	b := few[:0]
	if client := o.client(); client.IsValid() {
		b = append(appendNode(b, client), ';')
	}
	if o.host != "" {
		b = append(appendQuoted(append(b, "host="...), o.host), ';')
	}
	b = append(append(b, "proto="...), o.scheme...)
	for i := len(o.before) - 2; i >= 0; i-- {
		b = appendNode(append(b, ", "...), o.before[i])
	}
	if len(o.before) > 0 && o.peer.IsValid() {
		b = appendNode(append(b, ", "...), o.peer)
	}
	return string(b)
}

func appendNode(b []byte, a netip.Addr) []byte {
	b = append(b, "for="...)
	if a.Is4() {
		return a.AppendTo(b)
	}
	b = append(b, `"[`...)
	return append(a.AppendTo(b), `]"`...)
}

// appendQuoted writes a text as a token, or in quotes where it is none.
func appendQuoted(b []byte, s string) []byte {
	if !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_')
	}) {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// portOf is the port that the client asked for.
func portOf(host, scheme string) string {
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 && strings.IndexByte(host[colon:], ']') < 0 && colon+1 < len(host) {
		return host[colon+1:]
	}
	if scheme == "https" {
		return "443"
	}
	return "80"
}
