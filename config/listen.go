package config

import "time"

// Listener is a place where the gateway accepts connections. The short form is its address.
//
// A reload keeps the sockets of addresses that stay, and the connections on them: certificates, limits and rules of forwarding
// change under them. The gateway opens new addresses before it closes any, and lets connections to those that are gone end. When
// one address cannot be opened, nothing changes.
type Listener struct {
	// Address is where connections are accepted: ":8080" (all addresses of the machine), "127.0.0.1:8080", "[::1]:8080",
	// "localhost:8080", "unix:/run/cardea.sock" (a Unix socket), "unix:@cardea" (one without a file, Linux only),
	// "systemd:NAME" (a socket that systemd opened, by its FileDescriptorName=, or by the name of its socket unit), or "fd:3"
	// (a listening socket that was handed to the process with that number). Port 0 takes any free port.
	Address string `yaml:"address,short,required"`

	// Name is how logs and metrics call the listener. By default it is its address.
	Name string `yaml:"name"`

	// TLS makes it a listener for HTTPS, with these certificates; `tls: acme` has them issued. By default connections are plain.
	TLS *ListenerTLS `yaml:"tls"`

	// Protocols are the versions of HTTP that are spoken: "http1", "http2" (over TLS, chosen by ALPN) and "h2c" (HTTP/2 without
	// TLS, with prior knowledge; the upgrade from HTTP/1.1 is not offered). By default [http1, http2] with TLS and [http1, h2c]
	// without.
	Protocols []string `yaml:"protocols" enum:"http1,http2,h2c"`

	// ProxyProtocol takes the client's address from the PROXY protocol, version 1 or 2, which load balancers speak that do not
	// look into connections. Off by default.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`

	// TrustedProxies are the peers whose forwarding fields (X-Forwarded-*, or Forwarded) are believed: addresses, ranges, and the
	// words "loopback", "private" (loopback, link-local and private ranges) and "unix" (whoever can open this Unix socket). From
	// all others these fields are removed. With the PROXY protocol it is the address it gives that counts. By default none.
	TrustedProxies []Peer `yaml:"trusted_proxies"`

	// Forwarded says which forwarding fields upstreams get.
	Forwarded Forwarded `yaml:"forwarded"`

	// Paths says how the paths of requests are brought into one form before they are matched and passed on.
	Paths Paths `yaml:"paths"`

	// Limits bound sizes, numbers and times, so that no client can hold more than its share.
	Limits ListenerLimits `yaml:"limits"`

	// RedirectHTTPS answers requests that came by http with a redirect (308) to the same place by https: `true`, or the port where
	// https is served. It is for listeners without TLS. A trusted proxy's word that a request came by https counts. By default off.
	RedirectHTTPS RedirectPort `yaml:"redirect_https"`

	// Mode is the permissions of a Unix socket's file, in octal. By default "0660": its owner and group may connect.
	Mode string `yaml:"mode"`

	// ReusePort lets several processes accept connections on the same address (SO_REUSEPORT); the kernel spreads connections over
	// them. By default off, so that starting a second gateway by mistake is an error.
	ReusePort bool `yaml:"reuse_port"`

	// Self is the listener as it was written.
	Self Node `yaml:",self"`
}

// ListenerTLS is how a listener speaks TLS. The short form is a file with certificates and key, or the word "acme".
//
// Which certificate a connection gets is decided by the name that the client asks for (SNI): an exact name, then a wildcard, then
// the first certificate of all. Where several serve the same name, as one with ECDSA and one with RSA, the first that the client
// can use is taken. ALPN offers what `protocols` says.
//
// The files are watched, and a certificate that changed is used for new connections at once. One that cannot be used is logged and
// counted, and the last good one goes on serving.
type ListenerTLS struct {
	Certificate `yaml:",inline"`

	// Certificates are several certificates; the first one is the default. Use this or `cert` and `key`.
	Certificates []Certificate `yaml:"certificates"`

	// ACME has certificates issued by an authority such as Let's Encrypt. They serve the names that no certificate in a file does.
	ACME *ACME `yaml:"acme"`

	// MinVersion is the lowest version of TLS: "1.2" or "1.3". By default it is what the policy says.
	MinVersion string `yaml:"min_version" enum:"1.2,1.3"`

	// Policy is the set of ciphers and versions, after Mozilla's recommendations: "intermediate" (TLS 1.2 with forward secrecy and
	// authenticated encryption, and TLS 1.3) or "modern" (TLS 1.3 alone). By default "intermediate".
	Policy string `yaml:"policy" enum:"modern,intermediate"`

	// StrictSNI refuses connections that ask for no name, or for a name that no certificate has, instead of giving them the first
	// certificate. By default off.
	StrictSNI bool `yaml:"strict_sni"`

	// ClientCertificate says whether clients are asked for a certificate of theirs: "off", "optional" (one that has none is served
	// too) or "required" (one that has none cannot connect). The client proves that it has the key, and that is all: who signed the
	// certificate, and for whom, is not looked at here. By default off.
	ClientCertificate string `yaml:"client_certificate" enum:"off,optional,required"`

	// Off is true when `tls: off` was written.
	Off bool `yaml:",off"`
}

