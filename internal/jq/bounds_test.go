package jq_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/itchyny/gojq"

	"cardea.dev/cardea/internal/jq"
)

// TestBounds has programs that would take all memory, all time, or never end.
func TestBounds(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	wide := make([]any, 3000)
	for i := range wide {
		wide[i] = []any{}
	}
	wide[0] = make([]any, 1_000_000)
	digits := json.Number(strings.Repeat("9", 10_001))
	tests := []struct {
		program string
		input   any
		want    string
	}{
		{`repeat(1)`, nil, "more than 1000 outputs"},
		{`range(infinite)`, nil, "more than 1000 outputs"},
		{`[range(infinite)]`, nil, "does not come to an end"},
		{`last(range(infinite))`, nil, "does not come to an end"},
		{`def f: f; f`, nil, "does not come to an end"},
		{`def f: [f]; f`, nil, "does not come to an end"},
		{`def f: f | f; f`, nil, "does not come to an end"},
		{`[recurse(. + 1)]`, 0, "does not come to an end"},
		{`until(false; . + 1)`, 0, "does not come to an end"},
		{`[limit(1e9; repeat("x"))]`, nil, "does not come to an end"},
		{`reduce range(1e9) as $i (0; [.])`, nil, "does not come to an end"},
		{`try repeat(error("x")) catch .`, nil, ""},
		{`[while(true; .)]`, nil, "does not come to an end"},
		{`. * 100`, long, "a text would be longer"},
		{`"x" * 1e9`, nil, "a text would be longer"},
		{`"x" * infinite`, nil, "a text would be longer"},
		{`reduce range(100) as $i ("x"; . + .)`, nil, "a text would be longer"},
		{`reduce range(100) as $i ({a: "x"}; .a += .a)`, nil, "a text would be longer"},
		{`reduce range(100) as $i ("x"; "\(.)\(.)")`, nil, "a text would be longer"},
		{`reduce range(100) as $i ("x"; {"\(.)\(.)": 1} | keys[0])`, nil, "a text would be longer"},
		{`reduce range(100) as $i ("\""; @json)`, nil, "a text would be longer"},
		{`reduce range(100) as $i ("\""; tojson)`, nil, "a text would be longer"},
		{`reduce range(100) as $i ("\""; format("json"))`, nil, "a text would be longer"},
		{`reduce range(100) as $i ("x"; [., .] | add)`, nil, "a text would be longer"},
		{`reduce range(100) as $i ("x"; [., .] | join("-"))`, nil, "a text would be longer"},
		{`reduce range(100) as $i ("x"; add(., .))`, nil, "a text would be longer"},
		{`reduce range(100) as $i ([1]; . + .)`, nil, "longer than the program may make"},
		{`reduce range(100) as $i ([1]; [., .] | add)`, nil, "longer than the program may make"},
		{`reduce range(60) as $i (1; [., .])`, nil, "the outputs are longer"},
		{`reduce range(60) as $i (1; [., .]) | tojson`, nil, "a text would be longer"},
		{`reduce range(60) as $i (1; [., .]) | tostring`, nil, "a text would be longer"},
		{`reduce range(60) as $i (1; [., .]) | "\(.)"`, nil, "a text would be longer"},
		{`reduce range(60) as $i (1; [., .]) | @text`, nil, "a text would be longer"},
		{`reduce range(60) as $i (1; [., .]) | contains([1])`, nil, "compares too much"},
		{`reduce range(100) as $i (10; . * .)`, nil, "digits"},
		{`[limit(900; repeat(.)) | . + tojson]`, long, "makes too much"},
		{`[limit(900; repeat(.)) | explode]`, long, "makes too much"},
		{`[.[1e8] = 1]`, nil, "the index"},
		{`.a[.n] = 1`, map[string]any{"n": json.Number("100000000")}, "the index"},
		{`setpath(["a", .n]; 1)`, map[string]any{"n": 100_000_000}, "the index"},
		{`fromstream(.[])`, []any{[]any{[]any{100_000_000}, 1}, []any{[]any{100_000_000}}}, "the index"},
		{`pick(.[100000000])`, nil, "the index"},
		{`try (.[1e8] = 1) catch 7`, nil, "the index"},
		{`transpose`, wide, "longer than the program may make"},
		{`. as $x | contains($x)`, wide, "compares too much"},
		{`[range(20000)] as $x | $x - $x`, nil, "compares too much"},
		{`gsub("a"; "b")`, long, "too many matches"},
		{`[match("a"; "g")]`, long, "too many matches"},
		{`[scan("a")]`, long, "too many matches"},
		{`[splits("a")]`, long, "too many matches"},
		{`split("a"; null)`, long, "too many matches"},
		{`gsub(""; $x)`, long[:1000], "a text would be longer"},
		{`.[0] + 1`, []any{digits}, "digits"},
		{`tonumber`, string(digits), "too long for a number"},
		{`fromjson`, "[" + string(digits) + "]", "digits"},
		{`fromjson`, strings.Repeat("[", 100_000), ""},
	}
	for _, tt := range tests {
		name := tt.program
		t.Run(name, func(t *testing.T) {
			p, err := jq.Compile(tt.program, "$x")
			if err != nil {
				t.Fatal(err)
			}
			outputs, err := p.Within(jq.Bounds{Steps: 300_000}).Run(context.Background(), tt.input, long)
			e := (*jq.RunError)(nil)
			switch {
			case tt.want == "" && (err == nil || errors.As(err, &e)):
			case !errors.As(err, &e) || !e.Exceeded || !strings.Contains(err.Error(), tt.want):
				t.Errorf("got %d outputs, %v; want %q", len(outputs), err, tt.want)
			}
		})
	}
}

