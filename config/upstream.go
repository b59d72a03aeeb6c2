package config

// Upstream is a service that requests are sent to: its endpoints, how one is chosen for each request, and what happens when one
// fails. The short form is its endpoints: one URL, or a list of them.
type Upstream struct {
	// Endpoints are where the service runs: a URL, an object, or a list of them. Required.
	Endpoints []Endpoint `yaml:"endpoints,short,required"`

	// Protocol is what is spoken with the endpoints: "auto" (HTTP/2 where TLS agrees on it, else HTTP/1.1), "http1", "http2" (over
	// TLS only) or "h2c" (HTTP/2 without TLS, as gRPC servers in a private network speak it). By default "auto".
	Protocol string `yaml:"protocol" enum:"auto,http1,http2,h2c"`

	// Host is the Host field that the endpoints see: "keep" (that of the client), "rewrite" (that of the endpoint's URL), or a name
	// of its own. By default "keep". Services outside of one's own network mostly want "rewrite".
	Host string `yaml:"host"`

	// Balance says how an endpoint is chosen: the name of an algorithm, or an object. By default "round_robin".
	Balance Balance `yaml:"balance"`

	// SlowStart is the time in which an endpoint that is new, or healthy again, comes up to its full share of the requests. By
	// default none: it gets its full share at once. 0 is the default.
	SlowStart Duration `yaml:"slow_start"`

	// Panic is the share of endpoints below which health and ejection are ignored and all endpoints are used: "50%" says that
	// when more than half of them look bad, something else must be wrong, and that the few good ones must not be crushed by the whole
	// load. By default 0, which trusts the checks: endpoints that are down get nothing, and when all are down requests fail at once.
	Panic Share `yaml:"panic"`

	// Health is the active health check: a path, or an object. By default there is none; `off` is none too. An empty object
	// checks that connections are accepted.
	Health *HealthCheck `yaml:"health"`

	// Eject takes endpoints that keep failing out of the choice for a while. On by default; `off` turns it off. It never takes
	// out the only endpoint.
	Eject Ejection `yaml:"eject"`

	// Retry says which failed tries are tried again, at another endpoint where there is one: how often, or an object. On by default,
	// for what is safe to repeat; `off` turns it off.
	Retry Retry `yaml:"retry"`

	// Timeout bounds the waits: the time for the whole request, or an object.
	Timeout UpstreamTimeout `yaml:"timeout"`

	// Limits bounds what the service is asked to do at once. By default nothing but idle connections is limited.
	Limits UpstreamLimits `yaml:"limits"`

	// Hedge sends a request once more, to another endpoint, when its answer takes longer than most do, and uses the answer that comes first:
	// after how long, or an object. Off by default.
	Hedge *Hedge `yaml:"hedge"`

	// Breaker gives a service that fails too often a rest: the share of errors, or an object. Off by default; `on` or an
	// empty object takes its defaults.
	Breaker *Breaker `yaml:"breaker"`

	// TLS says how endpoints with https are trusted, and who the gateway is to them.
	TLS UpstreamTLS `yaml:"tls"`

	// DNS says how endpoints that are names are looked up.
	DNS UpstreamDNS `yaml:"dns"`

	// OpenAPI is what is known of the service: the file with its OpenAPI document, or an object. What calls of `aggregate` and `sequence` ask of the service, the
	// members of its answers that are referred to, and those that `transform` takes from answers or gives requests, are checked against it when the configuration
	// is loaded. Requests are not; that does `validate`. By default nothing is known of the service.
	OpenAPI OpenAPI `yaml:"openapi"`
}

// OpenAPI is what is known of a service. The short form is the file of its document.
type OpenAPI struct {
	// File is the OpenAPI document of the service, of version 3.0 or 3.1, in JSON or YAML; relative names start at the folder of the configuration.
	File string `yaml:"file,short,required"`

	// Severity is how it counts where what is asked of the service, or referred to in its answers, is not as the document says: "error", or "warning" for a
	// document that does not tell of all that the service has. By default "error".
	Severity string `yaml:"severity" enum:"error,warning"`
}

// Endpoint is where a service runs. The short form is its URL.
type Endpoint struct {
	// URL is its address: "http://10.0.0.1:8080", "https://orders.internal", a name that stands for several addresses
	// ("http://orders:8080", looked up again as its time to live ends), "h2c://orders:8080" (HTTP/2 without TLS),
	// "dns+srv://_http._tcp.orders.example.com" (addresses, ports, weights and priorities by SRV; with TLS "https+srv://"), or
	// "unix:///run/orders.sock". It has no path: paths are the routes'.
	URL string `yaml:"url,short,required"`

	// Weight is its share of the requests, in relation to the others. By default 1. 0 takes it out of the choice, as does draining
	// it. The addresses behind one name have this weight each.
	Weight int `yaml:"weight" min:"0" max:"1000"`

	// Priority is its tier: an endpoint is used only while no endpoint with a lower number is available. By default 0.
	Priority int `yaml:"priority" min:"0" max:"65535"`
}

