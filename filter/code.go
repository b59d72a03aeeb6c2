package filter

import "log/slog"

// Code is the stable name of an error that the gateway itself makes. Each has a page in the manual.
type Code string

// The codes of the gateway itself. Policies may bring codes of their own with Error.Status.
const (
	HTTPSRequired         Code = "https_required"
	BadRequest            Code = "bad_request"
	BadPath               Code = "bad_path"
	RouteNotFound         Code = "route_not_found"
	MethodNotAllowed      Code = "method_not_allowed"
	AddressDenied         Code = "address_denied"
	CORSRejected          Code = "cors_rejected"
	FileNotFound          Code = "file_not_found"
	RequestTimeout        Code = "request_timeout"
	Gone                  Code = "gone"
	BodyTooLarge          Code = "body_too_large"
	URITooLong            Code = "uri_too_long"
	HeaderTooLarge        Code = "header_too_large"
	ClientClosed          Code = "client_closed"
	InternalError         Code = "internal_error"
	UpstreamUnavailable   Code = "upstream_unavailable"
	UpstreamOverloaded    Code = "upstream_overloaded"
	UpstreamBreakerOpen   Code = "upstream_breaker_open"
	UpstreamConnectFailed Code = "upstream_connect_failed"
	UpstreamNotResolved   Code = "upstream_not_resolved"
	UpstreamTLSFailed     Code = "upstream_tls_failed"
	UpstreamReset         Code = "upstream_reset"
	UpstreamBadResponse   Code = "upstream_bad_response"
	UpstreamTimeout       Code = "upstream_timeout"
)

// Source is whose fault an error is.
type Source string

// The sources.
const (
	FromClient   Source = "client"
	FromGateway  Source = "gateway"
	FromUpstream Source = "upstream"
)

// CodeInfo is what follows from a code.
type CodeInfo struct {
	Code   Code
	Status int
	Source Source
	Level  slog.Level // of the operator's log
	Retry  bool       // the same request may be tried again at another endpoint, if it may be repeated at all
	Title  string     // the problem's title
	Detail string     // what the client is told, unless the error says more
}

// codes is the one table from code to what follows from it. It is never written.
var codes = [...]CodeInfo{
	{HTTPSRequired, 308, FromClient, slog.LevelDebug, false, "Use https", "This is served by https only."},
	{BadRequest, 400, FromClient, slog.LevelInfo, false, "Bad request", "The request is not well formed."},
	{BadPath, 400, FromClient, slog.LevelInfo, false, "Bad path", "The path of the request is not well formed."},
	{AddressDenied, 403, FromClient, slog.LevelInfo, false, "Address denied", "Requests from this address are not accepted here."},
	{CORSRejected, 403, FromClient, slog.LevelInfo, false, "Cross-origin request rejected", "This origin, method or header is not allowed across origins."},
	{RouteNotFound, 404, FromClient, slog.LevelInfo, false, "Not found", "No route matches this request."},
	{FileNotFound, 404, FromClient, slog.LevelInfo, false, "Not found", "There is no such file."},
	{MethodNotAllowed, 405, FromClient, slog.LevelInfo, false, "Method not allowed", "This method is not allowed here."},
	{RequestTimeout, 408, FromClient, slog.LevelInfo, false, "Request timeout", "The request did not arrive in time."},
	{Gone, 410, FromClient, slog.LevelInfo, false, "Gone", "This is no longer offered."},
	{BodyTooLarge, 413, FromClient, slog.LevelInfo, false, "Body too large", "The body of the request is too large."},
	{URITooLong, 414, FromClient, slog.LevelInfo, false, "URI too long", "The target of the request is too long."},
	{HeaderTooLarge, 431, FromClient, slog.LevelInfo, false, "Header too large", "The header of the request is too large."},
	{ClientClosed, 499, FromClient, slog.LevelInfo, false, "Client closed the request", "The client left before the answer."},
	{InternalError, 500, FromGateway, slog.LevelError, false, "Internal error", "The gateway could not handle the request."},
	{UpstreamConnectFailed, 502, FromUpstream, slog.LevelWarn, true, "Bad gateway", "The service could not be reached."},
	{UpstreamNotResolved, 502, FromUpstream, slog.LevelWarn, true, "Bad gateway", "The address of the service could not be found."},
	{UpstreamTLSFailed, 502, FromUpstream, slog.LevelWarn, true, "Bad gateway", "No secure connection to the service could be made."},
	{UpstreamReset, 502, FromUpstream, slog.LevelWarn, true, "Bad gateway", "The service broke off before it answered."},
	{UpstreamBadResponse, 502, FromUpstream, slog.LevelWarn, false, "Bad gateway", "The answer of the service is not well formed."},
	{UpstreamUnavailable, 503, FromUpstream, slog.LevelWarn, false, "Service unavailable", "No healthy endpoint of the service is left."},
	{UpstreamOverloaded, 503, FromUpstream, slog.LevelWarn, false, "Service unavailable", "The service has as many requests as it may have."},
	{UpstreamBreakerOpen, 503, FromUpstream, slog.LevelWarn, false, "Service unavailable", "The service failed too often and is given a rest."},
	{UpstreamTimeout, 504, FromUpstream, slog.LevelWarn, true, "Gateway timeout", "The service did not answer in time."},
}

// Info returns what follows from a code. A code that the gateway does not know is an internal error's, with its own name.
func (c Code) Info() CodeInfo {
	for i := range codes {
		if codes[i].Code == c {
			return codes[i]
		}
	}
	return CodeInfo{Code: c, Status: 500, Source: FromGateway, Level: slog.LevelError, Title: "Error"}
}

// Codes lists all codes of the gateway itself.
func Codes() []CodeInfo { return append([]CodeInfo(nil), codes[:]...) }
