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
	CredentialsMissing    Code = "credentials_missing"
	CredentialsConflict   Code = "credentials_conflict"
	APIKeyInvalid         Code = "api_key_invalid"
	PasswordInvalid       Code = "password_invalid"
	TokenInvalid          Code = "jwt_invalid"
	TokenExpired          Code = "jwt_expired"
	TokenInactive         Code = "token_inactive"
	CertificateInvalid    Code = "certificate_invalid"
	SignatureInvalid      Code = "signature_invalid"
	LoginRequired         Code = "login_required"
	LoginFailed           Code = "login_failed"
	RateLimited           Code = "rate_limited"
	QuotaExceeded         Code = "quota_exceeded"
	ConcurrencyLimited    Code = "concurrency_limited"
	LimitsUnavailable     Code = "limits_unavailable"
	Overloaded            Code = "overloaded"
	FaultInjected         Code = "fault_injected"
	AccessDenied          Code = "access_denied"
	InsufficientScope     Code = "insufficient_scope"
	TooManyFailures       Code = "too_many_failures"
	AuthUnavailable       Code = "authentication_unavailable"
	MethodNotAllowed      Code = "method_not_allowed"
	TokenExchangeRejected Code = "token_exchange_rejected"
	AddressDenied         Code = "address_denied"
	CORSRejected          Code = "cors_rejected"
	CSRFRejected          Code = "csrf_rejected"
	FileNotFound          Code = "file_not_found"
	RequestTimeout        Code = "request_timeout"
	Gone                  Code = "gone"
	BodyTooLarge          Code = "body_too_large"
	URITooLong            Code = "uri_too_long"
	HeaderTooLarge        Code = "header_too_large"
	ClientClosed          Code = "client_closed"
	InternalError         Code = "internal_error"
	RouteQuarantined      Code = "route_quarantined"
	UpstreamUnavailable   Code = "upstream_unavailable"
	UpstreamOverloaded    Code = "upstream_overloaded"
	UpstreamBreakerOpen   Code = "upstream_breaker_open"
	UpstreamConnectFailed Code = "upstream_connect_failed"
	UpstreamNotResolved   Code = "upstream_not_resolved"
	UpstreamTLSFailed     Code = "upstream_tls_failed"
	UpstreamReset         Code = "upstream_reset"
	UpstreamBadResponse   Code = "upstream_bad_response"
	UpstreamAuthFailed    Code = "upstream_auth_failed"
	UpstreamTimeout       Code = "upstream_timeout"
	NotCached             Code = "not_cached"
	CallFailed            Code = "call_failed"
	BodyInvalid           Code = "body_invalid"
	NotAcceptable         Code = "not_acceptable"
	TransformFailed       Code = "transform_failed"
	RequestInvalid        Code = "request_invalid"
	OperationUnknown      Code = "operation_unknown"
	MediaTypeUnsupported  Code = "media_type_unsupported"
	ResponseInvalid       Code = "response_invalid"
	SequenceFailed        Code = "sequence_failed"
	IdempotencyConflict   Code = "idempotency_conflict"
	SequenceUnknown       Code = "sequence_unknown"
	SequenceUnavailable   Code = "sequence_unavailable"
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

	known bool // it stands in the table
}

