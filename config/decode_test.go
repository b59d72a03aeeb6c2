package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sample has a field of every kind.
type sample struct {
	Text     string            `yaml:"text"`
	Number   int               `yaml:"number" min:"1" max:"65535"`
	Small    int8              `yaml:"small"`
	Positive uint16            `yaml:"positive"`
	Float    float64           `yaml:"float"`
	Flag     bool              `yaml:"flag"`
	Pointer  *int              `yaml:"pointer"`
	Mode     string            `yaml:"mode" enum:"fast,slow,careful"`
	Modes    []string          `yaml:"modes" enum:"fast,slow,careful"`
	Time     Duration          `yaml:"time" min:"10ms" max:"1h"`
	Size     Size              `yaml:"size" max:"1MiB"`
	Rate     Rate              `yaml:"rate"`
	Share    Share             `yaml:"share"`
	Prefixes []Prefix          `yaml:"prefixes"`
	Addr     netip.Addr        `yaml:"addr"`
	Secret   Secret            `yaml:"secret"`
	Map      map[string]string `yaml:"map"`
	Any      any               `yaml:"any"`
	Inner    inner             `yaml:"inner"`
	Inners   []inner           `yaml:"inners"`
	Named    map[string]inner  `yaml:"named"`
}

// inner has a short form, a default, a required field and a check.
type inner struct {
	URLs  []string `yaml:"urls,short,required"`
	Limit int      `yaml:"limit"`
	Off   bool     `yaml:",off"`
}

func (i *inner) Default() { i.Limit = 7 }

func (i *inner) Validate() error {
	var errs []error
	for k, u := range i.URLs {
		if !strings.HasPrefix(u, "http") {
			errs = append(errs, FieldErrorf(fmt.Sprintf("urls[%d]", k), "%q is no URL", u))
		}
	}
	return errors.Join(errs...)
}

