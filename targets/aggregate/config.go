package aggregate

import (
	"errors"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
)

// Config says which calls make an answer. Each key that is none of these settings is a call, by its name: `profile: GET users/users/{user}`.
type Config struct {
	// Calls are calls by name, as beside it; for names that are settings here. They come before the others.
	Calls map[string]Call `yaml:"calls"`

	// More are the calls, by their names.
	More map[string]Call `yaml:",inline"`

	// Self is the whole, for the order of the calls.
	Self config.Node `yaml:",self"`

	// Timeout is how long all calls together may take until they are answered. Then those that are optional count as failed, and where another one is
	// missing, the answer is 504. Long answers that are passed on by then may go on. By default 30s; 0 is without an end.
	Timeout config.Duration `yaml:"timeout"`

	// Format is how the answer is written. "json" is one document, in which the calls stand in the order in which they are declared. The others give each
	// call's answer when it has come: "ndjson" as a line `{"name": …}`, "sse" as an event of that name, "multipart" as a part of that name. By default "json".
	Format string `yaml:"format" enum:"json,ndjson,sse,multipart"`

	// Compose makes the answer of the calls' answers. By default an object with a key for each call.
	Compose Compose `yaml:"compose"`

	// Begin is when the answer begins. "required": once all calls that are required have been answered, so that its status is true; long answers are passed
	// on while they come. "first": with the first answer there is, and the others follow as they come, in any order; one that is required and fails
	// afterwards cuts the answer, or ends it with an error where the format has a place for it. "all": once all have been answered. By default "required" for
	// json, and "first" for the other formats. An answer that Compose computes or merges begins when it is whole.
	Begin string `yaml:"begin" enum:"first,required,all"`

	// Errors adds a member "errors" to the answer, where that is an object, with name, code and status of each call that failed. By default there is none.
	Errors bool `yaml:"errors"`

	// FailureStatus is the status where a required call fails: "gateway" for 504 where it took too long and else 502, "upstream" for the status that the
	// upstream answered, where it did. By default "gateway".
	FailureStatus string `yaml:"failure_status" enum:"gateway,upstream"`

	// Headers are fields of the answer, by name; values are templates, which see the calls' answers, and have the answer wait for those. An empty value takes
	// a field away. By default there are Content-Type, Cache-Control, Vary and ETag.
	Headers map[string]string `yaml:"headers"`

	// Cookies says what becomes of Set-Cookie in the calls' answers: "drop", or "pass" for all of them, in the order of the calls. By default "drop".
	Cookies string `yaml:"cookies" enum:"drop,pass"`

	// ServerTiming adds the field Server-Timing: how long each call took that had ended when the answer began, and when it began, in milliseconds, as
	// browsers show it. By default there is none, for it tells clients what the answer is made of.
	ServerTiming bool `yaml:"server_timing"`

	// MaxPart is how long an answer of a call may be that is held: for other calls, for Compose, and those of a loop together. Others may be longer; they
	// pass through. By default 10MiB.
	MaxPart config.Size `yaml:"max_part" min:"1KiB"`

	// MaxMemory is how much memory one request may take for what it holds: the client's body as calls use it, answers as they came and, where they are looked
	// into, what they are once read, which is 3 to 20 times as much; and what is made of them. A call that would need more fails, and where the answer
	// itself would, it is 502. By default 64MiB.
	MaxMemory config.Size `yaml:"max_memory" min:"256KiB"`

	// MaxBody is how long the client's body may be, where calls use it as `body`. By default 1MiB.
	MaxBody config.Size `yaml:"max_body"`

	// Parallel is how many calls are under way at once for one request, those of loops among them; others wait until one has ended. By default 64: a page of
	// fifty calls takes as long as its slowest one, and still no request, however long its lists, has more connections than that.
	Parallel int `yaml:"parallel" min:"1" max:"1000"`
}

// Default sets the defaults.
func (c *Config) Default() {
	c.Timeout, c.Format, c.FailureStatus, c.Cookies = config.Duration(30*time.Second), "json", "gateway", "drop"
	c.MaxPart, c.MaxMemory, c.MaxBody, c.Parallel = 10<<20, 64<<20, 1<<20, 64
}

