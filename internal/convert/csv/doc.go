// Package csv converts lists of JSON objects to CSV (RFC 4180) and back, and lists to NDJSON, one value a line, and back. All of it streams:
// lists may be of any length, a single row or value stays within Limits.Buffer.
package csv