var compareNodes = cmp.Options{
	cmp.Comparer(func(a, b Node) bool { return a == b }),
	cmp.Comparer(func(a, b Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmpopts.IgnoreUnexported(sample{}),
}

// decodeSample decodes a text into a sample.
func decodeSample(t *testing.T, text string) (sample, error) {
	t.Helper()
	n, err := ParseTree("x.yaml", []byte(text), Options{Env: testEnv})
	if err != nil {
		t.Fatal(err)
	}
	var s sample
	err = n.Decode(&s)
	return s, err
}

func TestDecode(t *testing.T) {
	seven := 7
	in := func(s sample) sample {
		if s.Inner.Limit == 0 {
			s.Inner.Limit = 7
		}
		return s
	}
	tests := []struct {
		text string
		want sample
	}{
		{``, sample{}},
		{`text: 8080`, sample{Text: "8080"}},
		{`text: "a ${TOKEN} b $${x} $5"`, sample{Text: "a hunter2 b ${x} $5"}},
		{`text: ${UNSET:-x}${EMPTY:-y}${EMPTY}`, sample{Text: "xy"}},
		{`number: ${PORT}`, sample{Number: 8080}},
		{`number: "${PORT}"`, sample{Number: 8080}},
		{`number: 0x10`, sample{Number: 16}},
		{`number: 010`, sample{Number: 10}},
		{`{small: -128, positive: 65535, float: 1.5e3, flag: on, pointer: 7}`, sample{Small: -128, Positive: 65535, Float: 1500, Flag: true, Pointer: &seven}},
		{`{mode: slow, modes: fast}`, sample{Mode: "slow", Modes: []string{"fast"}}},
		{`{time: 1m30s, size: 64KiB, rate: 10/s burst 20, share: 5%}`, sample{Time: Duration(90 * time.Second), Size: 65536, Rate: Rate{10, time.Second, 20}, Share: 0.05}},
		{`{prefixes: [10.0.0.0/8, "::1"], addr: 192.0.2.1, secret: abc}`, sample{
			Prefixes: []Prefix{{netip.MustParsePrefix("10.0.0.0/8")}, {netip.MustParsePrefix("::1/128")}},
			Addr:     netip.MustParseAddr("192.0.2.1"), Secret: "abc",
		}},
		{`any: {a: 1, b: [1.5, "2", ~, yes, true, 0x10, 1e400x]}`, sample{Any: map[string]any{"a": int64(1), "b": []any{1.5, "2", nil, "yes", true, int64(16), "1e400x"}}}},
		{`inner: http://a`, sample{Inner: inner{URLs: []string{"http://a"}, Limit: 7}}},
		{`inner: [http://a, http://b]`, sample{Inner: inner{URLs: []string{"http://a", "http://b"}, Limit: 7}}},
		{`inner: {urls: http://a, limit: 1}`, sample{Inner: inner{URLs: []string{"http://a"}, Limit: 1}}},
		{`inner: off`, sample{Inner: inner{Off: true, Limit: 7}}},
		{`inners: [http://a, {urls: [http://b]}]`, sample{Inners: []inner{{URLs: []string{"http://a"}, Limit: 7}, {URLs: []string{"http://b"}, Limit: 7}}}},
		{`named: {a: http://a}`, sample{Named: map[string]inner{"a": {URLs: []string{"http://a"}, Limit: 7}}}},
		{"map:\n  <<: {a: x, b: y}\n  a: z\nmodes:\n", sample{Map: map[string]string{"a": "z", "b": "y"}}},
		{"text: &t abc\nmap: {k: *t}", sample{Text: "abc", Map: map[string]string{"k": "abc"}}},
		{"text: |\n  a\n  b\n", sample{Text: "a\nb\n"}},
		{"text: !!str 5\r\nnumber: 5\r\n", sample{Text: "5", Number: 5}},
		{"{\"text\": \"\\u00e9\",\n\t\"number\": 5}", sample{Text: "é", Number: 5}},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := decodeSample(t, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(in(tt.want), got, compareNodes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{`number: 0`, `x.yaml:1:9: number: 0 is less than the least that is possible, 1 | a whole number, from 1 to 65535`},
		{`number: 99999999999999999999`, `x.yaml:1:9: number: "99999999999999999999" is out of range | a whole number, from 1 to 65535`},
		{`small: 128`, `x.yaml:1:8: small: "128" is out of range | a whole number`},
		{`positive: -1`, `x.yaml:1:11: positive: "-1" is not a whole number that is not negative | a whole number that is not negative`},
		{`float: .inf`, `x.yaml:1:8: float: ".inf" is not a number | a number`},
		{`number: ${TOKEN}`, `x.yaml:1:9: number: what ${TOKEN} gives cannot be used here | a whole number, from 1 to 65535`},
		{`number:`, `x.yaml:1:1: number: there is no value here | a whole number`},
		{`flag: yes`, `x.yaml:1:7: flag: "yes" is neither true nor false | true or false`},
		{`mode: fsat`, `x.yaml:1:7: mode: "fsat" is not possible here | one of: fast, slow, careful | did you mean "fast"?`},
		{`modes: [fast, x]`, `x.yaml:1:15: modes[1]: "x" is not possible here | one of: fast, slow, careful`},
		{`mode: ${TOKEN}`, `x.yaml:1:7: mode: what ${TOKEN} gives is not possible here | one of: fast, slow, careful`},
		{`time: 2h`, `x.yaml:1:7: time: 2h is more than the most that is possible, 1h | a duration such as 300ms, 10s or 1h30m, from 10ms to 1h`},
		{`time: [2h]`, `x.yaml:1:7: time: cannot use a list here | a duration such as 300ms, 10s or 1h30m`},
		{`size: 2MiB`, `x.yaml:1:7: size: 2MiB is more than the most that is possible, 1MiB | a size such as 64KiB, 1MiB or 10MB, at most 1MiB`},
		{`secret: {a: b}`, `x.yaml:1:9: secret: cannot use an object here | a text, best ${NAME} or ${file:/path}`},
		{`inner: {}`, "x.yaml:1:1: inner: the key \"urls\" is missing | `urls: …`, a text, or a list of them"},
		{`inner: on`, "x.yaml:1:1: inner: the key \"urls\" is missing | `urls: …`, a text, or a list of them"},
		{`inner: {urls: [http://a, ftp://b]}`, `x.yaml:1:26: inner.urls[1]: "ftp://b" is no URL`},
		{`inner: ftp://b`, `x.yaml:1:8: inner.urls[0]: "ftp://b" is no URL`},
		{`inner: "${TOKEN}x"`, `x.yaml:1:8: inner.urls[0]: "${TOKEN}x" is no URL`},
		{`inners: [{urls: a, limit: x}]`, `x.yaml:1:27: inners[0].limit: "x" is not a whole number | a whole number`},
		{`txt: 1`, `x.yaml:1:1: txt: unknown key "txt" | one of: text, number, small, positive, float, flag, pointer, mode, modes, time, size, rate, share, prefixes, addr, secret, map, any, inner, inners, named | did you mean "text"?`},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			_, err := decodeSample(t, tt.text)
			var got []string
			for _, e := range new(Node).Locate(err) {
				parts := []string{e.Pos.String() + ": " + e.Path + ": " + e.Message}
				for _, s := range []string{e.Expected, e.Hint} {
					if s != "" {
						parts = append(parts, s)
					}
				}
				got = append(got, strings.Join(parts, " | "))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// open takes any key.
type open struct {
	Limit int              `yaml:"limit"`
	Rest  map[string]inner `yaml:",inline"`
}

func TestDecodeOtherKeys(t *testing.T) {
	n, err := ParseTree("x.yaml", []byte("{limit: 1, a: http://a, b: {urls: [http://b, http://c], limit: 2}}"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got open
	if err := n.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := open{Limit: 1, Rest: map[string]inner{"a": {URLs: []string{"http://a"}, Limit: 7}, "b": {URLs: []string{"http://b", "http://c"}, Limit: 2}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"{a: {url: http://a}}":      `unknown key "url"`,
		"{a: {limit: 1}}":           `the key "urls" is missing`,
		"{a: ftp://a, b: http://b}": `a.urls[0]: "ftp://a" is no URL`,
		"{a: null}":                 "a: there is no value here",
	} {
		n, err := ParseTree("x.yaml", []byte(text), Options{})
		if err == nil {
			err = n.Decode(&open{})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
