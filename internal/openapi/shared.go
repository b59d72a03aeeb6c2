package openapi

import (
	"fmt"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/schema"
)

// Shared loads a document once for all that name it, as long as its files stay as they are.
func Shared(env *filter.Env, name string, opts Options) (*Document, error) {
	files, file, err := schema.Open(env.Dir, name)
	if err != nil {
		return nil, err
	}
	env.Reads(name)
	sum, err := files.Sum(file)
	if err != nil {
		return nil, err
	}
	load := func() (*Document, error) {
		files, file, err := schema.Open(env.Dir, name)
		if err != nil {
			return nil, err
		}
		document, err := Open(files, file, opts)
		env.Reads(files.Names()...)
		return document, err
	}
	key := fmt.Sprintf("openapi:%s:%s:%x:%v", env.Dir, name, sum, opts)
	for generation := range 8 { // the files that it refers to may have changed, too
		document, err := filter.Keep(env, fmt.Sprintf("%s:%d", key, generation), load)
		if err != nil || document.Current() {
			return document, err
		}
	}
	return load()
}

// ForCalls loads a document for what is known by it of calls, once while a configuration is loaded. Nothing of it is compiled.
func ForCalls(env *filter.Env, name string) (*Document, error) {
	return filter.Once(env, fmt.Sprintf("openapi of calls:%s:%s", env.Dir, name), func() (*Document, error) {
		return Shared(env, name, Options{Formats: true})
	})
}
