//go:build linux

package main

import (
	"fmt"
	"strings"

	"cardea.dev/cardea/bench/run/process"
)

var cardea = peer{
	name: "cardea", program: "bin/cardea", missing: "build it with make build, and start the benchmarks in the folder of the module",
	version: []string{"version"}, prepare: prepareCardea,
}

// prepareCardea configures Cardea with no more than the job needs, or with its policies on.
func prepareCardea(s *setup) (process.Program, error) {
	var b strings.Builder
	switch {
	case s.connections > 0:
		fmt.Fprintf(&b, "listen: {address: %s, limits: {idle_timeout: 300s}}\n", s.listen)
	case s.cert == "":
		fmt.Fprintf(&b, "listen: %s\n", s.listen)
	default:
		fmt.Fprintf(&b, "listen: {address: %s, tls: {cert: %s, min_version: \"1.3\"}}\n", s.listen, s.cert)
	}
	if s.admin == "" && s.all {
		var err error
		if s.admin, err = freeAddress(); err != nil { // metrics are there to be read
			return process.Program{}, err
		}
	}
	if s.admin == "" {
		b.WriteString("admin: off\n")
	} else {
		fmt.Fprintf(&b, "admin: %s\n", s.admin)
	}
	if s.all {
		fmt.Fprintf(&b, "log: %s/access.log\n%s", s.dir, cardeaPolicies)
	} else {
		b.WriteString("log: off\n")
	}
	b.WriteString(cardeaCredentials(s))
	b.WriteString(cardeaLimits(s))
	b.WriteString(cardeaCache(s))
	fmt.Fprintf(&b, "upstreams: {u: http://%s}\nroutes:\n", s.origin)
	b.WriteString(cardeaPages(s))
	switch {
	case s.all:
		b.WriteString("  - {match: {path: /**, when: 'request.method in [\"GET\", \"POST\"] && !request.path.startsWith(\"/private\")'}, to: u}\n")
	case s.routes == 0:
		b.WriteString("  - {match: /**, to: u}\n")
	}
	for i := range s.routes {
		fmt.Fprintf(&b, "  - {match: %s/**, to: u}\n", routePath(i))
	}
	path, err := s.write("cardea.yaml", b.String())
	return process.Program{
		Command: []string{s.program, "run", path},
		Env:     []string{fmt.Sprintf("GOMAXPROCS=%d", s.cores)},
	}, err
}

// cardeaCredentials says who may pass.
func cardeaCredentials(s *setup) string {
	switch s.checks {
	case "key":
		return fmt.Sprintf("consumers: {bench: {keys: [%s]}}\napi_key: {}\n", s.credentials.key)
	case "jwt":
		return fmt.Sprintf("jwt: {issuer: %s, audience: %s, keys: [%s]}\n", tokenIssuer, tokenAudience, s.credentials.public)
	}
	return ""
}

// cardeaPolicies do what those of the other gateways do in the same case.
const cardeaPolicies = `headers:
  request:
    set: {X-Tenant: bench}
    remove: [Accept-Language]
  response:
    set: {X-Frame-Options: DENY, X-Content-Type-Options: nosniff}
    remove: [Cache-Control]
`

// routePath is the path of one of many routes, shaped like those of an API.
func routePath(i int) string { return fmt.Sprintf("/api/v%d/service-%d", i%3+1, i) }
