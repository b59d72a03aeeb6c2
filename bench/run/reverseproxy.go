//go:build linux

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"

	"cardea.dev/cardea/bench/run/process"
)

var reverseProxy = peer{name: "reverseproxy", prepare: prepareReverseProxy}

// prepareReverseProxy starts this program with the subcommand that is the Go standard library's reverse proxy.
func prepareReverseProxy(s *setup) (process.Program, error) {
	return process.Program{
		Command: []string{s.program, "reverseproxy", s.listen, s.origin, s.cert},
		Env:     []string{fmt.Sprintf("GOMAXPROCS=%d", s.cores)},
	}, nil
}

// serveReverseProxy is what most gateways in Go are made of: net/http and httputil.ReverseProxy, with a transport that keeps
// its connections, buffers that are used again, and the usual forwarding fields. A certificate makes it speak TLS.
func serveReverseProxy(listen, origin, cert string) error {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 4096, IdleConnTimeout: 5 * time.Minute, DisableCompression: true,
	}
	target := &url.URL{Scheme: "http", Host: origin}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport:  transport,
		BufferPool: &buffers{},
		ErrorLog:   log.New(os.Stderr, "", 0),
	}
	server := &http.Server{
		Addr: listen, Handler: proxy, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute,
		ErrorLog: log.New(io.Discard, "", 0), // connections that clients drop
	}
	if cert == "" {
		return server.ListenAndServe()
	}
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13}
	return server.ListenAndServeTLS(cert, cert)
}

// buffers lends what bodies are copied with.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