func TestBoundsCanBeChosen(t *testing.T) {
	p, err := jq.Compile(`.[]`)
	if err != nil {
		t.Fatal(err)
	}
	input := []any{"abc", "def", "ghi"}
	for _, b := range []jq.Bounds{{Outputs: 2}, {Size: 12}, {Steps: 5}} {
		if got, err := p.Within(b).Run(context.Background(), input); err == nil {
			t.Errorf("%+v: got %v", b, got)
		}
	}
	if got, err := p.Within(jq.Bounds{Outputs: 3, Size: 15}).Run(context.Background(), input); err != nil || !reflect.DeepEqual(got, input) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestContextEndsARun(t *testing.T) {
	p, err := jq.Compile(`[range(infinite)]`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("gone"))
	if _, err := p.Run(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestInputIsNotChanged(t *testing.T) {
	for _, program := range []string{`.a = 1`, `.b.c += 1`, `del(.b)`, `.l[0] |= . + 1`, `sort_by(.)?`, `.l |= sort`, `walk(.)`, `.l += [1]`, `map_values(1)`} {
		p, err := jq.Compile(program)
		if err != nil {
			t.Fatal(err)
		}
		make := func() any {
			return map[string]any{"b": map[string]any{"c": json.Number("1")}, "l": []any{json.Number("3"), json.Number("2")}}
		}
		input := make()
		if _, err := p.Run(context.Background(), input); err != nil {
			t.Fatalf("%s: %v", program, err)
		}
		if !reflect.DeepEqual(input, make()) {
			t.Errorf("%s changed its input to %v", program, input)
		}
	}
}

func TestNothingIsSeen(t *testing.T) {
	t.Setenv("SECRET", "x")
	for program, want := range map[string]string{
		`env`:                             "no environment",
		`$ENV.SECRET`:                     "no environment",
		`[.[] | env.SECRET]`:              "no environment",
		`input`:                           "not allowed",
		`[inputs]`:                        "not allowed",
		`import "a" as a; 1`:              "modules",
		`include "a"; 1`:                  "modules",
		`"a" | modulemeta`:                "no environment and no modules",
		`get_search_list`:                 "no environment and no modules",
		`$__cardea`:                       "taken",
		`_cardea_made(1)`:                 "taken",
		`$__prog_args`:                    "not defined",
		`input_line_number | foo`:         "not defined",
		`def f: reduce . as $x (0; $y);f`: "not defined",
	} {
		if _, err := jq.Compile(program); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want %q", program, err, want)
		}
	}
	if _, err := jq.Compile(`def env: 1; env`); err != nil {
		t.Errorf("a program's own env: %v", err)
	}
}

func TestErrorsHaveTheirPlace(t *testing.T) {
	tests := []struct {
		program, want string
		line, column  int
	}{
		{`.a |`, "unexpected EOF", 1, 5},
		{"{a: 1,\n b: }", "unexpected token", 2, 5},
		{".a\n  | foo(1)", "function not defined: foo/1", 2, 5},
		{`.a + $x`, "variable not defined: $x", 1, 6},
		{`"é" + $x`, "variable not defined", 1, 7},
		{`"abc`, "unterminated string", 1, 5},
		{`.a[`, "unexpected EOF", 1, 4},
		{``, "missing query", 0, 0},
		{`env`, "no environment", 1, 1},
		{`. | import`, "unexpected token", 1, 5},
	}
	for _, tt := range tests {
		_, err := jq.Compile(tt.program)
		e := (*jq.Error)(nil)
		if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) || e.Line != tt.line || e.Column != tt.column {
			t.Errorf("%q: got %#v; want %q at %d:%d", tt.program, err, tt.want, tt.line, tt.column)
		}
	}
}

func TestRunErrorsAreShort(t *testing.T) {
	long := strings.Repeat("secret", 10_000)
	for _, program := range []string{`error`, `halt_error`, `error({a: .})`, `.a`, `keys`, `{(.): 1} | error`, `. - 1`} {
		_, err := mustCompile(t, program).Run(context.Background(), long)
		if e := (*jq.RunError)(nil); !errors.As(err, &e) || e.Exceeded || len(err.Error()) > 300 {
			t.Errorf("%s: got %.400v", program, err)
		}
	}
}

func TestManyRunAProgram(t *testing.T) {
	p := mustCompile(t, `reduce range(100) as $i (.; . + 1)`)
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for j := range 100 {
				got, err := p.Run(context.Background(), j)
				if err != nil || !reflect.DeepEqual(got, []any{j + 100}) {
					t.Fatalf("got %v, %v", got, err)
				}
			}
		})
	}
}

