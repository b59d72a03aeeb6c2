package jq

import (
	"regexp"
	"strings"
	"sync"
)

// maxSearch bounds how many matches there may be in a text, times its length: the machine counts the characters before each match.
const maxSearch = 256 << 20

// searched looks at a search with a regular expression before it is done.
func searched(m *meter, v any, args []any) error {
	pattern, flags := args[0], args[1]
	if list, ok := pattern.([]any); ok && len(list) > 0 {
		pattern = list[0]
		if len(list) > 1 {
			flags = list[1]
		}
	}
	text, _ := v.(string)
	source, ok := pattern.(string)
	if !ok {
		return m.made(0)
	}
	m.seen.add(source)
	set, _ := flags.(string)
	if n := len(text); n*n > maxSearch && strings.Contains(set, "g") && matches(text, source, set, maxSearch/n) > maxSearch/n {
		return m.stop("a text of %d bytes has too many matches", n)
	}
	return m.made(0)
}

// matches counts matches up to one more than a limit, with the flags as gojq takes them.
func matches(text, source, flags string, limit int) int {
	if strings.Contains(flags, "i") {
		source = "(?i)" + source
	}
	if strings.Contains(flags, "m") {
		source = "(?s)" + source
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return 0
	}
	return len(re.FindAllStringIndex(text, limit+1))
}

// patterns are the regular expressions that a compiled program has met. The machine keeps them all for ever, so a program whose patterns
// come from its input must be compiled anew from time to time.
type patterns struct {
	mu   sync.Mutex
	seen map[string]bool
	size int
}

const (
	maxPatterns    = 1000
	maxPatternSize = 1 << 20
)

func (p *patterns) add(source string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full() || p.seen[source] {
		return
	}
	p.seen[source] = true
	p.size += len(source)
}

func (p *patterns) full() bool { return len(p.seen) >= maxPatterns || p.size > maxPatternSize }

// tooMany says whether the program should be compiled anew.
func (p *patterns) tooMany() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.full()
}
