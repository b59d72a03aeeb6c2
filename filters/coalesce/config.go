package coalesce

import (
	"fmt"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
)

// Config says which requests are the same, and how long they wait for each other.
type Config struct {
	// Fields are the fields of the request that tell requests apart, beside those that always do: Accept, Accept-Encoding, Authorization, Cookie,
	// Cache-Control, Pragma, Range, the conditional ones, and those that say a deadline. With an empty list it is those alone. By default all fields do, but for those that say nothing
	// of what is wanted, such as User-Agent.
	Fields *[]string `yaml:"fields"`

	// Vary is what else tells requests apart: variables or CEL expressions, such as "address" or "header.user-agent". By default nothing.
	Vary []string `yaml:"vary"`

	// AcrossCallers joins the requests of different callers: the identity, Authorization and Cookie do not tell requests apart. The service sees
	// those of one caller, and all get what that one gets. By default off.
	AcrossCallers bool `yaml:"across_callers"`

	// Wait is how long a request waits for another's answer to begin. Then it is sent by itself. By default 5s.
	Wait config.Duration `yaml:"wait" min:"1ms"`

	// Buffer is how much of an answer is kept for readers that fall behind, for each request that is made. By default 256KiB; at least 32KiB.
	Buffer config.Size `yaml:"buffer" min:"32KiB"`

	// Patience is for how long a reader that is behind by the whole buffer may hold up those that wait for more, in all, beside a quarter of the time
	// that the answer takes. Then it is cut, and the next has half as long. By default 2s; 0 cuts at once.
	Patience config.Duration `yaml:"patience"`
}

// Default is what the fields say.
func (c *Config) Default() {
	c.Wait = config.Duration(5 * time.Second)
	c.Buffer = 256 << 10
	c.Patience = config.Duration(2 * time.Second)
}

// Validate checks the names.
func (c *Config) Validate() error {
	if c.Fields == nil {
		return nil
	}
	for i, name := range *c.Fields {
		if !httpguts.ValidHeaderFieldName(name) {
			return config.FieldErrorf(fmt.Sprintf("fields[%d]", i), "%q cannot be the name of a field", name)
		}
	}
	return nil
}
