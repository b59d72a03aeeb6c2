// Package validate is the policy `validate`: requests, and the answers to them, are checked against a JSON Schema or an OpenAPI document.
//
// # What it does
//
// A request that is not as it should be is refused with 400 request_invalid, which lists all that is wrong: where, and why, but never the values.
// Bodies are read into memory, up to a bound, and passed on byte for byte; bodies that no schema is for are not read.
//
// # Syntax
//
// Short, the JSON Schema of the request's body, in a file:
//
//	validate: order.schema.json
//
// By an OpenAPI document, which says what parameters and bodies there may be:
//
//	validate: {openapi: api.yaml}
//
// Long:
//
//	validate:
//	  openapi: api.yaml
//	  operation: getUser          # else it is found by method and path
//	  mode: report                # nothing is refused; it is logged and counted
//	  responses: enforce
//	  max_body: 256KiB
//	  unknown_query: refuse
//
// A schema in the configuration itself, and one of the answer:
//
//	validate:
//	  request: {type: object, required: [sku], properties: {sku: {type: string}}}
//	  response: answer.schema.json
//
// # Stage
//
// validate: after authentication, authorization and limits. Refused requests get 400 request_invalid, 413 body_too_large, 415
// media_type_unsupported, or 404 or 405 operation_unknown; answers that are refused become 502 response_invalid.
//
// # Explain
//
// Which operation it is, and what is wrong with the parameters. Bodies cannot be checked without a request.
//
// # Metrics
//
// cardea_validations_total{route, what, result}: what is request or response, and result is valid, invalid (refused), reported (invalid, and passed
// as configured) or unchecked (it could not be read, as with an encoding that is not known, or was too large).
package validate
