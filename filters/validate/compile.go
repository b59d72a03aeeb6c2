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
		s, err := single(env.Dir, one.source, c)
		if err != nil {
			errs = append(errs, config.FieldErrorf(one.field, "%w", err))
			continue
		}
		*one.to = openapi.Single(s)
	}
	return errors.Join(errs...)
}

// single compiles a JSON Schema of a file, or of the configuration.
func single(dir string, source any, c *Config) (*schema.Schema, error) {
	opts := schema.Options{Formats: c.Formats == "assert", SkipPatterns: c.Patterns == "skip"}
	if name, ok := source.(string); ok {
		name, pointer, _ := strings.Cut(name, "#")
		files, name, err := schema.Open(dir, name)
		if err != nil {
			return nil, err
		}
		return schema.NewSet(files, opts).Compile(schema.Location{File: name, Pointer: pointer})
	}
	text, err := json.Marshal(source)
	if err != nil {
		return nil, fmt.Errorf("cannot read the schema: %w", err)
	}
	doc, err := schema.Decode(text, schema.Bounds{})
	if err != nil {
		return nil, err
	}
	files, err := schema.NewFiles(dir)
	if err != nil {
		return nil, err
	}
	return schema.NewSet(files, opts).Compile(schema.Inline(files, doc))
}

// open compiles an OpenAPI document, or takes the one that another route has of the same files.
func (p *policy) open(env *filter.Env, c *Config) error {
	document, err := shared(env, c)
	if err != nil {
		return config.FieldErrorf("openapi", "%w", err)
	}
	p.document = document
	if c.BasePath != "" {
		p.bases = []string{strings.TrimSuffix(c.BasePath, "/")}
	}
	if c.Operation != "" {
		if p.operation, err = document.Operation(c.Operation); err != nil {
			return config.FieldErrorf("operation", "%s", meant(err, c.Operation, document.Names()))
		}
	}
	if err := document.Compile(p.operation); err != nil {
		return config.FieldErrorf("openapi", "%w", err)
	}
	if skipped := document.Skipped(); len(skipped) > 0 {
		env.Log.Warn("patterns are not checked, since RE2 does not know them", "document", c.OpenAPI, "patterns", len(skipped), "first", skipped[0])
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

// shared loads a document once for all routes that name it, as long as its files stay as they are.
func shared(env *filter.Env, c *Config) (*openapi.Document, error) {
	files, name, err := schema.Open(env.Dir, c.OpenAPI)
	if err != nil {
		return nil, err
	}
	sum, err := files.Sum(name)
	if err != nil {
		return nil, err
	}
	opts := openapi.Options{Formats: c.Formats == "assert", Strip: c.ReadOnly == pass, SkipPatterns: c.Patterns == "skip"}
	load := func() (*openapi.Document, error) { return openapi.Load(env.Dir, c.OpenAPI, opts) }
	key := fmt.Sprintf("validate:%s:%s:%x:%v", env.Dir, c.OpenAPI, sum, opts)
	for generation := range 8 { // the files that it refers to may have changed, too
		document, err := filter.Keep(env, fmt.Sprintf("%s:%d", key, generation), load)
		if err != nil || document.Current() {
			return document, err
		}
	}
	return load()
}
