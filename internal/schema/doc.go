// Package schema reads documents with JSON Schemas in them, compiles the schemas, and checks values against them: all that is wrong with a value,
// with pointers, and without quoting it.
//
// It knows the drafts 4, 6, 7, 2019-09 and 2020-12, and what OpenAPI 3.0 and 3.1 make of them. It reads JSON strictly and within bounds; numbers
// keep their digits. It knows nothing of requests, paths and media types: that is package openapi's. Whoever compiles schemas may import it.
package schema