// Certificate is a certificate with its key, in PEM files. The short form is one file that holds both. Relative names start at the
// folder of the configuration.
type Certificate struct {
	// Cert is the file with the certificate, followed by the intermediate ones.
	Cert string `yaml:"cert,short"`

	// Key is the file with the private key. By default it is in the same file as the certificate.
	Key string `yaml:"key"`
}

// ProxyProtocol says whether connections begin with a PROXY header. The short form is the mode. The header is only believed from
// trusted peers.
type ProxyProtocol struct {
	// Mode is "required" (connections of trusted peers without a header are closed, and those of all other peers too) or
	// "optional" (trusted peers may send one; others cannot). By default off.
	Mode string `yaml:"mode,short" enum:"required,optional"`

	// Trusted are the peers that send it, as in `trusted_proxies`. By default they are the `trusted_proxies`, and on Unix sockets
	// whoever can connect.
	Trusted []Peer `yaml:"trusted"`

	// Off is true when `proxy_protocol: off` was written.
	Off bool `yaml:",off"`
}

// Forwarded says which forwarding fields are believed and which are written for upstreams. The short form is the mode. Whatever
// is said here, forwarding fields of peers that are not trusted never reach an upstream.
type Forwarded struct {
	// Mode is what upstreams get: "append" (the client, as the gateway sees it, and the proxies between, ending with the peer),
	// "set" (the client alone) or "off" (nothing is written; fields of trusted proxies pass as they came). What stands before the
	// client in a chain, which anybody could have written, is dropped. By default "append".
	Mode string `yaml:"mode,short" enum:"append,set,off"`

	// Headers are the fields that are written. By default [x-forwarded-for, x-forwarded-host, x-forwarded-proto].
	Headers []string `yaml:"headers" enum:"x-forwarded-for,x-forwarded-host,x-forwarded-proto,x-forwarded-port,forwarded,x-real-ip"`

	// From says which fields of trusted proxies tell the client, scheme and host: "x-forwarded" (X-Forwarded-For, -Proto, -Host) or
	// "forwarded" (RFC 7239). The other ones are not believed, for a proxy that does not write a field passes on what its
	// client wrote. By default "x-forwarded".
	From string `yaml:"from" enum:"x-forwarded,forwarded"`

	// Host says that the host which a trusted proxy forwards is the one that routes match. Say it only where every trusted proxy
	// overwrites what its clients send. By default off: routes match the Host of the request itself.
	Host bool `yaml:"host"`
}

// Paths says how the paths of requests are brought into one form, so that no upstream sees another path than the one whose route
// and policies were chosen. Dot segments are always resolved.
type Paths struct {
	// MergeSlashes makes one slash of several. By default on.
	MergeSlashes bool `yaml:"merge_slashes"`

	// EncodedSlash is what is done with "%2F": "keep" (it is data), "decode" (it is a slash) or "reject". By default "keep".
	EncodedSlash string `yaml:"encoded_slash" enum:"keep,decode,reject"`

	// EncodedBackslash is what is done with "%5C", which some servers take for a slash: "reject" or "keep". By default "reject".
	EncodedBackslash string `yaml:"encoded_backslash" enum:"reject,keep"`

	// Semicolon is what is done with ";", after which some servers ignore the text of a segment: "keep" or "reject". By default "keep".
	Semicolon string `yaml:"semicolon" enum:"keep,reject"`
}

