package config

import (
	"reflect"

	"cardea.dev/cardea/config/lang"
)

// What is written is package lang's. Those who read configurations, policies among them, need no other package than this one.
type (
	// Node is a value as it was written, with its place.
	Node = lang.Node
	// Kind says what a Node is.
	Kind = lang.Kind
	// Pos is a place in a configuration file.
	Pos = lang.Pos
	// Options say where a configuration's `${…}` come from.
	Options = lang.Options
	// Error is one thing that is wrong with a configuration.
	Error = lang.Error
	// Errors are all the things that are wrong, by file and line.
	Errors = lang.Errors
	// FieldError is an error about a field of a value, found by its Validate or when it was built.
	FieldError = lang.FieldError
	// Secret is a string that must not be seen.
	Secret = lang.Secret
	// SchemaOptions are what Schema and Reference know besides the types.
	SchemaOptions = lang.SchemaOptions
	// SchemaNode is a JSON Schema.
	SchemaNode = lang.SchemaNode
)

// The kinds of a Node.
const (
	NodeMissing = lang.NodeMissing
	NodeScalar  = lang.NodeScalar
	NodeList    = lang.NodeList
	NodeMap     = lang.NodeMap
	NodeNull    = lang.NodeNull
)

// ParseTree reads a text into a tree, without any meaning. The name stands in errors, which are of type Errors.
func ParseTree(name string, text []byte, opts Options) (Node, error) {
	return lang.ParseTree(name, text, opts)
}

// Files lists the files that make up the configuration at a path. What watches for changes watches these.
func Files(path string) ([]string, error) { return lang.Files(path) }

// FieldErrorf makes an error about a field of the value that is being validated or built. The path is written as in the
// configuration: "keys[0].url", `headers["x-y"]`.
func FieldErrorf(path, format string, args ...any) error {
	return lang.FieldErrorf(path, format, args...)
}

// Suggest returns the known word that is probably meant, or "" when none is near.
func Suggest(word string, known []string) string { return lang.Suggest(word, known) }

// Redacted renders a configuration as YAML without its secrets. Call it after everything was decoded.
func Redacted(n Node) []byte { return lang.Redacted(n) }

// ReadComments reads the comments of configuration structs.
func ReadComments(packages map[string]string) (map[string]string, error) {
	return lang.ReadComments(packages)
}

// Schema makes the JSON Schema of a configuration, with that of everything in it.
func Schema(opts SchemaOptions) *SchemaNode {
	opts.Routes = reflect.TypeFor[Route]()
	return lang.Schema(reflect.TypeFor[Config](), opts)
}

// Reference renders the manual of a configuration, and of everything in it, as Markdown.
func Reference(opts SchemaOptions) []byte {
	opts.Routes = reflect.TypeFor[Route]()
	return lang.Reference(reflect.TypeFor[Config](), opts)
}
