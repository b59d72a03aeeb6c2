package jq

import (
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/itchyny/gojq"
)

// meter counts what one run makes.
type meter struct {
	size int64 // of one value
	left int64 // of all values together
	seen *patterns
	err  error // the bound that was reached, which no `try` of the program undoes
}

const (
	maxDigits   = 10_000      // of a number that is computed with
	maxCompares = 100_000_000 // in one step
	largeIndex  = 100_000     // from which on it counts as a list that is made
	itemSize    = 16          // of an element in memory
	fieldSize   = 48          // of a field in memory
	objectSize  = 288         // of an object in memory, apart from its fields
)

// boundError is a bound that was reached.
type boundError struct{ reason string }

func (e *boundError) Error() string { return e.reason }

func (m *meter) stop(format string, args ...any) error {
	if m.err == nil {
		m.err = &boundError{fmt.Sprintf(format, args...)}
	}
	return m.err
}

// made counts a value of so many bytes that is about to be made.
func (m *meter) made(n int64) error {
	if m.err != nil {
		return m.err
	}
	if n > m.size*itemSize/2 {
		return m.stop("a value would be longer than the program may make")
	}
	if m.left -= n; m.left < 0 {
		return m.stop("the program makes too much")
	}
	return nil
}

// text counts a text, which may be no longer than an output.
func (m *meter) text(n int64) error {
	if n > m.size {
		return m.stop("a text would be longer than %d bytes", m.size)
	}
	return m.made(n)
}

// sum counts what parts make when added.
func (m *meter) sum(parts ...any) error {
	var texts, memory int64
	for _, v := range parts {
		switch v := v.(type) {
		case string:
			texts += int64(len(v))
		case []any:
			memory += int64(len(v)) * itemSize
		case map[string]any:
			memory += int64(len(v)) * fieldSize
		case json.Number:
			if len(v) > maxDigits {
				return m.stop("a number has more than %d digits: it is too long to compute with", maxDigits)
			}
		}
	}
	if texts > 0 {
		if err := m.text(texts); err != nil {
			return err
		}
	}
	return m.made(memory)
}

// parts counts a list or an object that a program has put together.
func (m *meter) parts(v any) error {
	switch v := v.(type) {
	case []any:
		return m.made(int64(len(v)) * itemSize)
	case map[string]any:
		return m.made(objectSize + int64(len(v))*fieldSize)
	}
	return nil
}

func (m *meter) product(l, r any) error {
	if _, ok := l.(string); !ok {
		l, r = r, l
	}
	if s, ok := l.(string); ok {
		n, _ := gojq.ToFloat64(r)
		if total := float64(len(s)) * n; total > float64(m.size) {
			return m.text(m.size + 1)
		}
		return m.text(int64(float64(len(s)) * max(n, 0)))
	}
	if bits(l)+bits(r) > maxDigits*10/3 {
		return m.stop("a product would have more than %d digits", maxDigits)
	}
	return m.sum(l, r)
}

func bits(v any) int {
	switch v := v.(type) {
	case *big.Int:
		return v.BitLen()
	case json.Number:
		return len(v) * 10 / 3
	}
	return 0
}

// compares counts the comparisons of each part of one value with each of another.
func (m *meter) compares(a, b any) error {
	if m.err != nil {
		return m.err
	}
	if _, ok := a.(string); ok {
		return nil
	}
	if n := nodes(a, maxCompares) * nodes(b, maxCompares); n > maxCompares {
		return m.stop("the program compares too much in one step")
	}
	return nil
}

// nodes counts the values in a value, up to a limit.
func nodes(v any, limit int64) int64 {
	n := int64(1)
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if n += nodes(item, limit-n); n > limit {
				break
			}
		}
	case map[string]any:
		for _, item := range v {
			if n += nodes(item, limit-n); n > limit {
				break
			}
		}
	}
	return n
}

func (m *meter) transposed(v any) error {
	list, _ := v.([]any)
	longest := 0
	for _, row := range list {
		row, _ := row.([]any)
		longest = max(longest, len(row))
	}
	return m.made(int64(longest) * int64(len(list)) * itemSize)
}

// at checks an index: a value may be set there, which makes the list so long.
func (m *meter) at(v any) error {
	if m.err != nil {
		return m.err
	}
	switch v.(type) {
	case int, float64, *big.Int, json.Number:
	default:
		return nil
	}
	i, _ := gojq.ToInt(v)
	if int64(i) > m.size/2 {
		return m.stop("the index %s is larger than any that a document has", gojq.Preview(v))
	}
	if i > largeIndex {
		return m.made(int64(i) * itemSize)
	}
	return nil
}

func (m *meter) path(p any) error {
	list, _ := p.([]any)
	for _, step := range list {
		if err := m.at(step); err != nil {
			return err
		}
	}
	return m.made(0)
}

// numbers refuses numbers that would take long to compute with.
func (m *meter) numbers(v any) error {
	switch v := v.(type) {
	case json.Number:
		if len(v) > maxDigits {
			return m.stop("a number has more than %d digits, which is more than programs can be given", maxDigits)
		}
	case []any:
		for _, item := range v {
			if err := m.numbers(item); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, item := range v {
			if err := m.numbers(item); err != nil {
				return err
			}
		}
	}
	return nil
}
