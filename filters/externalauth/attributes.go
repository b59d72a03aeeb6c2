package externalauth

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"cardea.dev/cardea/filter"
)

// encodeCheckRequest appends an envoy.service.auth.v3.CheckRequest. The numbers are those of external_auth.proto and
// attribute_context.proto.
func encodeCheckRequest(b []byte, ex *filter.Exchange, headers http.Header, extensions map[string]string, body []byte) []byte {
	return message(b, 1, func(b []byte) []byte { // attributes
		b = message(b, 1, func(b []byte) []byte { return appendSource(b, ex) })
		if local, ok := ex.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			b = message(b, 2, func(b []byte) []byte { return appendLocal(b, local) })
		}
		b = message(b, 4, func(b []byte) []byte {
			b = message(b, 1, func(b []byte) []byte { return appendTime(b, ex.Start) })
			return message(b, 2, func(b []byte) []byte { return appendRequest(b, ex, headers, body) })
		})
		for name, value := range extensions {
			b = appendEntry(b, 10, name, value)
		}
		if tls := ex.Request.TLS; tls != nil && tls.ServerName != "" {
			b = message(b, 12, func(b []byte) []byte { return text(b, 1, tls.ServerName) })
		}
		return b
	})
}

// message appends a field that is a message.
func message(b []byte, number protowire.Number, fields func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, fields(nil))
}

// text appends a field that is a string. What is no UTF-8 in it becomes "!", as at Envoy: the receiver would refuse the whole message.
func text(b []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendString(b, strings.ToValidUTF8(s, "!"))
}

// number appends a field that is an integer.
func number(b []byte, at protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, at, protowire.VarintType), n)
}

// appendEntry appends an entry of a map.
func appendEntry(b []byte, at protowire.Number, name, value string) []byte {
	return message(b, at, func(b []byte) []byte { return text(text(b, 1, name), 2, value) })
}

// appendAddress appends an envoy.config.core.v3.Address.
func appendAddress(b []byte, address string, port uint16) []byte {
	return message(b, 1, func(b []byte) []byte {
		return message(b, 1, func(b []byte) []byte { // socket_address
			return number(text(b, 2, address), 3, uint64(port))
		})
	})
}

// appendLocal appends where the request came in.
func appendLocal(b []byte, local net.Addr) []byte {
	if at, err := netip.ParseAddrPort(local.String()); err == nil {
		return appendAddress(b, at.Addr().Unmap().String(), at.Port())
	}
	return b
}

// appendSource appends who asks: address, and the names of a certificate.
func appendSource(b []byte, ex *filter.Exchange) []byte {
	if ex.Client.IsValid() {
		port := uint16(0)
		if peer, err := netip.ParseAddrPort(ex.Request.RemoteAddr); err == nil && peer.Addr().Unmap() == ex.Client.Unmap() {
			port = peer.Port()
		}
		b = appendAddress(b, ex.Client.String(), port)
	}
	tls := ex.Request.TLS
	if tls == nil || len(tls.PeerCertificates) == 0 {
		return b
	}
	leaf := tls.PeerCertificates[0]
	b = text(b, 4, principal(leaf))
	return text(b, 5, url.QueryEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}))))
}

// principal is what Envoy calls the peer by: the first URI of its certificate, else the first DNS name, else the subject.
func principal(c *x509.Certificate) string {
	switch {
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	}
	return c.Subject.String()
}

func appendTime(b []byte, t time.Time) []byte {
	return number(number(b, 1, uint64(t.Unix())), 2, uint64(t.Nanosecond()))
}

// appendRequest appends the attributes of the request. As at Envoy, path has the query, and headers have the pseudo-headers of HTTP/2.
func appendRequest(b []byte, ex *filter.Exchange, headers http.Header, body []byte) []byte {
	o := &ex.Original
	path := o.Path
	if o.Query != "" {
		path += "?" + o.Query
	}
	b = text(b, 1, ex.ID)
	b = text(b, 2, o.Method)
	b = appendEntry(b, 3, ":method", o.Method)
	b = appendEntry(b, 3, ":path", path)
	b = appendEntry(b, 3, ":authority", ex.Request.Host)
	b = appendEntry(b, 3, ":scheme", o.Scheme)
	for name, values := range headers {
		separator := ","
		if name == "Cookie" {
			separator = "; "
		}
		b = appendEntry(b, 3, strings.ToLower(name), strings.Join(values, separator))
	}
	b = text(b, 4, path)
	b = text(b, 5, ex.Request.Host)
	b = text(b, 6, o.Scheme)
	b = number(b, 9, uint64(ex.Request.ContentLength)) // -1: unknown
	protocol := o.Proto
	if major, ok := strings.CutSuffix(protocol, ".0"); ok && major != "HTTP/1" {
		protocol = major
	}
	b = text(b, 10, protocol)
	if utf8.Valid(body) {
		return text(b, 11, string(body))
	}
	return protowire.AppendBytes(protowire.AppendTag(b, 12, protowire.BytesType), body)
}
