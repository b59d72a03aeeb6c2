// Package signature is the policy `signature`: callers sign their requests, by HTTP Message Signatures (RFC 9421) or as webhooks do.
//
// # Syntax
//
// The empty form takes HTTP message signatures made with the secrets of the consumers:
//
//	signature: {}
//
// Public keys stand in files, by key id; what must be signed can be said:
//
//	signature:
//	  keys:
//	    partner-2027: partner.pem
//	    old: {file: old.jwk, algorithm: rsa-v1_5-sha256, consumer: partner}
//	  components: ["@method", "@target-uri", content-type]
//	  max_age: 1m
//	  nonce: true
//	  tag: my-app
//
// Webhooks of GitHub and Stripe, and others by what they do:
//
//	signature: {github: "${GITHUB_SECRET}"}
//
//	signature: {stripe: ["${STRIPE_NEW}", "${STRIPE_OLD}"]}
//
//	signature:
//	  hmac:
//	    secrets: "${SLACK_SECRET}"
//	    header: X-Slack-Signature
//	    prefix: v0=
//	    timestamp_header: X-Slack-Request-Timestamp
//	    payload: "v0:{timestamp}:{body}"
//
// # Stage
//
// authenticate. A signature that is not right, too old, used before, or does not cover what it must gets 401 signature_invalid; a
// request without one gets 401 credentials_missing.
//
// What is signed is the request as the client sent it. A body is read into memory and checked before anything else sees it; one that is
// larger than `max_body` gets 413 body_too_large.
//
// # Explain
//
// Whose signature it is, or why not; but nothing of a signature over a body, which explain does not have.
//
// # Metrics
//
// cardea_authentications_total{policy="signature"}.
package signature
