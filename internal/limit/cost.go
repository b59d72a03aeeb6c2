package limit

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// CostConfig is what requests and their answers count for. Policies have it inline.
type CostConfig struct {
	// Cost is what a request counts for: a number, or a variable or CEL expression that gives one, such as query.limit or
	// `request.method == "GET" ? 1 : 5`. Fractions are rounded up; 0 is free, and 2^53 is the most. What is no number or below 0 counts
	// as 1, and is told by a metric. By default 1, or 0 where CostResponse is written.
	Cost string `yaml:"cost"`

	// CostResponse is what the answer counts for. It is counted when the answer has been sent; until then requests pass while anything is left.
	// By default nothing.
	CostResponse CostResponse `yaml:"cost_response"`
}

// CostResponse is what an answer counts for. The short form is Value.
type CostResponse struct {
	// Value is "bytes" (those of the body, as they were sent), or a variable or CEL expression that gives a number once there is an answer, such as
	// response.header.x-tokens. What is no number counts as 1, and as 0 where the gateway itself answers. Required.
	Value string `yaml:"value,short"`

	// Hide takes the field that Value names out of the answer, so that clients do not see it. By default off.
	Hide bool `yaml:"hide"`
}

// Check refuses numbers that are no cost. Its errors are config.FieldErrorf's.
func (c *CostConfig) Check() error {
	n, err := strconv.ParseFloat(c.Cost, 64)
	if (err == nil || errors.Is(err, strconv.ErrRange)) && (n != math.Trunc(n) || n < 0 || n > MaxCount) {
		return config.FieldErrorf("cost", "a cost is a whole number from 0 to 2^53")
	}
	return nil
}

// Validate checks that there is something to hide.
func (c *CostResponse) Validate() error {
	if c.Hide && c.field() == "" {
		return config.FieldErrorf("hide", "`value` names no field to hide, such as response.header.x-cost")
	}
	return nil
}

// field is the field that it stands in, in canonical form, or "".
func (c *CostResponse) field() string {
	name, ok := strings.CutPrefix(c.Value, "response.header.")
	if !ok || !httpguts.ValidHeaderFieldName(name) {
		return ""
	}
	return http.CanonicalHeaderKey(name)
}

// Bytes says whether the bytes of the answer are what counts.
func (c *CostResponse) Bytes() bool { return c.Value == "bytes" }

// Cost is what a request and its answer count for. It is immutable.
type Cost struct {
	request  int64
	value    filter.Value // nil: request
	bytes    bool         // of the answer
	answer   filter.Value // nil: it costs nothing, or its bytes
	hide     string
	unusable prometheus.Counter
}

// NewCost compiles what requests and answers count for. Unusable counts what is no number, and was taken for 1. Its errors are
// config.FieldErrorf's.
func NewCost(env *filter.Env, c CostConfig, unusable prometheus.Counter) (*Cost, error) {
	made := &Cost{unusable: unusable, bytes: c.CostResponse.Bytes()}
	var errs []error
	compile := func(path, source string, check func(*filter.Env, string) error) filter.Value {
		value, err := env.Expr.Value(source)
		if err == nil && check != nil {
			err = check(env, source)
		}
		if err != nil {
			errs = append(errs, config.FieldErrorf(path, "%w", err))
		}
		return value
	}
	if c.CostResponse.Value != "" && !made.bytes {
		made.answer = compile("cost_response", c.CostResponse.Value, nil)
	}
	if c.CostResponse.Hide {
		made.hide = c.CostResponse.field()
	}
	if n, ok := number(c.Cost); ok {
		made.request = n
	} else if c.Cost != "" {
		made.value = compile("cost", c.Cost, notYet)
	} else if c.CostResponse.Value == "" {
		made.request = 1
	}
	return made, errors.Join(errs...)
}

// Of returns what a request counts for, its answer apart.
func (c *Cost) Of(ex *filter.Exchange) int64 {
	if c.value == nil {
		return c.request
	}
	return c.read(ex, c.value)
}

// read takes a cost from an exchange.
func (c *Cost) read(ex *filter.Exchange, value filter.Value) int64 {
	if text, ok := value(ex); ok {
		if n, ok := number(text); ok {
			return n
		}
	}
	if !ex.Dry {
		c.unusable.Inc()
	}
	return 1
}

// HasAnswer says whether answers count, too.
func (c *Cost) HasAnswer() bool { return c.bytes || c.answer != nil }

// OfBytes says whether it is the bytes of the answer that count.
func (c *Cost) OfBytes() bool { return c.bytes }

// Answered returns what an answer counts for, but for its bytes, in the Response phase. What the gateway itself answers, of which nobody could say
// it, is free.
func (c *Cost) Answered(ex *filter.Exchange) int64 {
	switch {
	case c.answer == nil:
		return 0
	case ex.Err != nil:
		if text, ok := c.answer(ex); ok {
			n, _ := number(text)
			return n
		}
		return 0
	}
	return c.read(ex, c.answer)
}

// Hide takes the field that says what an answer counts for out of it, if clients are not to see it.
func (c *Cost) Hide(ex *filter.Exchange) {
	if c.hide != "" && ex.Response != nil {
		delete(ex.Response.Header, c.hide)
	}
}

// Finished returns what the answer counts for that is known at its end only.
func (c *Cost) Finished(ex *filter.Exchange) int64 {
	if c.bytes {
		return ex.Sent
	}
	return 0
}

// number reads a cost.
func number(text string) (int64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil && !math.IsInf(f, 1) || !(f >= 0) {
		return 0, false
	}
	return int64(math.Ceil(min(f, MaxCount))), true
}

// String describes it, where it is not 1 for each request.
func (c CostConfig) String() string {
	var parts []string
	if c.Cost != "" {
		parts = append(parts, "cost "+c.Cost)
	}
	if c.CostResponse.Value != "" {
		parts = append(parts, fmt.Sprintf("cost_response %s", c.CostResponse.Value))
	}
	return strings.Join(parts, " ")
}