// Balance says how an endpoint is chosen. The short form is the algorithm.
type Balance struct {
	// By is the algorithm: "round_robin" (in turn, by weight), "least_request" (of two at random, the one with fewer requests in
	// flight for its weight), "ewma" (of two at random, the one that was faster lately and has less to do), "random" (by weight), or
	// "hash" (the same endpoint for the same key, while it is there). By default "round_robin".
	By string `yaml:"by,short" enum:"round_robin,least_request,ewma,random,hash"`

	// Key is what "hash" goes by: "address", "header.x-user", "cookie.sid", "path.id", "jwt.sub", or a CEL expression that gives a
	// text. A request without it goes to a random endpoint. By default "address".
	Key string `yaml:"key"`

	// Bound is how much more than its share of the requests in flight "hash" lets an endpoint have before it takes the next one:
	// 1.25 is a quarter more. By default 1.25. 0 sets no bound.
	Bound float64 `yaml:"bound" min:"0" max:"100"`

	// Decay is how long "ewma" remembers a slow answer. By default 10s. 0 is the default.
	Decay Duration `yaml:"decay"`
}

// HealthCheck asks each endpoint in intervals how it is. The short form is the path.
type HealthCheck struct {
	// Kind is how it asks: "http" (a request), "tcp" (a connection) or "grpc" (grpc.health.v1.Health/Check). By default "http" with
	// a path, else "tcp".
	Kind string `yaml:"kind" enum:"http,tcp,grpc"`

	// Path is the path of the request, with a query if need be: "/healthz". By default "/" for http.
	Path string `yaml:"path,short"`

	// Method is the method of the request. By default "GET".
	Method string `yaml:"method"`

	// Host is the Host field of the request. By default the endpoint's own.
	Host string `yaml:"host"`

	// Headers are fields of the request. By default none.
	Headers map[string]string `yaml:"headers"`

	// Status are the statuses that say "healthy": single ones, ranges ("200-399") or classes ("2xx"). By default [2xx, 3xx].
	Status []StatusRange `yaml:"status"`

	// Body is a text that the beginning of the answer's body must contain. By default any body will do.
	Body string `yaml:"body"`

	// Service is the service that is asked for by grpc. By default "", the server as a whole.
	Service string `yaml:"service"`

	// Port is the port that is asked. By default that of the requests. 0 is the default.
	Port int `yaml:"port" min:"0" max:"65535"`

	// Interval is the time from one check to the next, spread a little at random. By default 5s. 0 is the default.
	Interval Duration `yaml:"interval"`

	// Timeout is how long one check may take. By default 1s. 0 is the default.
	Timeout Duration `yaml:"timeout"`

	// Healthy is how many checks in a row must succeed for an endpoint that was unhealthy to be used again. By default 2.
	Healthy int `yaml:"healthy" min:"1" max:"1000"`

	// Unhealthy is how many checks in a row must fail for an endpoint not to be used any more. By default 3.
	Unhealthy int `yaml:"unhealthy" min:"1" max:"1000"`

	// Off is true when `health: off` was written.
	Off bool `yaml:",off"`
}

// Ejection takes endpoints that keep failing out of the choice. Failures are connections that cannot be made or that break, answers
// that do not come in time, and the statuses that it names. The short form is how many in a row.
type Ejection struct {
	// Consecutive is how many failures in a row eject an endpoint. By default 5. 0 does not look at them.
	Consecutive int `yaml:"consecutive,short" min:"0" max:"1000000"`

	// ErrorRate is the share of failures within an interval that ejects an endpoint, if it is also more than twice that of the
	// others: when all of them fail, ejecting some does not help. By default 50%. 0 does not look at it.
	ErrorRate Share `yaml:"error_rate"`

	// MinRequests is how many requests an endpoint must have had within an interval for its error rate to count. By default 20.
	MinRequests int `yaml:"min_requests" min:"1" max:"1000000"`

	// Interval is the time over which error rates are taken. By default 10s. 0 is the default.
	Interval Duration `yaml:"interval"`

	// For is how long an endpoint is ejected the first time. Each time that follows soon takes that much longer. By default 30s. 0 is
	// the default.
	For Duration `yaml:"for"`

	// MaxFor is the longest time that an endpoint is ejected. By default 5m. 0 is the default.
	MaxFor Duration `yaml:"max_for"`

	// Max is the share of endpoints that may be ejected at once; it always allows one of several. By default 50%. 0 ejects one at most.
	Max Share `yaml:"max"`

	// Status are the statuses that count as failures: single ones ("503"), ranges ("502-504") or classes ("5xx"). By default
	// [502, 503, 504]: what a proxy or a service that cannot work says, not what a bad request may provoke.
	Status []StatusRange `yaml:"status"`

	// Off is true when `eject: off` was written.
	Off bool `yaml:",off"`
}

