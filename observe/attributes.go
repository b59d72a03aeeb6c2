package observe

// Names of span attributes, from OpenTelemetry's semantic conventions for HTTP (stable) and from the gateway itself ("cardea.…").
const (
	AttrRequestMethod    = "http.request.method"
	AttrRequestBodySize  = "http.request.body.size"
	AttrResendCount      = "http.request.resend_count" // of an attempt at an upstream: 1 for the first retry
	AttrResponseStatus   = "http.response.status_code"
	AttrResponseBodySize = "http.response.body.size"
	AttrRoute            = "http.route"
	AttrURLScheme        = "url.scheme"
	AttrURLPath          = "url.path"
	AttrURLQuery         = "url.query"
	AttrURLFull          = "url.full" // of an attempt at an upstream
	AttrServerAddress    = "server.address"
	AttrServerPort       = "server.port"
	AttrClientAddress    = "client.address" // after trusted proxies
	AttrPeerAddress      = "network.peer.address"
	AttrPeerPort         = "network.peer.port"
	AttrProtocolName     = "network.protocol.name"    // "http"
	AttrProtocolVersion  = "network.protocol.version" // "1.1", "2", "3"
	AttrUserAgent        = "user_agent.original"
	AttrErrorType        = "error.type" // the gateway's error code, or a status of 500 and above
	AttrEndUser          = "enduser.id"

	AttrRequestID   = "cardea.request_id"
	AttrRouteName   = "cardea.route" // the name of the route; http.route is its path
	AttrUpstream    = "cardea.upstream"
	AttrEndpoint    = "cardea.endpoint"
	AttrConsumer    = "cardea.consumer"
	AttrCache       = "cardea.cache"
	AttrPolicy      = "cardea.policy"
	AttrCall        = "cardea.call"       // of a call that an answer is made of: its name
	AttrCallAfter   = "cardea.call.after" // names of the calls that it waited for
	AttrCallSame    = "cardea.call.same"  // the call whose answer it shares
	AttrCallUndo    = "cardea.call.undoes"
	AttrCallElement = "cardea.call.element" // of the list that it is made for each element of
)
