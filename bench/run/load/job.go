//go:build linux

// Package load makes requests to one HTTP/1.1 server and measures what comes of it, in one of two ways:
//
//   - closed loop (Job.Rate is 0): each connection sends its next request as soon as it has its answer. This loads the server
//     fully, and tells how many requests it does and what each one costs.
//   - open loop: requests become due at a fixed rate, whether or not earlier ones were answered, and latency counts from when
//     a request was due. A server that stands still for a moment thereby shows in all requests that it kept waiting, also in
//     those that could not even be sent. (Measuring from when a request was sent leaves those out, which is known as
//     coordinated omission.)
//
// Connections without TLS are driven by one thread with epoll, because a load generator that is slower than the server measures
// itself. Those with TLS have a goroutine each.
package load

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"
)

// Job is what to do.
type Job struct {
	Address     string        // host and port of the server
	Paths       []string      // what is requested, in turn
	Fields      string        // further fields of each request, each with its line end
	Users       int           // how many users there are, whose requests come in turn with their name in X-User; 0: nobody is named
	Upload      int           // size of the body that is sent with POST; 0 is GET
	Want        int64         // size of the body of each answer; another one is an error
	Connections int           // at once
	Reconnect   bool          // whether each request has a connection of its own
	Roots       string        // certificates in PEM that are trusted; when there are any, connections have TLS 1.3
	Streams     bool          // use the engine for TLS without TLS too, to compare with
	Rate        float64       // requests per second; 0 is as fast as the answers come
	Warmup      time.Duration // time before Time that is not counted
	Time        time.Duration // how long is measured
	Processes   []int         // whose processor time is measured: those of the server
}

// Result is what came of it. What happened during the warm-up does not count, except for errors.
type Result struct {
	Requests int64         // answered in Elapsed
	Elapsed  time.Duration // the time that was measured
	CPU      time.Duration // processor time of the processes in Elapsed
	System   time.Duration // the part of CPU that is system time
	Latency  Latency
	Errors   int64
	Error    string // the first error
}

// Latency are percentiles of the time that answers took.
type Latency struct{ P50, P99, P999, Max time.Duration }

// Clock tells the processor time that processes used until now, and the part of it that is system time.
type Clock func(processes []int) (total, system time.Duration, err error)

// Run does a job. Errors of requests are in the result; an error that is returned means that nothing was measured.
func Run(job Job, clock Clock) (Result, error) {
	if job.Connections < 1 || len(job.Paths) == 0 || job.Time <= 0 {
		return Result{}, errors.New("cannot run a load without connections, paths or time")
	}
	if job.Roots != "" || job.Streams {
		return runStreams(job, clock)
	}
	return runPolled(job, clock)
}

// texts are the requests as they are sent.
func (j *Job) texts() [][]byte {
	method, fields := "GET", j.Fields
	if j.Upload > 0 {
		method, fields = "POST", j.Fields+"Content-Type: application/octet-stream\r\nContent-Length: "+itoa(j.Upload)+"\r\n"
	}
	if j.Reconnect {
		fields += "Connection: close\r\n"
	}
	body := strings.Repeat("0123456789abcdef", j.Upload/16+1)[:j.Upload]
	all := make([][]byte, max(len(j.Paths), j.Users))
	for i := range all {
		user := ""
		if j.Users > 0 {
			user = "X-User: user-" + itoa(i%j.Users) + "\r\n"
		}
		all[i] = []byte(method + " " + j.Paths[i%len(j.Paths)] + " HTTP/1.1\r\nHost: " + ServerName + "\r\nUser-Agent: bench/1.0\r\n" +
			"Accept: application/json, text/plain, */*\r\nAccept-Language: en\r\n" + user + fields + "\r\n" + body)
	}
	return all
}

// ServerName is the host that requests name.
const ServerName = "bench.example"

// trust is the TLS configuration of a job.
func (j *Job) trust() (*tls.Config, error) {
	if j.Roots == "" {
		return nil, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(j.Roots)) {
		return nil, errors.New("cannot use the given certificates: not in PEM")
	}
	return &tls.Config{RootCAs: roots, ServerName: ServerName, MinVersion: tls.VersionTLS13}, nil
}

// latencyOf takes percentiles of samples, which it sorts.
func latencyOf(samples []time.Duration) Latency {
	slices.Sort(samples)
	if len(samples) == 0 {
		return Latency{}
	}
	return Latency{
		P50: percentile(samples, 0.5), P99: percentile(samples, 0.99), P999: percentile(samples, 0.999), Max: samples[len(samples)-1],
	}
}

// percentile is the least sample that at least this share of all samples do not exceed (the nearest-rank definition).
func percentile[T cmp.Ordered](sorted []T, share float64) T {
	rank := int(share * float64(len(sorted)))
	if float64(rank) < share*float64(len(sorted)) {
		rank++
	}
	return sorted[min(max(rank-1, 0), len(sorted)-1)]
}
