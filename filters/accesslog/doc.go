// Package accesslog writes a line about each exchange, after its last byte.
//
// It is no operations log: what the gateway itself has to say goes elsewhere. It may be imported by whoever lists the kinds.
//
// # Syntax
//
//	log: {}                                  # JSON to standard output, each exchange
//	log: off                                 # none
//	log: /var/log/cardea/access.log          # short form: where to
//
//	log:
//	  file: /var/log/cardea/access.log       # or stdout, stderr
//	  format: json                           # json, logfmt, common, combined
//	  fields: [time, request_id, client, method, path, status, duration_ms]
//	  add: {tenant: header.x-tenant, plan: jwt.plan}
//	  sample: 10%                            # of exchanges that are neither errors nor slow
//	  keep_errors: true                      # log each one with a status of 500 or more, or that was cut
//	  slow: 1s                               # log each one that took this long
//	  when: response.status >= 400           # CEL: only these, errors and slow ones included
//	  query: true                            # false leaves the query out
//	  redact: [token, api_key]               # query parameters whose values are not shown
//
// # Stage
//
// observe, in the Finish phase: it sees what was really sent. Nothing waits for the log. A background writer takes lines in
// memory and writes them at most a second later; when 8 MiB wait because the disk or the pipe is slow, further lines are
// dropped and counted.
//
// # Sampling
//
// Which exchanges are in a sample follows from their request id, so that all gateways on the way of a request choose the same
// ones. Errors (a status of 500 or more, or an answer that broke off) and slow exchanges are logged in any case, unless
// `keep_errors: false` and `slow: off`. `when` comes first: what it excludes is never logged. A condition that cannot be
// evaluated counts as true.
//
// # Files
//
// A file is opened for appending when the first line is there, and opened anew once its name stands for another file, so that
// logrotate needs neither copytruncate nor a signal; Writer.Reopen does the same at once. Routes that log to the same file
// share one writer, also across reloads. Its directory must exist when the configuration is loaded.
//
// # Fields
//
// What is absent is left out; numbers ending in _ms are milliseconds.
//
//	time           when the head of the request had been read, RFC 3339, UTC
//	request_id     the request's id
//	trace_id       the trace's id
//	client         the client's address, after trusted proxies
//	method scheme host path query proto
//	               the request line as it came
//	status         the status sent; when nothing was sent, that of the error: 499 for a client that left
//	sent received  bytes of bodies, to and from the client
//	duration_ms    from the head of the request to the last byte of the answer
//	first_byte_ms  from the head of the request to the head of the answer
//	route          the route's name
//	upstream endpoint connect_ms upstream_ms
//	               of the last try: service, address, time to connect, time to the head of its answer
//	tries          how many tries were made at upstreams
//	attempts       each try, when there were several
//	calls_failed   of an answer that is made of several calls: those that failed or lack something, each with what came of it: "reviews default"
//	subject consumer auth
//	               who called, as what the gateway knows him, and which policy found out
//	user_agent referer
//	               as the client sent them; the query of the referer is redacted too
//	priority       how important the request was, if that is not normal
//	limited_by limit_key limit_dry_run
//	               the limit that refused it, whom it counted for, and whether it only would have
//	cache cache_why
//	               what a cache did: hit, stale, revalidated, miss, shared or bypass; and why it was no hit
//	fallback fallback_reason fallback_cause fallback_failed
//	               what stood in for an answer that failed; the code or status of that, and its cause; what was tried in vain
//	error cause    why the gateway itself answered or broke off: the error's code, and what operators should know
//	aborted        true when the answer was cut
//	fault          what the policy fault did on purpose
//
// The formats common and combined are those of Apache; their text cannot be broken by what clients send, because quotes,
// backslashes and all that is not printable ASCII is escaped.
//
// # Explain
//
// It says where the line goes and what it depends on.
//
// # Metrics
//
//	cardea_access_log_lines_total{file}            lines handed to the writer
//	cardea_access_log_dropped_total{file,reason}   lines lost: reason is full, error or closed
package accesslog
