package cedar

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// maxFile is how large a file may be.
const maxFile = 16 << 20

// set is what was read: policies in their order, and entities, with the principals that were seen lately. Routes that have the same share it.
type set struct {
	policies []named
	entities types.EntityMap
	context  bool // a policy may ask for the context

	principals principals
}

// named is a policy with what operators know it by.
type named struct {
	id     cedar.PolicyID
	policy *cedar.Policy
}

// All yields the policies in their order.
func (s *set) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, p := range s.policies {
			if !yield(p.id, p.policy) {
				return
			}
		}
	}
}

// source is a text to parse, and where it is from.
type source struct {
	field, file string
	text        []byte
}

// load reads what a configuration names. Routes for which that is the same share it.
func load(env *filter.Env, c *Config) (*set, error) {
	policies, err := read(env, "policies", c.Policies)
	entities, err2 := read(env, "entities", c.Entities)
	var schemas []source
	var err3 error
	if c.Schema != "" {
		schemas, err3 = read(env, "schema", []string{c.Schema})
	}
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	hash := sha256.New()
	for _, s := range slices.Concat(policies, entities, schemas) {
		fmt.Fprintf(hash, "%s\x00%s\x00%d\x00", s.field, s.file, len(s.text))
		hash.Write(s.text)
	}
	return filter.Keep(env, "cedar:"+hex.EncodeToString(hash.Sum(nil)), func() (*set, error) { return parse(policies, entities, schemas) })
}

// read reads files, and takes what is written out for itself.
func read(env *filter.Env, field string, names []string) ([]source, error) {
	var all []source
	var errs []error
	for i, name := range names {
		s := source{field: fmt.Sprintf("%s[%d]", field, i), file: name}
		if field == "schema" {
			s.field = field
		}
		if field == "policies" && isText(name) {
			s.file, s.text = "", []byte(name)
			all = append(all, s)
			continue
		}
		if name == "" {
			errs = append(errs, config.FieldErrorf(s.field, "the name of the file is empty"))
			continue
		}
		env.Reads(name)
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(env.Dir, path)
		}
		text, err := readFile(path)
		if err != nil {
			errs = append(errs, config.FieldErrorf(s.field, "%w", err))
			continue
		}
		s.text = text
		all = append(all, s)
	}
	return all, errors.Join(errs...)
}

// readFile reads a file that is not too large.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the file: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("cannot read %s: it is no file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("cannot read %s: it is larger than 16 MiB", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the file: %w", err)
	}
	return text, nil
}

// parse makes a set of texts.
func parse(policies, entities, schemas []source) (*set, error) {
	s := &set{entities: types.EntityMap{}, principals: principals{seed: maphash.MakeSeed()}}
	var errs []error
	for _, src := range policies {
		errs = append(errs, s.addPolicies(src))
	}
	for _, src := range entities {
		errs = append(errs, s.addEntities(src))
	}
	for _, src := range schemas {
		errs = append(errs, s.check(src))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(s.policies) == 0 {
		return nil, config.FieldErrorf("policies", "there is no policy, so that every request would be refused")
	}
	return s, nil
}

// addPolicies adds the policies of a text.
func (s *set) addPolicies(src source) error {
	list, err := cedar.NewPolicyListFromBytes(src.file, src.text)
	if err != nil {
		where := "line "
		if src.file != "" {
			where = src.file + ":"
		}
		return config.FieldErrorf(src.field, "cannot parse the policies: %s", strings.ReplaceAll(strings.TrimPrefix(err.Error(), "parser error: "), "<input>:", where))
	}
	s.context = s.context || bytes.Contains(src.text, []byte("context"))
	for _, p := range list {
		n := named{policy: p, id: cedar.PolicyID(place(src.file, p.Position()))}
		if id := string(p.Annotations()["id"]); id != "" {
			n.id = cedar.PolicyID(id)
		}
		for _, other := range s.policies {
			if other.id == n.id {
				return config.FieldErrorf(src.field, "two policies are called %q: the other is at %s", n.id, place(other.policy.Position().Filename, other.policy.Position()))
			}
		}
		s.policies = append(s.policies, n)
	}
	return nil
}

// check checks the policies by a schema.
func (s *set) check(src source) error {
	var written schema.Schema
	written.SetFilename(src.file)
	if err := written.UnmarshalCedar(src.text); err != nil {
		return config.FieldErrorf(src.field, "cannot parse the schema: %w", err)
	}
	resolved, err := written.Resolve()
	if err != nil {
		return config.FieldErrorf(src.field, "cannot use the schema: %w", err)
	}
	validator := validate.New(resolved)
	var errs []error
	for _, p := range s.policies {
		if err := validator.Policy(string(p.id), (*ast.Policy)(p.policy.AST())); err != nil {
			errs = append(errs, config.FieldErrorf("policies", "the policy at %s does not fit the schema: %w", place(p.policy.Position().Filename, p.policy.Position()), err))
		}
	}
	return errors.Join(errs...)
}

// place is where a policy begins.
func place(file string, at cedar.Position) string {
	if file == "" {
		file = "line "
	} else {
		file += ":"
	}
	return fmt.Sprintf("%s%d:%d", file, at.Line, at.Column)
}

// addEntities adds the entities of a file.
func (s *set) addEntities(src source) error {
	var found types.EntityMap
	if err := json.Unmarshal(src.text, &found); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			before := string(src.text[:min(int(syntax.Offset), len(src.text))])
			line := strings.Count(before, "\n")
			return config.FieldErrorf(src.field, "cannot parse the entities: %s:%d:%d: %w", src.file, line+1, len(before)-strings.LastIndex(before, "\n")-1, err)
		}
		return config.FieldErrorf(src.field, "cannot parse the entities: %s: %w", src.file, err)
	}
	for uid, e := range found {
		if _, twice := s.entities[uid]; twice {
			return config.FieldErrorf(src.field, "the entity %s is in another file, too", uid)
		}
		s.entities[uid] = e
	}
	return nil
}
