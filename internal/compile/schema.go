package compile

import (
	_ "embed"
	"encoding/json"
	"reflect"

	"cardea.dev/cardea/config"
)

//go:generate go run cardea.dev/cardea/internal/generate

// comments are the comments of all configuration structs, as they stand in the sources.
//
//go:embed zz_comments.json
var comments []byte

// SchemaOptions are what the JSON Schema and the reference manual are made of, for a set of kinds.
func SchemaOptions(kinds Kinds) config.SchemaOptions {
	o := config.SchemaOptions{
		Comments: map[string]string{}, Policies: map[string]reflect.Type{}, Targets: map[string]reflect.Type{},
		Title: "Configuration of Cardea",
	}
	if err := json.Unmarshal(comments, &o.Comments); err != nil {
		panic(err) // it is generated, and a test reads it
	}
	for _, k := range kinds.Filters {
		o.Policies[k.Name()] = k.Config()
	}
	for _, k := range kinds.Targets {
		o.Targets[k.Name()] = k.Config()
	}
	return o
}

// Schema is the JSON Schema of configurations with a set of kinds.
func Schema(kinds Kinds) []byte {
	return config.Schema(SchemaOptions(kinds)).JSON()
}

// Reference is the reference manual of configurations with a set of kinds, as Markdown.
func Reference(kinds Kinds) []byte {
	o := SchemaOptions(kinds)
	o.Title = "Configuration reference"
	return config.Reference(o)
}