// Validate checks what does not go together.
func (c *Config) Validate() error {
	errs := call.CheckDeclared("calls", "call", "profile: GET users/users/{user}", c.Calls, c.More)
	if kind := c.Compose.kind(); c.Errors && (kind == "jq" || kind == "cel") {
		errs = append(errs, config.FieldErrorf("errors", "what `compose` computes has no place for them; the field Cardea-Partial tells of failures"))
	}
	if c.Format != "json" {
		if c.Compose.kind() != "" {
			errs = append(errs, config.FieldErrorf("compose", "%s gives each call's answer by itself; `compose` is for json", c.Format))
		}
		if c.Begin == "required" {
			errs = append(errs, config.FieldErrorf("begin", "%s begins with the first answer, or with all", c.Format))
		}
	}
	return errors.Join(errs...)
}

// Compose makes one document of several. The short form is JQ, or "merge".
type Compose struct {
	// JQ is a jq program, whose input is the object of all answers by name, and whose first output is the answer: `.profile + {orders: .orders.items}`.
	// "merge" alone is Merge with its defaults.
	JQ string `yaml:"jq,short"`

	// CEL is a CEL expression, which sees the answers by their names: `{"name": profile.name, "open": size(orders)}`. Numbers in it are CEL's.
	CEL string `yaml:"cel"`

	// Merge puts answers together which are all objects, or all lists: fields side by side, elements one after the other, in the order of the calls.
	Merge bool `yaml:"merge"`

	// Collisions says what becomes of a field that several answers have, where they are merged: "error" fails the request, "first" and "last" take that of
	// the call that is declared first or last. By default "error".
	Collisions string `yaml:"collisions" enum:"error,first,last"`
}

// Default has collisions be errors.
func (c *Compose) Default() { c.Collisions = "error" }

// kind is how the answer is composed: "" is an object by name.
func (c *Compose) kind() string {
	switch {
	case c.Merge, c.JQ == "merge":
		return "merge"
	case c.JQ != "":
		return "jq"
	case c.CEL != "":
		return "cel"
	}
	return ""
}

// Validate checks that there is one way.
func (c *Compose) Validate() error {
	n := 0
	for _, is := range []bool{c.JQ != "", c.CEL != "", c.Merge} {
		if is {
			n++
		}
	}
	if n > 1 {
		return config.FieldErrorf("", "one of `jq`, `cel` and `merge` makes the answer")
	}
	return nil
}

// Call is a call of an aggregation. The short form is Call.
type Call struct {
	call.Config `yaml:",inline"`

	// Each makes the call once for each element of a list, which `item` stands for in templates: `{each: orders.items, call: "GET stock/items/{item.sku}"}`.
	// The answer is the list of the answers, in the same order.
	Each *Each `yaml:"each"`

	// Optional lets the whole go on without this call: where it fails, the answer has Default in its place, and the field Cardea-Partial tells of it.
	// By default a call is required.
	Optional bool `yaml:"optional"`

	// Default stands for the answer of a call that failed, if it is optional, or was not made by When. By default null for one that failed, and
	// nothing for one that was not made.
	Default config.Node `yaml:"default"`

	// As is the key in the answer. By default the call's name.
	As string `yaml:"as"`

	// Hide keeps the call's answer out of the whole: it is only for other calls. By default it is shown.
	Hide bool `yaml:"hide"`

	// Merge puts the fields of the call's answer, an object, beside the keys of the others rather than below its own. By default it has a key.
	Merge bool `yaml:"merge"`

	document.Edits `yaml:",inline"`
}

// Each makes a call for each element of a list. The short form is In.
type Each struct {
	// In is the list: a part of an earlier answer, `orders.items`, or another CEL expression.
	In string `yaml:"in,short,required"`

	// As is the name of the element in templates. By default "item".
	As string `yaml:"as"`

	// Parallel is how many of the calls are under way at once, where those of the whole leave room. By default 64, as of the whole.
	Parallel int `yaml:"parallel" min:"1" max:"1000"`

	// Max is how many elements the list may have; with more the call fails. By default 100.
	Max int `yaml:"max" min:"1" max:"100000"`
}

// Default sets name and bounds.
func (e *Each) Default() { e.As, e.Parallel, e.Max = "item", 64, 100 }
