package validate

import (
	"errors"
	"strings"

	"cardea.dev/cardea/config"
)

// Config says what requests and answers are checked against. The short form is Request.
type Config struct {
	// Request is the JSON Schema of the request's body: a file (JSON or YAML), or the schema itself. Bodies must be JSON then; POST, PUT and
	// PATCH must have one. Relative names start at the folder of the configuration.
	Request any `yaml:"request,short"`

	// Response is the JSON Schema of the answer's body, a file or the schema itself, for statuses 200 to 299.
	Response any `yaml:"response"`

	// OpenAPI is an OpenAPI document, of version 3.0 or 3.1, in JSON or YAML. It takes the place of Request and Response.
	OpenAPI string `yaml:"openapi"`

	// Operation is the operation of the OpenAPI document that the route is: its operationId, or method and path as in "GET /users/{id}". By
	// default it is found for each request, by its method and path.
	Operation string `yaml:"operation"`

	// BasePath is what the paths of requests begin with before those of the OpenAPI document: "/v1"; "/" for nothing. By default it is the path
	// of the document's servers.
	BasePath string `yaml:"base_path"`

	// Mode is "enforce", the default: requests that are not as they should be are refused; or "report": they pass, and are logged and counted.
	Mode string `yaml:"mode" enum:"enforce,report"`

	// Responses says what becomes of answers: "enforce" refuses those that are not as they should be, once they are read whole; "report" logs and
	// counts them as they stream; "off" does not look at them. By default it is Mode where Response is given, and else "off".
	Responses string `yaml:"responses" enum:",enforce,report,off"`

	// MaxBody is how large a body may be that is checked, encoded and decoded. By default 1MiB. Larger requests get 413; see LargeResponses.
	MaxBody config.Size `yaml:"max_body" min:"1"`

	// MaxDepth is how deep the objects and arrays of a body may be nested. By default 100.
	MaxDepth int `yaml:"max_depth" min:"1" max:"1000"`

	// MaxValues is how many values a body may hold in all. By default 100000.
	MaxValues int `yaml:"max_values" min:"1" max:"10000000"`

	// MaxErrors is how many violations an error lists, at most. By default 20.
	MaxErrors int `yaml:"max_errors" min:"1" max:"1000"`

	// Formats is "assert", the default: formats such as date-time, email or int64 are checked; or "ignore". Unknown ones are never checked.
	Formats string `yaml:"formats" enum:"assert,ignore"`

	// Patterns is what becomes of regular expressions that RE2 does not know, such as those that look ahead: "refuse", the default, takes them for
	// a mistake of the configuration; "skip" does not check them.
	Patterns string `yaml:"patterns" enum:"refuse,skip"`

	// ReadOnly is what becomes of requests with properties that are readOnly in the OpenAPI document, and of answers with those that are writeOnly:
	// "refuse", the default, or "pass".
	ReadOnly string `yaml:"read_only" enum:"refuse,pass"`

	// UnknownQuery is what becomes of requests with query parameters that the OpenAPI document does not know: "pass", the default, or "refuse".
	UnknownQuery string `yaml:"unknown_query" enum:"pass,refuse"`

	// UnknownOperations is what becomes of requests that no operation of the OpenAPI document is for: "refuse", the default, with 404 or 405; or
	// "pass".
	UnknownOperations string `yaml:"unknown_operations" enum:"refuse,pass"`

	// UnknownStatuses is what becomes of answers whose status the OpenAPI document does not tell of: "pass", the default, or "refuse".
	UnknownStatuses string `yaml:"unknown_statuses" enum:"pass,refuse"`

	// LargeResponses is what becomes of answers that are larger than MaxBody: "pass", the default, without being checked; or "refuse".
	LargeResponses string `yaml:"large_responses" enum:"pass,refuse"`
}

// Default is what holds where nothing is said.
func (c *Config) Default() {
	c.Mode, c.Formats, c.Patterns, c.ReadOnly = enforce, "assert", refuse, refuse
	c.UnknownQuery, c.UnknownOperations, c.UnknownStatuses, c.LargeResponses = pass, refuse, pass, pass
	c.MaxBody, c.MaxDepth, c.MaxValues, c.MaxErrors = 1<<20, 100, 100_000, 20
}

// What may be said.
const (
	enforce = "enforce"
	report  = "report"
	off     = "off"
	refuse  = "refuse"
	pass    = "pass"
)

// Validate checks what goes together.
func (c *Config) Validate() error {
	var errs []error
	add := func(field, format string, args ...any) {
		errs = append(errs, config.FieldErrorf(field, format, args...))
	}
	switch {
	case c.OpenAPI == "" && c.Request == nil && c.Response == nil:
		return errors.New("expected a schema (request, response) or an OpenAPI document (openapi)")
	case c.OpenAPI != "" && c.Request != nil:
		add("request", "the OpenAPI document says what requests are; leave out one of the two")
	case c.OpenAPI != "" && c.Response != nil:
		add("response", "the OpenAPI document says what answers are; leave out one of the two")
	case c.OpenAPI == "" && c.Operation != "":
		add("operation", "an operation is one of an OpenAPI document; name that in `openapi`")
	case c.OpenAPI == "" && c.BasePath != "":
		add("base_path", "it is for an OpenAPI document; name that in `openapi`")
	}
	switch {
	case c.BasePath != "" && !strings.HasPrefix(c.BasePath, "/"):
		add("base_path", "%q does not begin with a slash", c.BasePath)
	case strings.ContainsAny(c.BasePath, "?#"):
		add("base_path", "%q has more than a path", c.BasePath)
	}
	if c.OpenAPI == "" {
		c.checkUnused(add)
	}
	for field, v := range map[string]any{"request": c.Request, "response": c.Response} {
		switch v.(type) {
		case nil, string, map[string]any, bool:
		default:
			add(field, "expected the name of a file, or a schema")
		}
	}
	return errors.Join(errs...)
}

// checkUnused finds settings that would have no effect without a document, although they seem to refuse something.
func (c *Config) checkUnused(add func(field, format string, args ...any)) {
	for field, said := range map[string]bool{"unknown_query": c.UnknownQuery == refuse, "unknown_statuses": c.UnknownStatuses == refuse, "unknown_operations": c.UnknownOperations == pass, "read_only": c.ReadOnly == pass} {
		if said {
			add(field, "it is for an OpenAPI document; name that in `openapi`")
		}
	}
	if c.Response == nil && (c.Responses == enforce || c.Responses == report) {
		add("responses", "there is no schema that answers are checked with; give it in `response`")
	}
}

// responses is what becomes of answers.
func (c *Config) responses() string {
	switch {
	case c.Responses != "":
		return c.Responses
	case c.Response != nil:
		return c.Mode
	}
	return off
}