// Retry says which failed tries are tried again. A try is repeated only where that is safe: when nothing was sent yet, or when the
// method may be repeated (RFC 9110, section 9.2.2) and the body is still at hand; and never once a byte of an answer was handed on. The
// short form is how often.
type Retry struct {
	// Times is how many tries may follow the first. By default 2. 0 turns retries off.
	Times int `yaml:"times,short" min:"0" max:"20"`

	// On are the failures that are tried again: "connect_failure" (no connection could be made), "reset" (it broke before the
	// answer), "timeout" (the answer did not begin in time), and statuses ("503", "502-504", "5xx"). By default [connect_failure, reset,
	// timeout, 502, 503, 504].
	On []RetryOn `yaml:"on"`

	// Methods are the methods that may be repeated after they were sent. By default those that RFC 9110 calls idempotent: GET, HEAD,
	// OPTIONS, TRACE, PUT, DELETE. Name POST only for services that recognise a repeated request.
	Methods []string `yaml:"methods"`

	// Backoff is the wait before the first retry; it doubles with each that follows, and up to half of it is left out at random. A
	// request that could not be sent goes to another endpoint at once the first time. By default 25ms. 0 never waits.
	Backoff Duration `yaml:"backoff"`

	// MaxBackoff is the longest wait. By default 250ms. 0 is the default.
	MaxBackoff Duration `yaml:"max_backoff"`

	// Budget bounds the retries of the upstream as a whole, so that a service that fails is not hit the harder for it: a share of the
	// requests, or an object; `off` sets no bound.
	Budget RetryBudget `yaml:"budget"`

	// MaxBody is how much of a request's body is kept for a retry. A longer one is not sent again. By default 64KiB. 0 keeps none.
	MaxBody Size `yaml:"max_body"`

	// Off is true when `retry: off` was written.
	Off bool `yaml:",off"`
}

// RetryBudget bounds retries. The short form is the share.
type RetryBudget struct {
	// Share is how many retries there may be for the requests of the last ten seconds. By default 20%.
	Share Share `yaml:"share,short"`

	// Min is how many there may be in any case, so that an upstream with few requests is retried at all. By default 10/s.
	Min Rate `yaml:"min"`

	// Off is true when `budget: off` was written.
	Off bool `yaml:",off"`
}

// UpstreamTimeout bounds the waits for an upstream. The short form is the time for the whole request.
type UpstreamTimeout struct {
	// Request is the time for the whole request: all its tries, to the last byte of the answer. Upgraded connections (WebSocket)
	// are free of it once they are agreed on. By default none.
	Request Duration `yaml:"request,short"`

	// Try is the time for one try, until the answer begins. By default none.
	Try Duration `yaml:"try"`

	// Propagate tells the upstream how much time is left, and heeds what clients say of it. Requests by gRPC have it in grpc-timeout, and others
	// in X-Request-Deadline, a time such as "2026-05-04T10:20:30.250Z". A client can only shorten the time. By default true; with false neither
	// field is read or written.
	Propagate bool `yaml:"propagate"`

	// Connect is the time to make a connection, with TLS, or to wait for one where these are limited. By default 5s. 0 is the default.
	Connect Duration `yaml:"connect"`

	// FirstByte is the time from when the request was sent until the answer begins. By default 60s. 0 sets no bound.
	FirstByte Duration `yaml:"first_byte"`

	// Idle is how long bodies and upgraded connections (WebSocket) may stand still. By default 5m. 0 sets no bound.
	Idle Duration `yaml:"idle"`

	// KeepAlive is how long a connection is kept that nothing uses. It should be shorter than the service's own time. By default
	// 60s. 0 is the default.
	KeepAlive Duration `yaml:"keep_alive"`
}

// UpstreamLimits bounds what an upstream is asked to do at once, by each gateway.
type UpstreamLimits struct {
	// Connections is how many connections there may be to one endpoint. By default any number. 0 is the default.
	Connections int `yaml:"connections" min:"0" max:"1000000"`

	// IdleConnections is how many connections to one endpoint are kept that nothing uses. By default 256. 0 is the default.
	IdleConnections int `yaml:"idle_connections" min:"0" max:"1000000"`

	// Requests is how many requests may be under way at the upstream. By default any number, or, where the limit is adaptive, at most 1000. 0 is
	// the default.
	Requests int `yaml:"requests" min:"0" max:"10000000"`

	// Adaptive finds out by itself how many requests the upstream can work on at once, from how fast it answers: `on`, or an object. `requests` is
	// then the most that it may come to. Off by default.
	Adaptive *AdaptiveLimit `yaml:"adaptive"`

	// Pending is how many requests may wait for one of those to end. By default 0: what is too much is refused at once.
	Pending int `yaml:"pending" min:"0" max:"10000000"`

	// PendingWait is how long a request may wait. By default 1s. 0 sets no bound.
	PendingWait Duration `yaml:"pending_wait"`

	// Header is how large the head of an answer may be. By default 64KiB. 0 is the default.
	Header Size `yaml:"header"`
}

