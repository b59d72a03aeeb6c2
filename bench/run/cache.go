//go:build linux

package main

import (
	"fmt"
	"net"

	"cardea.dev/cardea/bench/run/process"
)

var varnish = peer{
	name: "varnish", program: "varnishd", missing: "install Debian's package varnish (make bench-deps)",
	version: []string{"-V"}, prepare: prepareVarnish,
}

// cached are the contenders that answer from memory, or from the files of a cache that the kernel has in memory.
var cached = []contender{
	{peer: "nginx", label: "nginx+cache", cache: true},
	{peer: "varnish", label: "varnish+cache", cache: true},
	{peer: "cardea", label: "cardea+cache", cache: true},
	{peer: "cardea"},
}

// nginxCache is what keeps answers, at the level of http, and what uses them, in the location.
func nginxCache(s *setup) (zone, use string) {
	if !s.cache {
		return "", ""
	}
	return "\n\tproxy_cache_path " + s.dir + "/cache levels=1:2 keys_zone=all:10m;\n\topen_file_cache max=1000;", "\n\t\t\tproxy_cache all;"
}

func cardeaCache(s *setup) string {
	if !s.cache {
		return ""
	}
	return "cache: {}\n"
}

// prepareVarnish configures Varnish as a cache in memory that sends upstreams the usual forwarding fields.
func prepareVarnish(s *setup) (process.Program, error) {
	host, port, err := net.SplitHostPort(s.origin)
	if err != nil {
		return process.Program{}, err
	}
	text := fmt.Sprintf(`vcl 4.1;
backend origin { .host = "%s"; .port = "%s"; }
sub vcl_recv {
	set req.http.X-Forwarded-Host = req.http.Host;
	set req.http.X-Forwarded-Proto = "http";
}
`, host, port)
	path, err := s.write("default.vcl", text)
	return process.Program{Command: []string{
		s.program, "-F", "-j", "none", "-a", s.listen, "-f", path, "-n", s.dir + "/work", "-s", "malloc,256m", "-T", "none",
		"-p", "thread_pools=1", "-p", "timeout_idle=300",
	}}, err
}
