//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cardea.dev/cardea/bench/run/process"
)

var haproxy = peer{
	name: "haproxy", program: "haproxy", missing: "install Debian's package haproxy (make bench-deps)",
	version: []string{"-v"}, prepare: prepareHAProxy,
}

// prepareHAProxy configures HAProxy as one would for this job: connections to the service are kept and shared, and upstreams get
// the usual forwarding fields.
func prepareHAProxy(s *setup) (process.Program, error) {
	bind := s.listen + " backlog 4096"
	if s.cert != "" {
		bind += " ssl crt " + s.cert + " ssl-min-ver TLSv1.3"
	}
	log, scheme := "", "http"
	if s.cert != "" {
		scheme = "https"
	}
	all := ""
	if s.all {
		log = "log stdout format raw local0"
		all = `
	log global
	option httplog
	http-request set-header X-Tenant bench
	http-request del-header Accept-Language
	http-response del-header Cache-Control
	http-response set-header X-Frame-Options DENY
	http-response set-header X-Content-Type-Options nosniff`
	}
	check := ""
	if s.checks == "jwt" {
		check = fmt.Sprintf(`
	http-request set-var(txn.bearer) http_auth_bearer
	http-request deny deny_status 401 unless { var(txn.bearer),jwt_header_query('$.alg') -m str ES256 }
	http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(ES256,"%s") -m int 1 }
	http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('$.iss') -m str %s }
	http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('$.aud') -m str %s }`, s.credentials.public, tokenIssuer, tokenAudience)
	}
	text := strings.NewReplacer("$THREADS", fmt.Sprint(s.cores), "$LOG", log, "$BIND", bind, "$SCHEME", scheme, "$ALL", all,
		"$ORIGIN", s.origin, "$CHECK", check+haproxyLimit(s)).Replace(`
global
	nbthread $THREADS
	maxconn 8192
	$LOG
defaults
	mode http
	timeout connect 5s
	timeout client 300s
	timeout server 300s
	timeout http-keep-alive 300s
	option http-keep-alive
	http-reuse always
frontend in
	bind $BIND
	default_backend origin$ALL$CHECK
	option forwardfor
	http-request set-header X-Forwarded-Host %[req.hdr(host)]
	http-request set-header X-Forwarded-Proto $SCHEME
backend origin
	server origin $ORIGIN
`)
	path, err := s.write("haproxy.cfg", text)
	if err != nil {
		return process.Program{}, err
	}
	out, err := os.Create(filepath.Join(s.dir, "access.log"))
	return process.Program{Command: []string{s.program, "-db", "-f", path}, Stdout: out}, err
}
