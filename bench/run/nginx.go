//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"

	"cardea.dev/cardea/bench/run/process"
)

var nginx = peer{
	name: "nginx", program: "nginx", missing: "install Debian's package nginx (make bench-deps)",
	version: []string{"-v"}, workers: true, prepare: prepareNginx,
}

// prepareNginx configures nginx as one would for this job: connections to the service are kept, nothing goes to disk, and upstreams
// get the usual forwarding fields.
func prepareNginx(s *setup) (process.Program, error) {
	listen, user, all := s.listen, "", ""
	if s.cert != "" {
		listen += " ssl"
	}
	if os.Getuid() == 0 {
		user = "user root;" // otherwise workers could not write into our folder
	}
	known, check := "", ""
	if s.checks == "key" {
		known = fmt.Sprintf("map $http_x_api_key $consumer {\n\t\tdefault \"\";\n\t\t%s bench;\n\t}", s.credentials.key)
		check = "\n\t\t\tif ($consumer = \"\") { return 401; }\n\t\t\tproxy_set_header X-API-Key \"\";"
	}
	log := "access_log off;"
	if s.all {
		log = "access_log " + s.dir + "/access.log combined buffer=64k flush=1s;"
		all = `
			proxy_set_header X-Tenant bench;
			proxy_set_header Accept-Language "";
			proxy_hide_header Cache-Control;
			add_header X-Frame-Options DENY always;
			add_header X-Content-Type-Options nosniff always;`
	}
	zone, use := nginxCache(s)
	text := strings.NewReplacer("$USER", user, "$WORKERS", fmt.Sprint(s.cores), "$DIR", s.dir, "$LOG", log, "$LISTEN", listen,
		"$TLS", nginxTLS(s), "$CONNECTIONS", fmt.Sprint(max(4096, 2*s.connections)), "$ORIGIN", s.origin, "$ALL", all, "$KNOWN", known+nginxZone(s)+zone, "$CHECK", check+nginxLimit(s)+use).Replace(`
$USER
worker_processes $WORKERS;
daemon off;
pid $DIR/nginx.pid;
error_log $DIR/errors.log error;
events {
	worker_connections $CONNECTIONS;
}
http {
	$LOG
	$KNOWN
	sendfile on;
	tcp_nopush on;
	tcp_nodelay on;
	keepalive_timeout 300s;
	keepalive_requests 1000000000;
	client_max_body_size 0;
	client_body_buffer_size 128k;
	client_body_temp_path $DIR/body;
	proxy_temp_path $DIR/proxy;
	fastcgi_temp_path $DIR/fastcgi;
	uwsgi_temp_path $DIR/uwsgi;
	scgi_temp_path $DIR/scgi;
	upstream origin {
		server $ORIGIN;
		keepalive 256;
		keepalive_requests 1000000000;
		keepalive_timeout 300s;
	}
	server {
		listen $LISTEN backlog=4096;
		$TLS
		location / {
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_buffer_size 16k;
			proxy_buffers 16 32k;
			proxy_busy_buffers_size 64k;
			proxy_max_temp_file_size 0;
			proxy_set_header Host $http_host;
			proxy_set_header Connection "";
			proxy_set_header X-Forwarded-For $remote_addr;
			proxy_set_header X-Forwarded-Host $http_host;
			proxy_set_header X-Forwarded-Proto $scheme;$ALL$CHECK
		}
	}
}
`)
	path, err := s.write("nginx.conf", text)
	return process.Program{Command: []string{s.program, "-p", s.dir, "-e", s.dir + "/errors.log", "-c", path}}, err
}

func nginxTLS(s *setup) string {
	if s.cert == "" {
		return ""
	}
	return fmt.Sprintf("ssl_certificate %[1]s; ssl_certificate_key %[1]s; ssl_protocols TLSv1.3; ssl_session_cache shared:tls:10m;", s.cert)
}
