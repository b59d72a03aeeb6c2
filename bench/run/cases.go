//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
)

// benchCase is one job that gateways are measured at.
type benchCase struct {
	name  string
	about string

	segment   string // of the path, which decides the answer: see package origin
	upload    int    // bytes that are sent
	reconnect bool   // whether each request has a connection of its own
	tls       bool
	shown     bool // whether requests show credentials
	users     int  // how many users requests name in turn; 0: none
	cores     int  // of each gateway; 0 is what the flag says

	rate float64 // requests per second, where full load is not what is asked about; 0: full load, and half of that

	special func(ctx context.Context, b *bench, c *benchCase, r *Report) error // measures it and reports; nil: requests are counted

	contenders []contender
}

// contender is a peer in one of its ways to do a case.
type contender struct {
	peer        string
	label       string // by default the peer
	routes      int
	connections int // 0 is what the flag says
	all         bool
	checks      string // which credentials it checks: "key" or "jwt"; "": none
	cache       bool   // whether it keeps answers
	pages       bool   // whether it makes pages of several calls
	limits      string // what it limits by user, so high that nobody gets there: "rate", "rate, fields" (which tell of it) or "concurrency"; "": nothing
}

// called is its label.
func (c contender) called() string {
	if c.label != "" {
		return c.label
	}
	return c.peer
}

// every lists each peer, plainly configured.
var every = []contender{{peer: "nginx"}, {peer: "haproxy"}, {peer: "reverseproxy"}, {peer: "cardea"}}

// paged make pages of several calls.
var paged = []contender{{peer: "byhand"}, {peer: "cardea", pages: true}}

