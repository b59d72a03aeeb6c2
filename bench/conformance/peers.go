//go:build linux

package main

import (
	"os"

	"cardea.dev/cardea/bench/run/process"
)

// All caches are configured as one would who wants what the RFCs say: keys have the host, what is stale is asked for with conditions, requests
// for the same are joined where the cache can do that, and an origin that fails once is not left out.

// cardeaText is the configuration of Cardea, without where it listens.
const cardeaText = `
upstreams:
  origin: {endpoints: [http://$ORIGIN], retry: off, eject: off}
cache: {}
routes:
  - {match: /**, to: origin}
`

func prepareCardea(s *setup) (process.Program, error) {
	path, err := s.write("cardea.yaml", s.fill("listen: $LISTEN\nadmin: off\nlog: off\n"+cardeaText))
	return process.Program{Command: []string{s.program, "run", path}}, err
}

func prepareNginx(s *setup) (process.Program, error) {
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // otherwise workers could not write into our folder
	}
	path, err := s.write("nginx.conf", user+s.fill(`
worker_processes 1;
daemon off;
pid $DIR/nginx.pid;
error_log $DIR/errors.log error;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path $DIR/body;
	proxy_temp_path $DIR/proxy;
	fastcgi_temp_path $DIR/fastcgi;
	uwsgi_temp_path $DIR/uwsgi;
	scgi_temp_path $DIR/scgi;
	proxy_cache_path $DIR/cache levels=1:2 keys_zone=all:10m;
	upstream origin {
		server $ORIGIN max_fails=0;
		keepalive 64;
	}
	server {
		listen $LISTEN backlog=4096;
		merge_slashes off;
		location / {
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_next_upstream off;
			proxy_set_header Host $http_host;
			proxy_set_header Connection "";
			proxy_cache all;
			proxy_cache_key $scheme$http_host$request_uri;
			proxy_cache_revalidate on;
			proxy_cache_background_update on;
			proxy_cache_lock on;
		}
	}
}
`))
	return process.Program{Command: []string{s.program, "-p", s.dir, "-e", s.dir + "/errors.log", "-c", path}}, err
}

// prepareVarnish keeps stale answers for conditions, and serves none that is stale unless the answer allows it.
func prepareVarnish(s *setup) (process.Program, error) {
	path, err := s.write("default.vcl", s.fill(`
vcl 4.1;
backend origin { .host = "$ORIGIN_HOST"; .port = "$ORIGIN_PORT"; }
`))
	return process.Program{Command: []string{
		s.program, "-F", "-j", "none", "-a", s.listen, "-f", path, "-n", s.dir + "/work", "-s", "malloc,64m", "-T", "none",
		"-p", "default_grace=0", "-p", "default_keep=60", "-p", "default_ttl=0", "-p", "thread_pool_min=50",
	}}, err
}

func prepareSquid(s *setup) (process.Program, error) {
	path, err := s.write("squid.conf", s.fill(`
http_port $LISTEN accel vhost
cache_peer $ORIGIN_HOST parent $ORIGIN_PORT 0 no-query no-digest originserver name=origin connect-fail-limit=1000000
acl all_methods method OTHER
http_access allow all
cache_peer_access origin allow all
never_direct allow all
collapsed_forwarding on
cache_mem 64 MB
maximum_object_size_in_memory 4 MB
memory_cache_shared off
pid_filename none
access_log none
cache_store_log none
cache_log $DIR/cache.log
coredump_dir $DIR
visible_hostname cache
pinger_enable off
icp_port 0
shutdown_lifetime 0 seconds
refresh_pattern . 0 20% 4320
`))
	if err != nil {
		return process.Program{}, err
	}
	return process.Program{Command: []string{s.program, "-N", "-f", path, "-n", "conformance"}}, os.Chmod(s.dir, 0o777) // it gives up its rights
}

func prepareTrafficServer(s *setup) (process.Program, error) {
	for name, text := range map[string]string{
		"runroot.yaml": `
prefix: $DIR
exec_prefix: $DIR
bindir: $DIR
sbindir: $DIR
sysconfdir: $DIR/etc
datadir: $DIR/data
includedir: $DIR
libdir: $DIR
libexecdir: $DIR
localstatedir: $DIR/data
runtimedir: $DIR/data
logdir: $DIR/data
cachedir: $DIR/data
`,
		"etc/records.config": `
CONFIG proxy.config.http.server_ports STRING $PORT:ip-in=127.0.0.1
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.url_remap.pristine_host_hdr INT 1
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.reverse_proxy.enabled INT 1
CONFIG proxy.config.http.cache.http INT 1
CONFIG proxy.config.http.down_server.cache_time INT 0
CONFIG proxy.config.http.connect_attempts_max_retries INT 0
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 2
CONFIG proxy.config.cache.ram_cache.size INT 64M
CONFIG proxy.config.diags.debug.enabled INT 0
`,
		"etc/remap.config":   "map / http://$ORIGIN/\n",
		"etc/storage.config": "$DIR/data 256M\n",
		"etc/ip_allow.yaml":  "ip_allow:\n  - {apply: in, ip_addrs: 127.0.0.1, action: allow, methods: ALL}\n",
	} {
		if _, err := s.write(name, s.fill(text)); err != nil {
			return process.Program{}, err
		}
	}
	if err := os.MkdirAll(s.dir+"/data", 0o755); err != nil {
		return process.Program{}, err
	}
	return process.Program{Command: []string{s.program, "--run-root=" + s.dir}}, nil
}
