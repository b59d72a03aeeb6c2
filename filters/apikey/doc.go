// Package apikey is the policy `api_key`: callers show a key that one of the consumers has.
//
// # Syntax
//
// The empty form takes the key from the field X-API-Key:
//
//	api_key: {}
//
// It may come from another field, a query parameter or a cookie; the first place that has one counts:
//
//	api_key: header.x-token
//
//	api_key: {in: [header.x-api-key, query.api_key, cookie.key]}
//
//	api_key: {in: [header.authorization], scheme: ApiKey, forward: true}
//
// Keys stand at the consumers:
//
//	consumers:
//	  acme:
//	    keys: ["sha256:…"]
//
// # Stage
//
// authenticate. A key that nobody has, or that is expired, gets 401 api_key_invalid; a request without a key gets 401
// credentials_missing.
//
// Of a key only its SHA-256 is kept, and what is looked up is the hash of what the caller sent: the time that takes says nothing of
// the keys there are. The key is removed from what the upstream sees, unless `forward` is on,
// and the access log shows *** for a query parameter that it may be in.
//
// # Explain
//
// Which key of which consumer it is, by the label; or where a key was looked for.
//
// # Metrics
//
// cardea_authentications_total{policy="api_key"}.
package apikey
