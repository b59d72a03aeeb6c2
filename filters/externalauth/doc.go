// Package externalauth is the policy `external_auth`: another service, the authorizer, is asked whether a request may pass.
//
// # Syntax
//
// The short form is what is asked, by a GET as nginx's auth_request and Traefik's ForwardAuth send it:
//
//	external_auth: http://authz:4180/oauth2/auth
//
// Or an upstream of the configuration, with its balancing, health checks and breaker; and what is done with its answer:
//
//	external_auth:
//	  to: authz
//	  path: /oauth2/auth
//	  response_headers: [X-Auth-Request-User, X-Auth-Request-Email]
//	  client_headers: [Set-Cookie]
//	  identity: {subject: X-Auth-Request-User, groups: X-Auth-Request-Groups}
//
// Answers may be remembered, by all that they depend on:
//
//	external_auth:
//	  url: https://authz.example.com/check
//	  set: {X-Tenant: "{header.x-tenant}"}
//	  timeout: 500ms
//	  cache: {key: [header.authorization, method, host, path], ttl: 10s, refusal_ttl: 1s}
//
// The body of requests can be shown, up to a size:
//
//	external_auth: {url: "http://authz:8080/", method: POST, body: 8KiB, on_failure: deny}
//
// Envoy's ext_authz by gRPC: OPA's Envoy plugin, Authorino, or any server of envoy.service.auth.v3.Authorization:
//
//	external_auth: {grpc: "opa:9191"}
//
//	external_auth:
//	  grpc: authz # an upstream
//	  context_extensions: {team: orders}
//	  identity: {subject: X-User}
//
// # Stage
//
// authenticate, after the other policies of that stage. With `authenticate: any` it is asked only when none of those has accepted.
//
// 2xx lets the request pass. 3xx and 4xx refuse it, and the client gets that status, body and some fields: a redirect to a login, for
// instance. With gRPC the status of the answer says whether the request passes, and denied_response is what the client gets. 5xx, no answer in time, and no connection are failures: 503 authentication_unavailable, unless on_failure is "allow".
//
// Upgrades, as to WebSocket, are asked about like other requests. The client's leaving ends the question.
//
// # Explain
//
// Who is asked. What the authorizer would say is not known without asking, and it is not asked.
//
// # Metrics
//
// cardea_external_auth_requests_total{route,result}: "allowed", "denied", each also "…_from_cache", "unavailable", and "allowed_unasked" for
// those that on_failure let pass. cardea_external_auth_duration_seconds{route}. cardea_authentications_total{policy="external_auth"}.
package externalauth
