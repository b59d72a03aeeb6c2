// Package cache is a cache of HTTP responses: memory, behind it a disk or a store that gateways share, the purges that hold for both, and the
// variants of a resource. What may be stored, and what a stored response may be used for, is said by its child rules; what requests become is the
// business of the policy `cache`. The policy `fallback` keeps last good answers in it; none else imports it.
//
// A response's key is a readable text: "GET https://host/path?query", and lines of further parts. At this primary key stands either the response, or
// a marker that names the fields of requests by which responses differ (RFC 9111, section 4.1). A variant's key is the primary one with a line of those
// fields and their normal values.
//
// Where parts of the query make no difference by a response's No-Vary-Search, its key has the normal form of the query. Which form that is stands in a marker at the
// key without the query, with a line "no-vary-search": the latest response has the say. A response that is found so must say the same itself.
//
// The parts are children of it that do not know each other: memory, disk, shared, purge, rules.
package cache
