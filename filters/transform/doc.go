// Package transform is the policy `transform`: it changes the bodies of requests, on their way to the upstream, and of responses, on their
// way to the client: fields and values of JSON, by field operations, jq or a template; and formats: JSON, XML, SOAP, forms, CSV, NDJSON.
//
// It knows no format itself: documents are read and edited by internal/document, programs run by internal/jq, formats converted by
// internal/convert. It may be imported by whoever lists the kinds.
//
// # Syntax
//
//	transform: {response: {drop: [internal, "items[].cost"]}}     # field operations
//	transform: {response: '.items'}                               # short form: a jq program
//	transform: {response: {to: [json, csv, xml]}}                 # what Accept chooses
//	transform: {request: {from: form}}                            # forms become JSON
//	transform: off
//
//	transform:
//	  request:
//	    to: soap                             # json, xml, soap, form, csv, ndjson
//	    set: {id: "{path.id}"}               # also of a request without a body
//	  response:
//	    from: soap
//	    when: header.x-raw == ""             # CEL over the request
//	    status: [2xx]
//	    max_body: 1MiB                       # of what must be held
//	    whole: false                         # true: nothing passes before its end is known to be right
//	    on_error: fail                       # pass: as it is
//	  soap: {operation: GetUser, namespace: "urn:users", action: "urn:users#get"}
//
//	transform:
//	  response:
//	    template: "<p>{body.name}</p>"
//	    content_type: text/html
//
// A body is read as `from`, the field operations are done, then `jq`, and the result is written as `to`. All of these may be left out.
//
// # Stage
//
// transform, after `rewrite`, `headers` and `identity_headers`: on the way back `headers` has the last word on the fields of a transformed
// response. `validate` stands before it and sees what clients send and get. A cache stands before it, too: what is stored is what comes out of the
// transformation, so a hit costs none; formats are told apart by Vary. `fault`, `mirror` and `upstream_auth` come after it: copies and
// signatures are of the request as the upstream gets it.
//
// # What passes and what is held
//
// Field operations, and conversions between JSON, CSV and NDJSON, and from JSON to XML, SOAP and forms, work while the body passes, in
// bounded memory, on a coroutine of who reads: no goroutine is started. Bodies of at most `max_body` whose length is said are held all the same, so that
// what is wrong is an error rather than a cut; so is all that jq, templates, `from: xml`, `soap` and `form`, `whole`, `on_error: pass` and content
// codings need. A request that was held can be sent again.
//
// # What changes besides the body
//
// Content-Type, Content-Length, and the method where `method` or SOAP says so. Digests of the bytes as they were, Accept-Ranges, Content-Encoding go. An ETag
// gets a mark of the rules, and is translated back in conditions; where values of the request come in, it goes, and Last-Modified with it. The upstream is
// asked for the whole (no Range), without a coding, in the format of `from`.
//
// # Explain
//
// What would be done to the request and to its response, or that no offered format is accepted. Bodies are not looked at.
//
// # Metrics
//
//	cardea_transform_total{route,message,result}            bodies that were transformed, failed, or passed as they were (on_error)
//	cardea_transform_bytes_total{route,message,direction}   their bytes before (in) and after (out)
package transform
