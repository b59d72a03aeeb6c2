package filter

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Call is one of the calls that an answer is made of, as operators are told of it: planned, or made. It has no values that may be secret: no query, no
// fields, no body.
type Call struct {
	Name      string // unique among those of an exchange
	Role      Role
	Of        string // the call that it undoes, or repeats
	Upstream  string
	Method    string
	Operation string   // that it is by the OpenAPI document of its service: "getUser"; "" where that is not known
	Path      string   // escaped, without query; of a plan as it is written, without values of the query that are no templates
	After     []string // names of the calls that it waits for
	Optional  bool     // the answer can do without it
	When      string   // its condition, as it is written
	Each      string   // the list that it is made for each element of, as it is written
	Note      string   // what else operators should know of a plan

	Outcome    Outcome
	Status     int    // of the last answer; 0: none came
	Code       Code   // of its failure
	Why        string // it failed, for operators
	Begin, End time.Duration
	Passed     time.Duration // when the rest of a long answer had been passed on; 0: it was not a long one
	Same       string        // the call whose answer it shares, for the requests are the same
	Loop       *Loop         // nil: it is made once
	Tries      int
	Attempts   []Attempt // the first ones, and the last
}

// Role is what a call is for.
type Role string

// Roles of calls. "" is one that the answer is made of.
const (
	Undoes  Role = "undo"   // it undoes what another did
	Repeats Role = "repeat" // it asks again what became of another
)

// Outcome is what came of a call.
type Outcome string

// Outcomes of calls.
const (
	CallOK        Outcome = "ok"
	CallFails     Outcome = "failed"
	CallDefault   Outcome = "default"   // it failed, and its default stands for its answer
	CallSkipped   Outcome = "skipped"   // its condition did not hold
	CallWaiting   Outcome = "waiting"   // it was not begun before all was over
	CallCancelled Outcome = "cancelled" // all was over before it had ended
	CallUnknown   Outcome = "unknown"   // nobody knows whether it did something
	CallUndone    Outcome = "undone"    // it did something, or may have, which was undone
	CallKept      Outcome = "kept"      // it did something, or may have, which was left so on purpose
	CallStuck     Outcome = "stuck"     // it did something, or may have, which could not be undone
)

// Loop sums up a call that is made for each element of a list. Path, status, code and attempts of the Call are those of one element: of the first that
// failed, or else of the slowest.
type Loop struct {
	Times       int // elements
	Made        int // of them
	Failed      int
	Shared      int // had the answer of another element, or call
	Element     int // the one that the attempts are of
	Slowest     int // the one that took longest
	SlowestTook time.Duration
}

// Bounds of what is told of calls.
const (
	MaxCalls    = 100 // of an exchange
	maxAttempts = 8   // of a call
	maxText     = 300 // bytes
)

// Failing says whether something went wrong with the call: there is something to look for.
func (c *Call) Failing() bool {
	switch c.Outcome {
	case CallOK, CallSkipped:
		return c.Loop != nil && c.Loop.Failed > 0
	}
	return true
}

// Tried adds attempts, of which the first ones are kept, and the last.
func (c *Call) Tried(attempts []Attempt) {
	for i := range attempts {
		a := &attempts[i]
		c.Tries++
		if c.Status = a.Status; len(c.Attempts) < maxAttempts {
			c.Attempts = append(c.Attempts, *a)
		} else {
			c.Attempts[maxAttempts-1] = *a
		}
	}
}

// Because notes why the call failed. Nil is no failure.
func (c *Call) Because(code Code, err error) {
	if err != nil {
		c.Code, c.Why = code, Brief(strings.TrimPrefix(err.Error(), string(code)+": "))
	}
}

// At notes the path, which is escaped.
func (c *Call) At(path string) { c.Path = Brief(path) }

// Brief is the beginning of a text that may be long, in memory of its own where it was cut.
func Brief(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.Clone(s[:end]) + "…"
}
