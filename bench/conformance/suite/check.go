package suite

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// Check is something that must hold of what was seen in a step.
type Check struct {
	given bool // whether the scenario says nothing where it does not hold
	holds func(*seen) error
}

// seen is what both sides saw in a step.
type seen struct {
	step   int // counted from 1
	status int
	header http.Header
	body   string
	broken error           // why the answer ended early
	asked  []*http.Request // what the origin saw
	expand func(string) string
}

// from is the number of the step whose answer the client got; 0 where the cache made it itself.
func (s *seen) from() int {
	n, _ := strconv.Atoi(s.header.Get("Answer"))
	return n
}

func (s *seen) conditional() bool {
	return slices.ContainsFunc(s.asked, func(r *http.Request) bool {
		return r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != ""
	})
}

func check(holds func(*seen) error) Check { return Check{holds: holds} }

// given makes a check one that the scenario needs, and is not about.
func given(c Check) Check { return Check{given: true, holds: c.holds} }

// either holds where one of the checks does.
func either(some ...Check) Check {
	return check(func(s *seen) error {
		var last error
		for _, c := range some {
			if last = c.holds(s); last == nil {
				return nil
			}
		}
		return last
	})
}

// when makes a check one that must hold only where a condition does.
func when(condition, c Check) Check {
	return check(func(s *seen) error {
		if condition.holds(s) == nil {
			return c.holds(s)
		}
		return nil
	})
}

var (
	// hit: the cache answered from what it has, without asking.
	hit = check(func(s *seen) error {
		if len(s.asked) > 0 {
			return fmt.Errorf("the origin was asked")
		}
		if s.from() == 0 && s.status != http.StatusNotModified && s.status != http.StatusPartialContent {
			return fmt.Errorf("the cache made an answer of its own, %d", s.status)
		}
		return s.broken
	})
	// asked: the origin was asked.
	asked = check(func(s *seen) error {
		if len(s.asked) == 0 {
			return fmt.Errorf("the origin was not asked")
		}
		return nil
	})
	// unasked: the origin was not asked.
	unasked = check(func(s *seen) error {
		if len(s.asked) > 0 {
			return fmt.Errorf("the origin was asked")
		}
		return nil
	})
	// miss: the client got what the origin answered now.
	miss = check(func(s *seen) error {
		if len(s.asked) == 0 {
			return fmt.Errorf("the origin was not asked")
		}
		if s.from() != s.step {
			return fmt.Errorf("the answer is not this step's, but that of step %d (status %d)", s.from(), s.status)
		}
		return nil
	})
	// validated: the origin was asked whether what is stored still holds, and the client got that.
	validated = check(func(s *seen) error {
		if !s.conditional() {
			return fmt.Errorf("the origin was not asked with a condition")
		}
		if from := s.from(); from == 0 || from == s.step {
			return fmt.Errorf("the answer is not what was stored (step %d, status %d)", from, s.status)
		}
		return s.broken
	})
	// failed: the client was told of an error, not given what was stored.
	failed = check(func(s *seen) error {
		if s.broken == nil && s.status < 500 {
			return fmt.Errorf("the client got %d (step %d)", s.status, s.from())
		}
		return nil
	})
	// whole: nothing was missing.
	whole = check(func(s *seen) error { return s.broken })
)

// from: the client got the answer of a step.
func from(step int) Check {
	return check(func(s *seen) error {
		if s.from() != step {
			return fmt.Errorf("the answer is that of step %d, not of %d (status %d)", s.from(), step, s.status)
		}
		return s.broken
	})
}

// notFrom: the client did not get the answer of a step.
func notFrom(step int) Check {
	return check(func(s *seen) error {
		if s.from() == step {
			return fmt.Errorf("the answer is that of step %d", step)
		}
		return nil
	})
}

func status(codes ...int) Check {
	return check(func(s *seen) error {
		if !slices.Contains(codes, s.status) {
			return fmt.Errorf("status is %d, not %v", s.status, codes)
		}
		return nil
	})
}

// field: a field has this value, and no other.
func field(line string) Check {
	name, value, _ := strings.Cut(line, ": ")
	return check(func(s *seen) error {
		want := s.expand(value)
		if got := strings.Join(s.header.Values(name), ", "); got != want {
			return fmt.Errorf("%s is %q, not %q", name, got, want)
		}
		return nil
	})
}

// has: one of a field's lines contains this text.
func has(line string) Check {
	name, value, _ := strings.Cut(line, ": ")
	return check(func(s *seen) error {
		want := s.expand(value)
		if got := strings.Join(s.header.Values(name), ", "); !strings.Contains(got, want) || got == "" {
			return fmt.Errorf("%s is %q, without %q", name, got, want)
		}
		return nil
	})
}

// hasNot: no line of a field contains this text.
func hasNot(line string) Check {
	name, value, _ := strings.Cut(line, ": ")
	return check(func(s *seen) error {
		if got := strings.Join(s.header.Values(name), ", "); got != "" && strings.Contains(got, value) {
			return fmt.Errorf("%s is %q", name, got)
		}
		return nil
	})
}

func present(name string) Check {
	return check(func(s *seen) error {
		if len(s.header.Values(name)) == 0 {
			return fmt.Errorf("%s is missing", name)
		}
		return nil
	})
}

func absent(name string) Check {
	return check(func(s *seen) error {
		if got := s.header.Values(name); len(got) > 0 {
			return fmt.Errorf("%s is there: %q", name, got)
		}
		return nil
	})
}

// age: there is one Age, in these bounds.
func age(least, most int) Check {
	return check(func(s *seen) error {
		all := s.header.Values("Age")
		if len(all) != 1 {
			return fmt.Errorf("Age is %q", all)
		}
		if n, err := strconv.Atoi(all[0]); err != nil || n < least || n > most {
			return fmt.Errorf("Age is %s, not from %d to %d", all[0], least, most)
		}
		return nil
	})
}

func body(text string) Check {
	return check(func(s *seen) error {
		if s.body != text || s.broken != nil {
			return fmt.Errorf("the body is %.60q, not %.60q, and how it ended is %w", s.body, text, cmp.Or(s.broken, io.EOF))
		}
		return nil
	})
}

// saw: the origin got a field with this value.
func saw(line string) Check {
	name, value, _ := strings.Cut(line, ": ")
	return check(func(s *seen) error {
		want := s.expand(value)
		for _, r := range s.asked {
			if got := strings.Join(r.Header.Values(name), ", "); got != want {
				return fmt.Errorf("the origin got %s %q, not %q", name, got, want)
			}
		}
		if len(s.asked) == 0 {
			return fmt.Errorf("the origin was not asked")
		}
		return nil
	})
}

// sawNo: the origin did not get a field.
func sawNo(name string) Check {
	return check(func(s *seen) error {
		for _, r := range s.asked {
			if got := r.Header[textproto.CanonicalMIMEHeaderKey(name)]; len(got) > 0 {
				return fmt.Errorf("the origin got %s %q", name, got)
			}
		}
		return nil
	})
}

// times: how often the origin was asked.
func times(least, most int) Check {
	return check(func(s *seen) error {
		if n := len(s.asked); n < least || n > most {
			return fmt.Errorf("the origin was asked %d times, not %d to %d", n, least, most)
		}
		return nil
	})
}