func mustCompile(t testing.TB, program string, variables ...string) *jq.Program {
	t.Helper()
	p, err := jq.Compile(program, variables...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPatternsOfInputsAreNotKept(t *testing.T) {
	p := mustCompile(t, `. as $re | "abc" | [test($re), sub($re; "x")]`)
	for i := range 3000 {
		got, err := p.Run(context.Background(), fmt.Sprintf("b(?:%d)?", i))
		if err != nil || !reflect.DeepEqual(got, []any{[]any{true, "axc"}}) {
			t.Fatalf("got %v, %v", got, err)
		}
	}
}

// TestNumbersAreComputedAsByTheMachine compares what is computed here with what gojq computes.
func TestNumbersAreComputedAsByTheMachine(t *testing.T) {
	var numbers []any
	for _, n := range []string{"0", "-0", "1", "-7", "1.0", "0.1", "1e2", "-2.5e-3", "2147483648", "2147483649", "9223372036854775807", "9223372036854775808", "1e400", "-1e400", "0e1", "12345678901234567890.5"} {
		numbers = append(numbers, json.Number(n))
	}
	numbers = append(numbers, 1, -1, 1.5, 1<<62)
	for op, guarded := range map[string]*jq.Program{"+": mustCompile(t, `$a + $b`, "$a", "$b"), "-": mustCompile(t, `$a - $b`, "$a", "$b"), "*": mustCompile(t, `$a * $b`, "$a", "$b")} {
		query, err := gojq.Parse("$a " + op + " $b")
		if err != nil {
			t.Fatal(err)
		}
		native, err := gojq.Compile(query, gojq.WithVariables([]string{"$a", "$b"}))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range numbers {
			for _, b := range numbers {
				want, _ := native.Run(nil, a, b).Next()
				got, err := guarded.Run(context.Background(), nil, a, b)
				wantText, _ := gojq.Marshal(want)
				gotText, _ := gojq.Marshal(got[0])
				if err != nil || string(gotText) != string(wantText) {
					t.Errorf("%v %s %v: got %s, %v; want %s", a, op, b, gotText, err, wantText)
				}
			}
		}
	}
}

// TestPartsCount: what is put together by `{…}` and `[…]` is work, too.
func TestPartsCount(t *testing.T) {
	for _, source := range []string{`[range(100_000) | {x: .}] | length`, `[range(1000) as $i | [range(1000)]] | length`, `[range(100_000) | {x: .}.x] | length`} {
		p, err := jq.Compile(strings.ReplaceAll(source, "_", ""))
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Within(jq.Bounds{Work: 8 << 20}).Run(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), "makes too much") {
			t.Errorf("%s: %v", source, err)
		}
	}
}
