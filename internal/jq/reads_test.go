package jq

import (
	"slices"
	"strings"
	"testing"
)

// TestReads: ways that are certain, and none of those that are not.
func TestReads(t *testing.T) {
	for _, test := range []struct{ source, want string }{
		{`.`, ``},
		{`.a.b`, `.a .a.b`},
		{`.a["b"].c`, `.a .a.b .a.b.c`},
		{`.["a b"]`, `.a b`},
		{`.a[0].b, .c[-1]`, `.a .a[0] .a[0].b .c .c[0]`},
		{`.a[].b`, `.a .a[] .a[].b`},
		{`.a[] | .b | .c`, `.a .a[] .a[].b .a[].b.c`},
		{`{a, b: .c.d, "e": .f, g: [.h[].i]}`, `.a .c .c.d .f .h .h[] .h[].i`},
		{`{"a"}`, `.a`},
		{`{$x}`, ``},
		{`{(.a): .b}`, `.a .b`},
		{`.a + {b: .c}`, `.a .c`},
		{`"x \(.a.b)"`, `.a .a.b`},
		{`@base64 "x\(.a)"`, `.a`},
		{`.a | map(.b)`, `.a .a[] .a[].b`},
		{`.a | map(select(.b > 1).c)`, `.a .a[] .a[].b .a[].c`},
		{`[.a[] | select(.b) | .c] | add`, `.a .a[] .a[].b .a[].c`},
		{`.a | sort_by(.b) | first | .c`, `.a .a[] .a[].b .a[0] .a[0].c`},
		{`if .a then .b elif .c then .d else .e end`, `.a .b .c .d .e`},
		{`.a as $x | .b | $x.c`, `.a .b`},
		{`.a as {b: $c} | .d`, `.a .d`},
		{`reduce .a[] as $x (0; . + $x.y)`, `.a .a[]`},
		{`-.a`, `.a`},
		{`first(.a[]).b`, `.a .a[] .a[].b`},
		{`.a?`, ``},
		{`.a.b?`, ``},
		{`.a?.b`, ``},
		{`.a[]?`, ``},
		{`.a // .b`, `.b`},
		{`(.a // {}).b`, ``},
		{`try .a catch .b`, ``},
		{`has("a") and .a.b`, ``},
		{`if has("a") then .a.b else .c end`, `.c`},
		{`.x | select(has("a")) | .a`, `.x`},
		{`.a = .b`, `.b`},
		{`.a |= .b`, ``},
		{`.a.x += 1 | .y`, ``},
		{`del(.a)`, ``},
		{`to_entries | .[].key`, ``},
		{`.. | .a`, ``},
		{`def map(f): 1; map(.a)`, ``},
		{`def f: .a; f | .b`, ``},
		{`.[.a]`, `.a`},
		{`.a[.b:.c].d`, `.a`},
		{`with_entries(.value)`, ``},
		{`path(.a)`, ``},
		{`input.a`, ``},
		{`if .a.b? then .a.b.c else .a.d end`, `.a .a.d`},
		{`.a[] | select(.b? != null) | .b, .c`, `.a .a[] .a[].c`},
		{`(.a.b // 1) + .a.c + .d.b`, `.a .a.c .d .d.b`},
		{`if .error != null then .error.message else .id end`, `.id`},
		{`.a[] | select(.gone == null) | .gone, .b`, `.a .a[] .a[].b`},
		{`.a == .b`, `.a .b`},
		{`null == .a.b`, ``},
		{`.a | if type == "array" then .[0].b else .b end`, `.a`},
		{`.a | map(if type == "object" then .id else . end)`, `.a .a[]`},
		{`if .x then .y elif (.a | type) == "string" then .a.b else .z end`, `.x .y .a`},
		{`.a[] | select(type == "object") | .b`, `.a .a[]`},
		{`.a[] | select(type == "object" and .b > 1) | .c`, `.a .a[]`},
		{`select(.type == "a") | .b`, `.type .b`},
		{`.a and .b.c`, `.a .b .b.c`},
		{`.a | to_entries | map({(.key): .value.id}) | add`, `.a`},
		{`.a as {b: {c: $d}} | .e + $d`, `.a .e`},
		{`.a[] as [$x, $y] ?// $x | .b`, `.a .a[] .b`},
		{`$__loc__.file, env.HOME, $ENV.HOME, input.a, @base64`, ``},
		{`label $out | .a | break $out`, ``},
		{`[limit(3; .a[].b)]`, ``},
		{`.a | group_by(.b) | map({k: .[0].c})`, `.a .a[] .a[].b`},
		{`.x // .y // "none"`, ``},
		{`."a\(.b)".c`, ``},
		{`.a[2:4][0].b`, `.a`},
		{`syntax error (`, ``},
	} {
		var got []string
		for _, r := range Reads(test.source) {
			var b strings.Builder
			for _, s := range r.Way {
				switch {
				case s.Each:
					b.WriteString("[]")
				case s.List:
					b.WriteString("[0]")
				default:
					b.WriteString("." + s.Name)
				}
			}
			if !slices.Contains(got, b.String()) {
				got = append(got, b.String())
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s\nreads %s\nwanted %s", test.source, strings.Join(got, " "), test.want)
		}
	}
}
