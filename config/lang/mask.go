package lang

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// secretMask stands for a secret.
const secretMask = "***"

var (
	// userinfoPattern finds the password of a URL.
	userinfoPattern = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s/?#:@"']*:)([^\s/?#"']+)@`)

	// secretName finds names of keys whose values look like secrets.
	secretName = regexp.MustCompile(`(?i)` + secretNames)

	// secretKeyPattern finds such keys in a line, with the value.
	secretKeyPattern = regexp.MustCompile(`(?i)[\w-]*` + secretNames + `[\w-]*["']?\s*:\s+("[^"]*"|'[^']*'|[^\s,{}\[\]&*|>"'$][^,}\]]*)`)
)

// secretNames is what names of secrets have in them.
const secretNames = `(?:secr|passw|token|api[_-]?key|private[_-]?key|credential|authorization)`

// maskURL hides the passwords of URLs in a text. References to variables stay.
func maskURL(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	return userinfoPattern.ReplaceAllStringFunc(s, func(m string) string {
		parts := userinfoPattern.FindStringSubmatch(m)
		if wholeReference(parts[2]) {
			return m
		}
		return parts[1] + secretMask + "@"
	})
}

// span is a stretch of a line, in bytes.
type span struct{ from, to int }

// masked returns a place's line with all secrets in it masked, and the column of the place in that.
func (s *source) masked(at place) (string, int) {
	line := s.lines[at.line-1]
	start := byteOffset(line, at.column)
	spans := append(s.secretSpans(at.line, line), urlSpans(line)...)
	for _, m := range secretKeyPattern.FindAllStringSubmatchIndex(line, -1) {
		if from, to := m[2], m[3]; from != start && tells(strings.Trim(line[from:to], `"' `)) {
			spans = append(spans, span{from, to})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	last, column := 0, at.column
	for _, sp := range spans {
		if sp.from < last {
			continue
		}
		b.WriteString(line[last:sp.from] + secretMask)
		if sp.to <= start {
			column += len(secretMask) - len([]rune(line[sp.from:sp.to]))
		}
		last = sp.to
	}
	b.WriteString(line[last:])
	return b.String(), column
}

// tells reports whether a text that may be a secret would tell one: references do not, nor do switches.
func tells(text string) bool {
	return !wholeReference(text) && !slices.Contains([]string{"", "true", "false", "on", "off"}, text)
}

// secretSpans are the stretches of a line that were decoded into secrets.
func (s *source) secretSpans(number int, line string) []span {
	s.mu.Lock()
	defer s.mu.Unlock()
	var spans []span
	for _, p := range s.secrets[number] {
		from := byteOffset(line, p.column)
		to := byteOffset(line, p.column+p.width)
		if from < to && !wholeReference(strings.Trim(line[from:to], `"' `)) {
			spans = append(spans, span{from, to})
		}
	}
	return spans
}

// urlSpans are the passwords of URLs in a line.
func urlSpans(line string) []span {
	var spans []span
	for _, m := range userinfoPattern.FindAllStringSubmatchIndex(line, -1) {
		if !wholeReference(line[m[4]:m[5]]) {
			spans = append(spans, span{m[4], m[5]})
		}
	}
	return spans
}

// byteOffset is where a column begins in a line.
func byteOffset(line string, column int) int {
	for i := range line {
		if column--; column < 1 {
			return i
		}
	}
	return len(line)
}