// AdaptiveLimit is a limit that is found by measuring. When answers take longer than they do when nothing queues in front of the service, the limit falls,
// and else it rises. Answers that do not come in time, and those with status 503, make it fall, too.
type AdaptiveLimit struct {
	// Min is the least that the limit may come to. By default 5, or `requests` where that is less.
	Min int `yaml:"min" min:"1" max:"10000000"`

	// Start is the limit until something was measured. By default 20.
	Start int `yaml:"start" min:"1" max:"10000000"`

	// Off is true when `adaptive: off` was written.
	Off bool `yaml:",off"`
}

// Hedge sends a request once more when its answer takes long: one without a body, whose method is among Methods, and only where there is another endpoint, the
// breaker is closed and there is room below the limits. The short form is After.
type Hedge struct {
	// After is how long the answer may take to begin before the request is sent once more: a time ("200ms"), or a percentile of how long the
	// upstream's answers took in the last 10 to 20 seconds ("p95"). By default "p95".
	After HedgeAfter `yaml:"after,short"`

	// AtLeast is the shortest time that a percentile may come to. By default 5ms. 0 sets no bound.
	AtLeast Duration `yaml:"at_least"`

	// Max is how many requests may be sent once more, as a share of those of the last ten seconds; one in ten seconds may be in any case. By
	// default 5%.
	Max Share `yaml:"max"`

	// Methods are the methods of requests that may be sent twice. By default [GET, HEAD].
	Methods []string `yaml:"methods"`

	// Off is true when `hedge: off` was written.
	Off bool `yaml:",off"`
}

// Breaker gives a service that fails too often a rest. It opens when the share of failures is reached: requests are then
// refused at once. After a while it lets a few requests through, and closes when they succeed. The short form is the share of failures.
type Breaker struct {
	// ErrorRate is the share of failures that opens it. By default 50%.
	ErrorRate Share `yaml:"error_rate,short"`

	// MinRequests is how many requests there must have been within the window. By default 20.
	MinRequests int `yaml:"min_requests" min:"1" max:"1000000"`

	// Window is the time over which failures are counted. By default 10s. 0 is the default.
	Window Duration `yaml:"window"`

	// OpenFor is how long it refuses before it tries again. By default 5s. 0 is the default.
	OpenFor Duration `yaml:"open_for"`

	// Probes is how many requests it then lets through, and how many must succeed for it to close. One that fails opens it
	// again. By default 3.
	Probes int `yaml:"probes" min:"1" max:"1000"`

	// Status are the statuses that count as failures, beside connections that fail and answers that do not come: single ones ("503"),
	// ranges ("502-504") or classes ("5xx"). By default [5xx].
	Status []StatusRange `yaml:"status"`

	// Off is true when `breaker: off` was written.
	Off bool `yaml:",off"`
}

// UpstreamTLS says how the endpoints of an upstream are trusted, and who the gateway is to them. Files are named relative to the
// configuration file. When they change they are read again; what cannot be used is logged, and what was there before goes on.
type UpstreamTLS struct {
	// CA is a PEM file with the certificates of the authorities that are trusted. By default those of the system.
	CA string `yaml:"ca"`

	// ServerName is the name that is asked for and that the endpoint's certificate must have. By default the host of the
	// endpoint's URL.
	ServerName string `yaml:"server_name"`

	// Cert is a PEM file with the certificate that the gateway shows, with its chain. By default none is shown.
	Cert string `yaml:"cert"`

	// Key is a PEM file with the key of Cert.
	Key string `yaml:"key"`

	// MinVersion is the lowest version of TLS: "1.2" or "1.3". By default "1.2".
	MinVersion string `yaml:"min_version" enum:"1.2,1.3"`

	// InsecureSkipVerify accepts any certificate. Anyone between gateway and service can then read and change everything: it is for
	// tests. By default false.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
}

// UpstreamDNS says how names are looked up. The times to live that answers come with are kept to, within its bounds.
type UpstreamDNS struct {
	// Servers are the name servers that are asked: "10.0.0.53", "10.0.0.53:5353". By default those of the system.
	Servers []string `yaml:"servers,short"`

	// MinTTL is the shortest time after which a name is looked up again. By default 1s.
	MinTTL Duration `yaml:"min_ttl"`

	// MaxTTL is the longest time after which a name is looked up again. By default 5m. 0 is the default.
	MaxTTL Duration `yaml:"max_ttl"`
}
