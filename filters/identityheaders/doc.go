// Package identityheaders is the policy `identity_headers`: it tells the upstream who calls, in fields that no client can forge.
//
// # What it does
//
// It sets fields of the request to what the authentication policies have found out. Whatever the client has sent in these fields is removed
// first, whether there is a value or not and whether the caller is known or not; and so are fields which many servers take for the
// same (X_User, x.user) and trailer fields of these names.
//
// # Syntax
//
// With the default fields X-User, X-Consumer and X-Groups:
//
//	identity_headers: {}
//
// With others, each a variable or CEL:
//
//	identity_headers: {X-User: identity.subject, X-Plan: identity.tags.plan, X-Roles: jwt.roles}
//
// With a signed token, which proves to services that the gateway has sent it:
//
//	identity_headers:
//	  token: {key: internal.pem, issuer: https://gateway.example.com, audience: orders}
//
//	identity_headers:
//	  X-User: identity.subject
//	  token:
//	    header: Authorization
//	    key: [new.pem, old.pem]
//	    algorithm: ES256
//	    issuer: https://gateway.example.com
//	    audience: [orders, billing]
//	    ttl: 60s
//	    claims: {plan: identity.tags.plan}
//
// Values have neither line breaks nor anything that is not ASCII: such characters, "%", and spaces at the ends are percent-encoded as
// UTF-8. Lists are joined by ","; a "," within one of their texts is percent-encoded, too.
//
// # The token
//
// A JWT with iss, aud, sub, iat, exp, and consumer, groups and scope where there are any. It is signed once for an identity and used until a
// quarter of its time is left. The first key signs; the others are only read, so that they can be the same list as that of the target
// `jwks`, which publishes the public halves. There is no token for callers who are not known.
//
// # Stage
//
// transform, after rewrite and headers. A field that `headers` sets by the same name is replaced.
//
// # Explain
//
// The fields that would be set, without their values.
//
// # Metrics
//
// cardea_identity_tokens_signed_total counts the signatures, by route.
package identityheaders
