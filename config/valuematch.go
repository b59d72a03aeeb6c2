package config

import (
	"fmt"
	"strings"
)

// Expected says what the short form looks like.
func (ValueMatch) Expected() string {
	return "a value, true (it is there), false (it is not), ~ and a regular expression, or an object with one of the keys is, matches, present"
}

// UnmarshalText reads the short form: true or false for Present, "~" and an expression for Matches, else Is.
func (m *ValueMatch) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "true" || s == "false" {
		present := s == "true"
		m.Present = &present
		return nil
	}
	if expression, ok := strings.CutPrefix(s, "~"); ok {
		if expression == "" {
			return fmt.Errorf("the regular expression after ~ is empty")
		}
		m.Matches = expression
		return nil
	}
	m.Is = &s
	return nil
}

// Validate checks that there is one condition, and that its expression compiles.
func (m *ValueMatch) Validate() error {
	var set []string
	if m.Is != nil {
		set = append(set, "is")
	}
	if m.Matches != "" {
		set = append(set, "matches")
	}
	if m.Present != nil {
		set = append(set, "present")
	}
	switch {
	case len(set) == 0:
		return fmt.Errorf("the condition is empty; write one of the keys is, matches or present")
	case len(set) > 1:
		return FieldErrorf(set[len(set)-1], "only one of is, matches and present can be set; there are %s", strings.Join(set, " and "))
	case m.Matches != "":
		if err := compileWhole(m.Matches); err != nil {
			return &FieldError{Path: "matches", Err: err}
		}
	}
	return nil
}
