package jq_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/jq"
)

func TestCases(t *testing.T) {
	text, err := os.ReadFile("testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for block := range strings.SplitSeq(string(text), "\n\n") {
		var lines []string
		for line := range strings.SplitSeq(strings.TrimSpace(block), "\n") {
			if line != "" && !strings.HasPrefix(line, "# ") {
				lines = append(lines, line)
			}
		}
		if len(lines) == 0 {
			continue
		}
		n++
		t.Run(lines[0], func(t *testing.T) { testCase(t, lines[0], lines[1], lines[2:]) })
	}
	if n < 250 {
		t.Errorf("only %d cases were found", n)
	}
}

func testCase(t *testing.T, program, input string, want []string) {
	outputs, err := run(program, input)
	if len(want) == 1 && strings.HasPrefix(want[0], "!") {
		if err == nil || !strings.Contains(err.Error(), want[0][1:]) {
			t.Errorf("got %s, %v; want an error with %q", outputs, err, want[0][1:])
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		v, err := document.Read(strings.NewReader(want[i]), document.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", want[i], err)
		}
		b, _ := document.Append(nil, v)
		want[i] = string(b)
	}
	if got := strings.Join(outputs, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// run runs a program on a JSON text, and returns the outputs as such.
func run(program, input string) ([]string, error) {
	p, err := jq.Compile(program)
	if err != nil {
		return nil, err
	}
	v, err := document.Read(strings.NewReader(input), document.Limits{})
	if err != nil {
		return nil, err
	}
	outputs, err := p.Run(context.Background(), v)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(outputs))
	for i, v := range outputs {
		b, err := document.Append(nil, v)
		if err != nil {
			return nil, err
		}
		texts[i] = string(b)
	}
	return texts, nil
}
