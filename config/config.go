package config

// Config is a whole configuration: what one file, or a directory of them, says.
//
// A key at the root that is none of these is a policy that holds for every route.
type Config struct {
	// Listen is where the gateway accepts connections: an address such as ":8080", a list of them, or objects. By default ":8080".
	Listen []Listener `yaml:"listen"`

	// Admin is the operators' listener: health, metrics, the running configuration, explain, reload. It is on loopback
	// by default; `off` turns it off.
	Admin Admin `yaml:"admin"`

	// Upstreams are the services that requests are sent to, by name.
	Upstreams map[string]Upstream `yaml:"upstreams"`

	// Routes say which requests go where. Their order means nothing: the most specific match wins.
	Routes []Route `yaml:"routes"`

	// Consumers are the callers that the gateway knows, by name, with what they authenticate with.
	Consumers map[string]Consumer `yaml:"consumers"`

	// ConsumerFiles are files with further consumers, for those who have many: one JSON object a line, with `name` and the keys of a consumer
	// in their long form: {"name": "acme", "keys": [{"key": "sha256:…"}]}. A change is loaded like one of the configuration. By default none.
	ConsumerFiles []string `yaml:"consumer_files"`

	// Store is where gateways share what they count, and the keys of sequences: a Redis or Valkey, as in "redis://host:6379". Policies and targets with
	// a `store` of their own take this one by default. By default it is "local": each gateway for itself. See the manual for clusters, sentinels and TLS.
	Store Secret `yaml:"store"`

	// Caches are where the policy `cache` keeps answers, by name. The one called "default" is there without being named, and has its defaults:
	// 128MiB of memory. Routes say which one they use.
	Caches map[string]Cache `yaml:"caches"`

	// Errors changes the answers that the gateway itself makes, by error code ("route_not_found"), by status ("404") or by
	// class ("4xx", "5xx"). The nearest wins: code, then status, then class.
	Errors map[string]ErrorAnswer `yaml:"errors"`

	// Tracing sends OpenTelemetry spans to a collector. Off by default; trace context is passed on in any case.
	Tracing Tracing `yaml:"tracing"`

	// Shutdown says how a gateway ends that was told to.
	Shutdown Shutdown `yaml:"shutdown"`

	// Policies are the remaining keys: policies that hold for every route unless a nearer one says otherwise.
	Policies map[string]Node `yaml:",inline"`

	// Self is the file's root as it was written.
	Self Node `yaml:",self"`
}

// Route sends the requests that match it to a target, under its policies.
//
// A key that is none of these is the route's target (`to`, `respond`, `redirect`, `static`, …; exactly one) or a policy.
// Routes nest: an inner route inherits host, path, conditions, policies and target. Its path continues that of the outer
// route, which must end in `/**`. The nearest policy wins, key by key; `off` removes it.
type Route struct {
	// Name is how logs, metrics and explain call the route. By default it is its match.
	Name string `yaml:"name"`

	// Match says which requests the route is for. Several are alternatives. By default every request, or those of the
	// outer route.
	Match []Match `yaml:"match"`

	// Routes are routes inside this one, which inherit from it.
	Routes []Route `yaml:"routes"`

	// Rest are the route's target and policies, by name.
	Rest map[string]Node `yaml:",inline"`

	// Self is the route as it was written.
	Self Node `yaml:",self"`
}

// Expected says what a route looks like.
func (Route) Expected() string {
	return "an object with the keys match, one target such as to or respond, and policies"
}

// Match is a condition on requests. All that it names must hold. The short form is "[METHOD[,METHOD…]] [HOST]/PATH":
// "/orders/**", "GET /users/{id}", "GET,HEAD static.example.com/**".
type Match struct {
	// Host is the host asked for, without port and in lower case: "api.example.com", "*.example.com" (one or more labels), or a
	// list of them. By default any.
	Host []string `yaml:"host"`

	// Path is the path asked for: exact ("/health"), with parameters of one segment ("/users/{id}"), any one segment ("/a/*/b"),
	// a segment with a text around one of these ("/v{n}/x", "/js/*.js"), and the rest ("/files/**", which matches "/files" too, or "/files/{rest...}" to name it). "~^/v[0-9]+/.*$" is a regular
	// expression (RE2) over the whole path. By default any. Several are alternatives.
	Path []string `yaml:"path"`

	// Method is the request's method, or a list of them. GET stands for HEAD too, unless another route names HEAD. By default any.
	Method []string `yaml:"method"`

	// Header are conditions on header fields, by name.
	Header map[string]ValueMatch `yaml:"header"`

	// Query are conditions on query parameters, by name.
	Query map[string]ValueMatch `yaml:"query"`

	// Cookie are conditions on cookies, by name.
	Cookie map[string]ValueMatch `yaml:"cookie"`

	// Accept is a media type that the request's Accept field must name, for versions by media type:
	// "application/vnd.example.v2+json", or a list of them. Ranges such as "*/*" do not count.
	Accept []string `yaml:"accept"`

	// Address is the client's address or prefix ("10.0.0.0/8"), or a list of them, after trusted proxies.
	Address []Prefix `yaml:"address"`

	// When is a CEL expression that must be true: `request.method == "GET" && header["x-beta"] == "1"`.
	When string `yaml:"when"`
}

// ValueMatch is a condition on one value. The short form is the value itself, exactly; `true` says that it must be there and
// `false` that it must not; a string that starts with "~" is a regular expression.
type ValueMatch struct {
	// Is is the value, exactly.
	Is *string `yaml:"is"`

	// Matches is a regular expression (RE2) that the whole value must match.
	Matches string `yaml:"matches"`

	// Present says whether the value must be there (true) or must not (false).
	Present *bool `yaml:"present"`
}

// ErrorAnswer is how a gateway-made error looks to the client. What it leaves out stays as the gateway makes it. The short
// form is Detail.
type ErrorAnswer struct {
	// Status replaces the status. 0 keeps it.
	Status int `yaml:"status"`

	// Title replaces the short name of the problem.
	Title string `yaml:"title"`

	// Detail replaces the sentence that explains it.
	Detail string `yaml:"detail,short"`

	// Body replaces the whole body. It is a template, over {code}, {status}, {title}, {detail}, {request_id} and the variables of
	// the request.
	Body string `yaml:"body"`

	// ContentType is Body's media type. By default "text/plain; charset=utf-8", or "text/html; charset=utf-8" for a Body that starts with "<".
	ContentType string `yaml:"content_type"`
}

// Shutdown says how a gateway ends that was told to.
type Shutdown struct {
	// Delay is how long the gateway goes on accepting connections while it says that it is not ready, so that load balancers
	// notice. By default none.
	Delay Duration `yaml:"delay"`

	// Drain is how long exchanges that have begun may take to end. What remains is then cut. By default 30s.
	Drain Duration `yaml:"drain,short"`
}
