package soap

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/convert/xml"
)

// Options are the rules by which envelopes become JSON and back.
type Options struct {
	// Version is the version of SOAP: "1.1", the default, or "1.2".
	Version string `yaml:"version" enum:"1.1,1.2"`

	// Operation is the element in the body of requests. When set, the JSON document is what stands in it. By default the JSON document is an
	// object with one member, which is the operation.
	Operation string `yaml:"operation"`

	// Response is the element in the body of responses. By default Operation with "Response" at its end. Without Operation it is not used.
	Response string `yaml:"response"`

	// Namespace is the namespace of the operation and of what stands in it. By default none.
	Namespace string `yaml:"namespace"`

	// Prefix, when set, puts the operation alone in Namespace, with this prefix, as services want whose schema is not "qualified". By default
	// what stands in the operation is in the namespace too.
	Prefix string `yaml:"prefix"`

	// Action is the SOAPAction of 1.1, the action parameter of 1.2. By default empty.
	Action string `yaml:"action"`

	// Headers has the envelope's headers in JSON: the document then is {"header": {…}, "body": …}, both ways. By default headers are left out.
	Headers bool `yaml:"headers"`

	// Understood are the headers that are acted on behind the gateway, by name without prefix. An envelope whose other headers say
	// mustUnderstand is refused. By default none.
	Understood []string `yaml:"understood"`

	// Faults are statuses for faults by their code or subcode, without prefix: {OrderNotFound: 404}. Others get 400 for Client or Sender, and
	// 502 for the rest.
	Faults map[string]int `yaml:"faults"`

	// The rules for what stands in envelopes. Namespaces are "strip" by default.
	xml.Options `yaml:",inline"`
}

// Default sets the rules that the fields name.
func (o *Options) Default() {
	o.Options.Default()
	o.Version, o.Namespaces = "1.1", "strip"
}

// Defaults are the rules that hold where nothing is said.
func Defaults() *Options {
	o := &Options{}
	o.Default()
	return o
}

// Validate checks names and statuses.
func (o *Options) Validate() error {
	errs := []error{o.Options.Validate()}
	field := func(name, format string, args ...any) { errs = append(errs, config.FieldErrorf(name, format, args...)) }
	for _, n := range []struct{ field, name string }{{"operation", o.Operation}, {"response", o.Response}, {"prefix", o.Prefix}} {
		if n.name != "" && !xml.IsName(n.name) {
			field(n.field, "%q cannot be a name in XML", n.name)
		}
	}
	switch {
	case o.Root != "":
		field("root", "the element in the body is named by operation and response")
	case o.Response != "" && o.Operation == "":
		field("response", "needs operation")
	case o.Namespace != "" && o.Operation == "":
		field("namespace", "needs operation; without it, the operation declares its namespace as a member")
	case o.Prefix != "" && (o.Namespace == "" || o.Prefix == envelopePrefix || o.Prefix == "xml" || o.Prefix == "xmlns"):
		field("prefix", "needs namespace, and cannot be soap, xml or xmlns")
	}
	for _, name := range slices.Sorted(maps.Keys(o.Faults)) {
		if s := o.Faults[name]; s < 400 || s > 599 {
			field(fmt.Sprintf("faults.%s", name), "must be a status from 400 to 599")
		}
	}
	for _, c := range o.Action {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			field("action", "has a character that cannot stand in a header field's quotes")
			break
		}
	}
	return errors.Join(errs...)
}

func (o *Options) response() string {
	if o.Response != "" || o.Operation == "" {
		return o.Response
	}
	return o.Operation + "Response"
}

const (
	space11        = "http://schemas.xmlsoap.org/soap/envelope/"
	space12        = "http://www.w3.org/2003/05/soap-envelope"
	envelopePrefix = "soap"
)

func (o *Options) space() string {
	if o.Version == "1.2" {
		return space12
	}
	return space11
}