// ListenerLimits bound what clients of a listener may take.
type ListenerLimits struct {
	// Header is how large the head of a request may be: request line and fields. Larger ones are answered with 431. By default
	// 64KiB. 0 is 1MiB.
	Header Size `yaml:"header" max:"16MiB"`

	// URI is how long the target of a request may be. Longer ones are answered with 414. By default 16KiB. 0 leaves it to `header`.
	URI Size `yaml:"uri" max:"16MiB"`

	// Connections is how many connections may be open at once. One more is closed as soon as it is accepted, so that its load
	// balancer goes elsewhere, and is counted. By default 65536. 0 is as many as the process may have files.
	Connections int `yaml:"connections" min:"0"`

	// ConnectionsPerAddress is how many connections one client address may have open at once. IPv6 addresses count by their /64. After a PROXY
	// header it is the address that this gives. One more is closed as soon as its address is known, before TLS, and is counted. By default 0,
	// which is as many as there may be in all.
	ConnectionsPerAddress int `yaml:"connections_per_address" min:"0"`

	// ConnectionRate is how many new connections may come, of all addresses together, as in "2000/s burst 4000". What is more is closed. The burst
	// is how many may come at once; by default as many as the rate's number. By default there is no such limit.
	ConnectionRate Rate `yaml:"connection_rate"`

	// ConnectionRatePerAddress is how many new connections may come of one client address, as in "50/s burst 200". By default there is no
	// such limit. Of addresses without an open connection, 65,536 at most are remembered; beyond that, those that used least of it are forgotten.
	ConnectionRatePerAddress Rate `yaml:"connection_rate_per_address"`

	// Except are peers whose connections do not count by address, such as one's own load balancers: addresses, ranges, and the words that
	// `trusted_proxies` takes. Those who are in `trusted_proxies` do not count either.
	Except []Peer `yaml:"except"`

	// Requests is how many requests one connection may bring. The answer to the last says that the connection ends. By default 0, which is as
	// many as it likes.
	Requests int `yaml:"requests" min:"0"`

	// Handshakes is how many TLS handshakes may be under way at once. One more is closed. By default 0, which is as many as there are
	// connections.
	Handshakes int `yaml:"handshakes" min:"0"`

	// Resets is how many requests of one HTTP/2 connection may be cancelled by its client before they are answered. A connection with more is
	// closed. By default 200/s. To allow any number, write one such as 1000000/s.
	Resets Rate `yaml:"resets"`

	// Streams is how many requests may run at once on one HTTP/2 connection. By default 128. 0 is the default too.
	Streams int `yaml:"streams" min:"0" max:"100000"`

	// HeaderTimeout is how long the head of a request may take to arrive, and how long a TLS handshake or a PROXY header may. By
	// default 10s. 0 is without end.
	HeaderTimeout Duration `yaml:"header_timeout"`

	// IdleTimeout is how long a connection may wait for its next request. By default 75s. 0 is without end.
	IdleTimeout Duration `yaml:"idle_timeout"`

	// BodyIdle is how long no byte of a request's body may come while the gateway waits for one. By default 60s. 0 is without end.
	BodyIdle Duration `yaml:"body_idle"`

	// BodyRate is the least pace at which a request's body must come, as in "1KiB/s" or "1KiB/s over 20s", by default over 10s. Only the time counts
	// in which the gateway waits for the client. A slower one gets 408. By default off: a client may send now and then, as long as `body_idle`
	// lets it.
	BodyRate Pace `yaml:"body_rate"`

	// WriteRate is the least pace at which a client must take an answer. Only the time counts in which the gateway waits for the client. The
	// answer to a slower one is cut. By default off: a client may take as little as `write_idle` lets it.
	WriteRate Pace `yaml:"write_rate"`

	// WriteIdle is how long a client may take no byte of what is written to it. By default 60s. 0 is without end.
	WriteIdle Duration `yaml:"write_idle"`
}

// Default sets all defaults, those of the parts too.
func (l *Listener) Default() {
	l.Forwarded.Default()
	l.Paths.Default()
	l.Limits.Default()
}

// Default sets "append", the three usual fields, and "x-forwarded".
func (f *Forwarded) Default() {
	*f = Forwarded{Mode: "append", Headers: []string{"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}, From: "x-forwarded"}
}

// Default merges slashes, keeps %2F and semicolons, and rejects %5C.
func (p *Paths) Default() {
	*p = Paths{MergeSlashes: true, EncodedSlash: "keep", EncodedBackslash: "reject", Semicolon: "keep"}
}

// Default sets the limits.
func (l *ListenerLimits) Default() {
	*l = ListenerLimits{
		Header: 64 << 10, URI: 16 << 10, Connections: 1 << 16, Streams: 128, Resets: Rate{Count: 200, Per: time.Second},
		HeaderTimeout: Duration(10 * time.Second), IdleTimeout: Duration(75 * time.Second),
		BodyIdle: Duration(60 * time.Second), WriteIdle: Duration(60 * time.Second),
	}
}

// Default sets the policy.
func (t *ListenerTLS) Default() { t.Policy = "intermediate" }

// All lists the certificates, however they were written.
func (t *ListenerTLS) All() []Certificate {
	if t.Cert != "" {
		return []Certificate{t.Certificate}
	}
	return t.Certificates
}

// Secure says whether the listener speaks TLS.
func (l *Listener) Secure() bool { return l.TLS != nil && !l.TLS.Off }

// Called is the listener's name in logs and metrics.
func (l *Listener) Called() string {
	if l.Name != "" {
		return l.Name
	}
	return l.Address
}

// Speaks lists the protocols, with the defaults where none were written.
func (l *Listener) Speaks() []string {
	switch {
	case len(l.Protocols) > 0:
		return l.Protocols
	case l.Secure():
		return []string{"http1", "http2"}
	}
	return []string{"http1", "h2c"}
}

// SendsProxyHeader says whether connections may begin with a PROXY header.
func (l *Listener) SendsProxyHeader() bool { return !l.ProxyProtocol.Off && l.ProxyProtocol.Mode != "" }

// ProxyHeaderFrom lists the peers whose PROXY header is believed.
func (l *Listener) ProxyHeaderFrom() []Peer {
	if len(l.ProxyProtocol.Trusted) > 0 {
		return l.ProxyProtocol.Trusted
	}
	return l.TrustedProxies
}
