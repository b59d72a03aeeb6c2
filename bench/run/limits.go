//go:build linux

package main

// The limits are so high that no request is refused: what is measured is the counting. Users are told by X-User.

// nginxZone is where nginx counts.
func nginxZone(s *setup) string {
	if s.limits == "" {
		return ""
	}
	return "\n\tlimit_req_zone $http_x_user zone=users:10m rate=1000000r/s;"
}

// nginxLimit limits the rate.
func nginxLimit(s *setup) string {
	if s.limits == "" {
		return ""
	}
	return "\n\t\t\tlimit_req zone=users burst=1000000 nodelay;"
}

// haproxyLimit limits the rate.
func haproxyLimit(s *setup) string {
	if s.limits == "" {
		return ""
	}
	return `
	stick-table type string len 32 size 100k expire 60s store http_req_rate(1s)
	http-request track-sc0 req.hdr(x-user)
	http-request deny deny_status 429 if { sc_http_req_rate(0) gt 1000000 }`
}

// cardeaLimits limits the rate, and tells clients of it or not, or how many requests are under way.
func cardeaLimits(s *setup) string {
	switch s.limits {
	case "rate":
		return "rate_limit: {limits: 1000000/s per header.x-user, headers: off}\n"
	case "rate, fields":
		return "rate_limit: 1000000/s per header.x-user\n"
	case "concurrency":
		return "concurrency: 100000 per header.x-user\n"
	}
	return ""
}