// cases are all that can be measured, in the order in which they run.
var cases = []benchCase{
	{name: "get-1k", about: "GET, answer of 1 KiB, connections kept", segment: "1k", contenders: every},
	{name: "get-16k", about: "GET, answer of 16 KiB, connections kept", segment: "16k", contenders: every},
	{name: "get-1m", about: "GET, answer of 1 MiB, connections kept", segment: "1m", contenders: every},
	{name: "post-64k", about: "POST of 64 KiB, short answer, connections kept", segment: "upload", upload: 64 << 10, contenders: every},
	{name: "connect", about: "GET, answer of 1 KiB, a new connection for each request", segment: "1k", reconnect: true, contenders: every},
	{name: "tls", about: "GET, answer of 1 KiB, TLS 1.3, connections kept", segment: "1k", tls: true, contenders: every},
	{name: "two-cores", about: "GET, answer of 1 KiB, connections kept, two cores for each gateway", segment: "1k", cores: 2, contenders: every},
	{
		name: "policies", about: "GET, answer of 1 KiB: access log to a file, five header changes, metrics, and for Cardea a condition on the route; against nginx without",
		segment: "1k", contenders: []contender{
			{peer: "nginx"},
			{peer: "nginx", label: "nginx+all", all: true},
			{peer: "haproxy", label: "haproxy+all", all: true},
			{peer: "cardea"},
			{peer: "cardea", label: "cardea+all", all: true},
		},
	},
	{
		name: "credentials", about: "GET, answer of 1 KiB, with an API key and a JWT (ES256) in each request, of which one or none is checked", shown: true,
		segment: "1k", contenders: []contender{
			{peer: "nginx"},
			{peer: "nginx", label: "nginx+key", checks: "key"},
			{peer: "haproxy", label: "haproxy+jwt", checks: "jwt"},
			{peer: "cardea"},
			{peer: "cardea", label: "cardea+key", checks: "key"},
			{peer: "cardea", label: "cardea+jwt", checks: "jwt"},
		},
	},
	{
		name: "limits", about: "GET, answer of 1 KiB, of 10,000 users in turn, each of whom may have more than they do", users: 10_000,
		segment: "1k", contenders: []contender{
			{peer: "nginx"},
			{peer: "nginx", label: "nginx+rate", limits: "rate"},
			{peer: "haproxy", label: "haproxy+rate", limits: "rate"},
			{peer: "cardea"},
			{peer: "cardea", label: "cardea+concurrency", limits: "concurrency"},
			{peer: "cardea", label: "cardea+rate", limits: "rate"},
			{peer: "cardea", label: "cardea+rate+fields", limits: "rate, fields"},
		},
	},
	{name: "cache-1k", about: "GET, answer of 1 KiB that may be kept, connections kept; against Cardea without a cache", segment: "kept-1k", contenders: cached},
	{name: "cache-16k", about: "GET, answer of 16 KiB that may be kept, connections kept; against Cardea without a cache", segment: "kept-16k", contenders: cached},
	{
		name: "page", about: "GET, one answer made of three calls, of 0.3, 4 and 1 KiB of JSON; against a program in Go that does it by hand", segment: "page",
		contenders: paged,
	},
	{name: "page-10", about: "GET, one answer made of ten calls, of 1 KiB of JSON each", segment: "page-10", contenders: paged},
	{
		name: "page-50", about: "GET on 16 connections, one answer made of fifty calls, of 1 KiB of JSON each", segment: "page-50",
		contenders: []contender{{peer: "byhand", connections: 16}, {peer: "cardea", connections: 16, pages: true}},
	},
	{
		name: "routes", about: "GET, answer of 1 KiB, requests spread over 10 or 100,000 routes", segment: "1k", contenders: []contender{
			{peer: "cardea", label: "cardea-10", routes: 10},
			{peer: "cardea", label: "cardea-100k", routes: 100_000},
		},
	},
	{
		name: "connections", about: "GET, answer of 1 KiB, 10,000 requests per second, which go round 10 or 10,000 connections", segment: "1k", rate: 10_000,
		contenders: []contender{
			{peer: "cardea", label: "cardea-10", connections: 10},
			{peer: "cardea", label: "cardea-10k", connections: 10_000},
			{peer: "nginx", label: "nginx-10", connections: 10},
			{peer: "nginx", label: "nginx-10k", connections: 10_000},
		},
	},
	{
		name: "idle", about: "connections that have made one request, and wait", segment: "1k", special: runIdle,
		contenders: []contender{{peer: "nginx"}, {peer: "reverseproxy"}, {peer: "cardea"}},
	},
	{
		name: "attack", about: "clients that mean harm, and what others notice", segment: "1k", special: runAttacks,
		contenders: []contender{{peer: "nginx"}, {peer: "cardea"}},
	},
}

// of picks from a list by names, in the order of the list; no names pick all.
func of[T any](all []T, names string, name func(T) string) ([]T, error) {
	if names == "" {
		return all, nil
	}
	wanted := map[string]bool{}
	for one := range strings.SplitSeq(names, ",") {
		wanted[strings.TrimSpace(one)] = true
	}
	var picked []T
	known := make([]string, len(all))
	for i, one := range all {
		known[i] = name(one)
		if wanted[known[i]] {
			picked = append(picked, one)
		}
		delete(wanted, known[i])
	}
	for unknown := range wanted {
		return nil, fmt.Errorf("cannot find %q: there are %s", unknown, strings.Join(known, ", "))
	}
	return picked, nil
}

// with is the case with only these peers.
func (c benchCase) with(peers []peer) benchCase {
	var left []contender
	for _, one := range c.contenders {
		for _, p := range peers {
			if p.name == one.peer {
				left = append(left, one)
			}
		}
	}
	c.contenders = left
	return c
}

// paths are what is requested of a contender, in turn: for many routes, a thousand of them spread over all.
func (c *benchCase) paths(routes int) []string {
	if routes == 0 {
		return []string{"/" + c.segment}
	}
	paths := make([]string, min(routes, 1000))
	for i := range paths {
		paths[i] = routePath(i*(routes/len(paths))) + "/" + c.segment
	}
	return paths
}