// codes is the one table from code to what follows from it. It is never written.
var codes = [...]CodeInfo{
	{Code: HTTPSRequired, Status: 308, Source: FromClient, Level: slog.LevelDebug, Title: "Use https", Detail: "This is served by https only."},
	{Code: BadRequest, Status: 400, Source: FromClient, Level: slog.LevelInfo, Title: "Bad request", Detail: "The request is not well formed."},
	{Code: BodyInvalid, Status: 400, Source: FromClient, Level: slog.LevelInfo, Title: "Body invalid", Detail: "The body of the request is not what it should be."},
	{Code: BadPath, Status: 400, Source: FromClient, Level: slog.LevelInfo, Title: "Bad path", Detail: "The path of the request is not well formed."},
	{Code: RequestInvalid, Status: 400, Source: FromClient, Level: slog.LevelInfo, Title: "Request invalid", Detail: "The request is not as the API says."},
	{Code: CredentialsMissing, Status: 401, Source: FromClient, Level: slog.LevelInfo, Title: "Authentication required", Detail: "The request does not say who makes it."},
	{Code: CredentialsConflict, Status: 401, Source: FromClient, Level: slog.LevelInfo, Title: "Authentication failed", Detail: "The credentials of the request belong to different callers."},
	{Code: APIKeyInvalid, Status: 401, Source: FromClient, Level: slog.LevelInfo, Title: "Authentication failed", Detail: "The API key is not valid."},
	{Code: PasswordInvalid, Status: 401, Source: FromClient, Level: slog.LevelInfo, Title: "Authentication failed", Detail: "The user name or the password is wrong."},
	{Code: TokenInvalid, Status: 401, Source: FromClient, Level: slog.LevelInfo, Title: "Authentication failed", Detail: "The token is not valid here."},
	{Code: TokenExpired, Status: 401, Source: FromClient, Level: slog.LevelInfo, Title: "Authentication failed", Detail: "The token has expired."},
	{Code: TokenInactive, Status: 401, Source: FromClient, Level: slog.LevelInfo, Title: "Authentication failed", Detail: "The token is not active."},
	{Code: CertificateInvalid, Status: 401, Source: FromClient, Level: slog.LevelInfo, Title: "Authentication failed", Detail: "The client certificate is not accepted here."},
	{Code: SignatureInvalid, Status: 401, Source: FromClient, Level: slog.LevelInfo, Title: "Authentication failed", Detail: "The signature of the request is not valid."},
	{Code: LoginRequired, Status: 302, Source: FromClient, Level: slog.LevelDebug, Title: "Login required", Detail: "Log in to go on."},
	{Code: LoginFailed, Status: 400, Source: FromClient, Level: slog.LevelInfo, Title: "Login failed", Detail: "The login could not be completed. Please start again."},
	{Code: AccessDenied, Status: 403, Source: FromClient, Level: slog.LevelInfo, Title: "Access denied", Detail: "The caller may not do this."},
	{Code: InsufficientScope, Status: 403, Source: FromClient, Level: slog.LevelInfo, Title: "Insufficient scope", Detail: "The credentials are not good for this."},
	{Code: TokenExchangeRejected, Status: 401, Source: FromClient, Level: slog.LevelInfo, Title: "Unauthorized", Detail: "The request needs a bearer token that can be exchanged for one of the service."},
	{Code: AddressDenied, Status: 403, Source: FromClient, Level: slog.LevelInfo, Title: "Address denied", Detail: "Requests from this address are not accepted here."},
	{Code: CORSRejected, Status: 403, Source: FromClient, Level: slog.LevelInfo, Title: "Cross-origin request rejected", Detail: "This origin, method or header is not allowed across origins."},
	{Code: CSRFRejected, Status: 403, Source: FromClient, Level: slog.LevelInfo, Title: "Cross-site request rejected", Detail: "This request was sent by a page of another site."},
	{Code: RouteNotFound, Status: 404, Source: FromClient, Level: slog.LevelInfo, Title: "Not found", Detail: "No route matches this request."},
	{Code: OperationUnknown, Status: 404, Source: FromClient, Level: slog.LevelInfo, Title: "Not found", Detail: "The API has no such operation."},
	{Code: FileNotFound, Status: 404, Source: FromClient, Level: slog.LevelInfo, Title: "Not found", Detail: "There is no such file."},
	{Code: MethodNotAllowed, Status: 405, Source: FromClient, Level: slog.LevelInfo, Title: "Method not allowed", Detail: "This method is not allowed here."},
	{Code: NotAcceptable, Status: 406, Source: FromClient, Level: slog.LevelInfo, Title: "Not acceptable", Detail: "This is not offered in a format that the request accepts."},
	{Code: RequestTimeout, Status: 408, Source: FromClient, Level: slog.LevelInfo, Title: "Request timeout", Detail: "The request did not arrive in time."},
	{Code: IdempotencyConflict, Status: 409, Source: FromClient, Level: slog.LevelInfo, Title: "Conflict", Detail: "The key of the request is that of another."},
	{Code: Gone, Status: 410, Source: FromClient, Level: slog.LevelInfo, Title: "Gone", Detail: "This is no longer offered."},
	{Code: BodyTooLarge, Status: 413, Source: FromClient, Level: slog.LevelInfo, Title: "Body too large", Detail: "The body of the request is too large."},
	{Code: URITooLong, Status: 414, Source: FromClient, Level: slog.LevelInfo, Title: "URI too long", Detail: "The target of the request is too long."},
	{Code: MediaTypeUnsupported, Status: 415, Source: FromClient, Level: slog.LevelInfo, Title: "Unsupported media type", Detail: "The media type of the body is none that is taken here."},
	{Code: TooManyFailures, Status: 429, Source: FromClient, Level: slog.LevelInfo, Title: "Too many failures", Detail: "Too many requests from this address were refused. Try again later."},
	{Code: RateLimited, Status: 429, Source: FromClient, Level: slog.LevelInfo, Title: "Too many requests", Detail: "The limit of requests is reached. Try again later."},
	{Code: QuotaExceeded, Status: 429, Source: FromClient, Level: slog.LevelInfo, Title: "Quota exceeded", Detail: "The quota is used up."},
	{Code: ConcurrencyLimited, Status: 429, Source: FromClient, Level: slog.LevelInfo, Title: "Too many requests at once", Detail: "Too many requests of this caller are under way."},
	{Code: HeaderTooLarge, Status: 431, Source: FromClient, Level: slog.LevelInfo, Title: "Header too large", Detail: "The header of the request is too large."},
	{Code: ClientClosed, Status: 499, Source: FromClient, Level: slog.LevelInfo, Title: "Client closed the request", Detail: "The client left before the answer."},
	{Code: InternalError, Status: 500, Source: FromGateway, Level: slog.LevelError, Title: "Internal error", Detail: "The gateway could not handle the request."},
	{Code: LimitsUnavailable, Status: 503, Source: FromGateway, Level: slog.LevelError, Title: "Service unavailable", Detail: "Limits cannot be checked at the moment."},
	{Code: SequenceUnknown, Status: 503, Source: FromGateway, Level: slog.LevelError, Title: "Service unavailable", Detail: "A request with the same key was broken off, and nobody knows what it has done."},
	{Code: SequenceUnavailable, Status: 503, Source: FromGateway, Level: slog.LevelError, Title: "Service unavailable", Detail: "The gateway cannot find out at the moment whether this was done before."},
	{Code: Overloaded, Status: 503, Source: FromGateway, Level: slog.LevelWarn, Title: "Service unavailable", Detail: "The gateway has too much to do. Try again later."},
	{Code: FaultInjected, Status: 503, Source: FromGateway, Level: slog.LevelInfo, Title: "Fault injected", Detail: "This failure was made on purpose, for a test."},
	{Code: AuthUnavailable, Status: 503, Source: FromGateway, Level: slog.LevelError, Title: "Service unavailable", Detail: "The credentials cannot be checked at the moment."},
	{Code: UpstreamConnectFailed, Status: 502, Source: FromUpstream, Level: slog.LevelWarn, Retry: true, Title: "Bad gateway", Detail: "The service could not be reached."},
	{Code: UpstreamNotResolved, Status: 502, Source: FromUpstream, Level: slog.LevelWarn, Retry: true, Title: "Bad gateway", Detail: "The address of the service could not be found."},
	{Code: UpstreamTLSFailed, Status: 502, Source: FromUpstream, Level: slog.LevelWarn, Retry: true, Title: "Bad gateway", Detail: "No secure connection to the service could be made."},
	{Code: UpstreamReset, Status: 502, Source: FromUpstream, Level: slog.LevelWarn, Retry: true, Title: "Bad gateway", Detail: "The service broke off before it answered."},
	{Code: UpstreamBadResponse, Status: 502, Source: FromUpstream, Level: slog.LevelWarn, Title: "Bad gateway", Detail: "The answer of the service is not well formed."},
	{Code: UpstreamAuthFailed, Status: 502, Source: FromGateway, Level: slog.LevelWarn, Title: "Bad gateway", Detail: "The gateway could not identify itself to the service."},
	{Code: CallFailed, Status: 502, Source: FromUpstream, Level: slog.LevelWarn, Title: "Bad gateway", Detail: "A service that the answer needs did not answer as it should."},
	{Code: TransformFailed, Status: 502, Source: FromUpstream, Level: slog.LevelWarn, Title: "Bad gateway", Detail: "The answer of the service could not be brought into the form that is offered here."},
	{Code: ResponseInvalid, Status: 502, Source: FromUpstream, Level: slog.LevelWarn, Title: "Bad gateway", Detail: "The answer of the service is not as the API says."},
	{Code: SequenceFailed, Status: 502, Source: FromUpstream, Level: slog.LevelWarn, Title: "Bad gateway", Detail: "One of several steps failed."},
	{Code: RouteQuarantined, Status: 503, Source: FromGateway, Level: slog.LevelWarn, Title: "Service unavailable", Detail: "This part of the service is out of order."},
	{Code: UpstreamUnavailable, Status: 503, Source: FromUpstream, Level: slog.LevelWarn, Title: "Service unavailable", Detail: "No healthy endpoint of the service is left."},
	{Code: UpstreamOverloaded, Status: 503, Source: FromUpstream, Level: slog.LevelWarn, Title: "Service unavailable", Detail: "The service has as many requests as it may have."},
	{Code: UpstreamBreakerOpen, Status: 503, Source: FromUpstream, Level: slog.LevelWarn, Title: "Service unavailable", Detail: "The service failed too often and is given a rest."},
	{Code: NotCached, Status: 504, Source: FromGateway, Level: slog.LevelInfo, Title: "Not cached", Detail: "The request asks only for what is stored, and nothing is that could be used."},
	{Code: UpstreamTimeout, Status: 504, Source: FromUpstream, Level: slog.LevelWarn, Retry: true, Title: "Gateway timeout", Detail: "The service did not answer in time."},
}

// Info returns what follows from a code. A code that the gateway does not know is an internal error's, with its own name.
func (c Code) Info() CodeInfo {
	for i := range codes {
		if codes[i].Code == c {
			info := codes[i]
			info.known = true
			return info
		}
	}
	return CodeInfo{Code: c, Status: 500, Source: FromGateway, Level: slog.LevelError, Title: "Error"}
}

// Codes lists all codes of the gateway itself.
func Codes() []CodeInfo { return append([]CodeInfo(nil), codes[:]...) }
