package validate

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/openapi"
	"cardea.dev/cardea/internal/schema"
)

// compile compiles the schemas, or the document.
func (p *policy) compile(env *filter.Env, c *Config) error {
	if c.OpenAPI != "" {
		return p.open(env, c)
	}
	var errs []error
	for _, one := range []struct {
		field  string
		source any
		to     **openapi.Content
	}{{"request", c.Request, &p.request}, {"response", c.Response, &p.response}} {
		if one.source == nil {
			continue
		}
		s, err := single(env, one.source, c)
		if err != nil {
			errs = append(errs, config.FieldErrorf(one.field, "%w", err))
			continue
		}
		*one.to = openapi.Single(s)
	}
	return errors.Join(errs...)
}

// file are the schemas of one file, and of those that it refers to.
type file struct {
	*schema.Set
	files *schema.Files
	name  string
}

// single compiles a JSON Schema of a file, or of the configuration.
func single(env *filter.Env, source any, c *Config) (*schema.Schema, error) {
	opts := schema.Options{Formats: c.Formats == "assert", SkipPatterns: c.Patterns == "skip"}
	if name, ok := source.(string); ok {
		name, pointer, _ := strings.Cut(name, "#")
		set, err := filter.Once(env, fmt.Sprintf("validate schemas:%s:%s:%v", env.Dir, name, opts), func() (*file, error) {
			files, name, err := schema.Open(env.Dir, name)
			return &file{schema.NewSet(files, opts), files, name}, err
		})
		if err != nil {
			return nil, err
		}
		compiled, err := set.Compile(schema.Location{File: set.name, Pointer: pointer})
		env.Reads(set.files.Names()...)
		return compiled, err
	}
	text, err := json.Marshal(source)
	if err != nil {
		return nil, fmt.Errorf("cannot read the schema: %w", err)
	}
	doc, err := schema.Decode(text, schema.Bounds{})
	if err != nil {
		return nil, err
	}
	files, err := schema.NewFiles(env.Dir)
	if err != nil {
		return nil, err
	}
	compiled, err := schema.NewSet(files, opts).Compile(schema.Inline(files, doc))
	env.Reads(files.Names()...)
	return compiled, err
}

// loaded is a document as one load of the configuration has it.
type loaded struct {
	document *openapi.Document
	told     bool // that patterns are not checked
}

// open compiles an OpenAPI document, or takes the one that another route has of the same files.
func (p *policy) open(env *filter.Env, c *Config) error {
	opts := openapi.Options{Formats: c.Formats == "assert", Strip: c.ReadOnly == pass, SkipPatterns: c.Patterns == "skip"}
	own, err := filter.Once(env, fmt.Sprintf("validate:%s:%s:%v", env.Dir, c.OpenAPI, opts), func() (*loaded, error) {
		document, err := openapi.Shared(env, c.OpenAPI, opts)
		return &loaded{document: document}, err
	})
	if err != nil {
		return config.FieldErrorf("openapi", "%w", err)
	}
	document := own.document
	p.document = document
	if c.BasePath != "" {
		p.bases = []string{strings.TrimSuffix(c.BasePath, "/")}
	}
	if c.Operation != "" {
		if p.operation, err = document.Operation(c.Operation); err != nil {
			return config.FieldErrorf("operation", "%s", meant(err, c.Operation, document.Names()))
		}
	}
	err = document.Compile(p.operation)
	env.Reads(document.Files()...)
	if err != nil {
		return config.FieldErrorf("openapi", "%w", err)
	}
	if own.told {
		return nil
	}
	if skipped := document.Skipped(); len(skipped) > 0 {
		own.told = true
		env.Log.Warn("patterns are not checked, since RE2 does not know them", "document", c.OpenAPI, "first", skipped[0])
	}
	return nil
}

// meant adds to an error what was meant, perhaps.
func meant(err error, name string, known []string) string {
	if near := config.Suggest(name, known); near != "" {
		return fmt.Sprintf("%v; did you mean %q?", err, near)
	}
	return err.Error()
}
