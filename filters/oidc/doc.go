// Package oidc is the policy `oidc`: people log in with their browser at an OpenID provider, and have a session afterwards.
//
// # Syntax
//
// A provider and the gateway's name at it:
//
//	oidc:
//	  issuer: https://idp.example.com/
//	  client_id: admin
//	  client_secret: very-secret
//	  secret: 0123456789abcdef0123456789abcdef
//
// Sessions in Redis or Valkey, groups from another claim, and the access token for the upstream:
//
//	oidc:
//	  issuer: https://idp.example.com/realms/main
//	  client_id: admin
//	  callback: /login/done
//	  logout: /logout
//	  after_logout: /bye
//	  groups: realm_access.roles
//	  forward: access_token
//	  session: {store: "redis://redis:6379/0", lifetime: 8h, idle: 30m}
//
// # Stage
//
// authenticate. A browser without a session is sent to the provider by 302 login_required, and comes back to what it asked for; programs
// get 401 credentials_missing. A login that fails gets 400 login_failed. While the provider cannot be reached, new logins get 503
// authentication_unavailable, and sessions go on; while the store of sessions cannot be, all requests with a session get that.
//
// The policy answers three paths itself: the callback, the logout, and the back-channel logout. Its cookies never reach the upstream.
//
// # Explain
//
// Whose session it is, or why it is none, or that the browser is sent to the login. Nothing is asked of the provider or of the store.
//
// # Metrics
//
// cardea_authentications_total{policy="oidc"}; cardea_oidc_events_total{event="…"}: login_started, login_completed, login_failed, refreshed,
// refresh_failed, session_refused, logout, backchannel_logout.
package oidc
