// Package respond answers requests with something fixed, or made of the request: health answers, notices, robots.txt, mocks.
//
// For many files there is `static`. It may be imported by whoever lists the kinds.
//
// # Syntax
//
//	respond: hello                           # short form: a text, with status 200
//	respond: 204                             # short form: a status; write {body: "204"} for such a text
//	respond: {}                              # 204
//
//	respond:
//	  status: 503
//	  headers: {retry-after: "120", x-request: "{request_id}"}
//	  body: We are back at noon.
//
//	respond: {json: {status: ok, items: [1, 2]}}
//	respond: {file: robots.txt}
//	respond: {template: "You are {identity} from {address}.", content_type: text/plain}
//
// # Bodies
//
// At most one of body, json, file and template. A file is read when the configuration is loaded, up to 10 MiB. In a template, values
// stand in braces: any variable or CEL expression; "{{" and "}}" are braces. They are escaped for HTML where the content type is
// HTML, and for the inside of a JSON text where it is JSON.
//
// Without content_type, a JSON value is application/json, a file goes by its name's ending, and other bodies are text/html where they
// begin with "<" and else text/plain, in UTF-8.
//
// The answer is the same for all methods; HEAD gets it without the body. Fixed bodies with status 200 have an ETag, unless `headers`
// names one, and a GET or HEAD with a matching If-None-Match gets 304.
//
// The values of headers are templates too. Control characters in them become spaces.
//
// # Explain
//
// It says status, type and size.
//
// # Metrics
//
// None of its own.
package respond
