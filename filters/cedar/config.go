package cedar

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
)

// Config is a set of Cedar policies, and what they are asked. The short form is Policies.
type Config struct {
	// Policies are files of Cedar policies, or such policies themselves: a text with a ";" in it. Files are read again with each reload.
	// An annotation @id("…") names a policy; otherwise its place does.
	Policies []string `yaml:"policies,short,required"`

	// Entities are files of entities in Cedar's JSON format: groups within groups, attributes of users. By default none.
	Entities []string `yaml:"entities"`

	// Schema is a file with a Cedar schema, by which policies are checked when they are loaded: each type, attribute and action in them must be in
	// it. By default none, and then only their syntax is checked.
	Schema string `yaml:"schema"`

	// Principal is who asks, as TYPE::"TEMPLATE". Where the template comes out empty it is Anonymous::"". By default 'User::"{identity}"'.
	Principal string `yaml:"principal"`

	// Action is what is asked for, as TYPE::"TEMPLATE". By default 'Action::"{method}"'.
	Action string `yaml:"action"`

	// Resource is what it is asked about, as TYPE::"TEMPLATE". By default 'Path::"{request.path}"': the path as the client asked for it,
	// normalised and escaped.
	Resource string `yaml:"resource"`

	// Context are further texts that policies see in their context, by name: {tenant: header.x-tenant}. Values are variables or CEL; one
	// that is absent is absent there, too. By default none.
	Context map[string]string `yaml:"context"`

	// Message is what clients who are refused are told, in one sentence. By default "The caller may not do this."
	Message string `yaml:"message"`
}

// Default asks whether the caller may use the method on the path.
func (c *Config) Default() {
	c.Principal, c.Action, c.Resource = `User::"{identity}"`, `Action::"{method}"`, `Path::"{request.path}"`
}

// Validate checks the names in the context.
func (c *Config) Validate() error {
	name := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	for _, key := range slices.Sorted(maps.Keys(c.Context)) {
		path := fmt.Sprintf("context[%q]", key)
		switch {
		case !name.MatchString(key):
			return config.FieldErrorf(path, "%q is no name of an attribute: those are letters, digits and _", key)
		case slices.Contains([]string{"address", "time", "method", "host", "path"}, key):
			return config.FieldErrorf(path, "the context has its own %q", key)
		}
	}
	return nil
}

// splitEntity takes apart TYPE::"TEMPLATE".
func splitEntity(text string) (typ, template string, err error) {
	parts := regexp.MustCompile(`^\s*([A-Za-z_]\w*(?:::[A-Za-z_]\w*)*)::"(.*)"\s*$`).FindStringSubmatch(text)
	if parts == nil {
		return "", "", fmt.Errorf(`%q is no entity: write a type and a template, as in 'User::"{identity.subject}"'`, text)
	}
	return parts[1], parts[2], nil
}

// isText says whether policies are written out, and not the name of a file.
func isText(policies string) bool { return strings.Contains(policies, ";") }
