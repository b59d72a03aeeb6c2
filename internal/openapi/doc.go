// Package openapi reads OpenAPI documents (3.0 and 3.1) and compiles their operations to what requests and responses are checked with: parameters in
// all styles, media types, bodies of JSON, forms and texts.
//
// It holds no policy: what becomes of a request that is not as it should be is decided by filters/validate. Documents are read and compiled when a
// configuration is loaded, never while a request waits. filters/validate and the command line may import it.
package openapi
