package authorize

import (
	"errors"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// newFilter builds a policy from its configuration as a user writes it, on a route with authentication.
func newFilter(t testing.TB, kind filter.Kind, text string) (*filter.Filter, error) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	env.Consumers = filtertest.Consumers(t, "{acme: {}, other: {}}")
	env.Join("test", filter.Authenticator{
		Authenticate: func(*filter.Exchange) (*filter.Identity, error) { return nil, nil },
		Challenge:    func(*filter.Error) string { return `Bearer realm="test"` },
	})
	return kind.Build(env, filtertest.Parse(t, "x: "+text).Field("x"))
}

// bob is a caller.
func bob() *filter.Identity {
	return &filter.Identity{
		Subject: "bob", Consumer: "acme", Groups: []string{"a", "c"}, Scopes: []string{"read", "list"}, Tags: map[string]string{"plan": "gold"},
		Claims: map[string]any{"role": "user", "n": 7.0}, Method: "jwt",
	}
}

// exchange is a request of a caller.
func exchange(id *filter.Identity) *filter.Exchange {
	return &filter.Exchange{Client: netip.MustParseAddr("10.1.2.3"), Identity: id, Original: filter.Original{Method: "GET", Path: "/x"}}
}

// answer is what a caller is told.
type answer struct {
	Code      filter.Code
	Reason    string
	Challenge string
}

// ask runs a policy, and checks that its explanation says the same.
func ask(t *testing.T, f *filter.Filter, ex *filter.Exchange) (got answer, note string) {
	t.Helper()
	verdict := f.Explain(ex)
	err := f.Request(ex)
	if err == nil {
		if verdict.Action != filter.Passes {
			t.Errorf("it passes, and explain says %v", verdict)
		}
		return answer{}, verdict.Note
	}
	e := filter.AsError(err)
	got = answer{e.Code, e.Cause.Error(), strings.Join(e.Header["Www-Authenticate"], "|")}
	if verdict.Action != filter.Rejects || verdict.Note != string(got.Code)+": "+got.Reason {
		t.Errorf("it refuses with %v, and explain says %v", got, verdict)
	}
	return got, verdict.Note
}

func TestAllow(t *testing.T) {
	const insufficient, denied, missing = filter.InsufficientScope, filter.AccessDenied, filter.CredentialsMissing
	for name, c := range map[string]struct {
		config string
		id     *filter.Identity
		want   answer
		note   string // of one who passes
	}{
		"expression":               {`'jwt.role == "user"'`, bob(), answer{}, "`jwt.role == \"user\"` holds (jwt.role is \"user\")"},
		"expression fails":         {`'jwt.role == "admin"'`, bob(), answer{denied, "`jwt.role == \"admin\"` does not hold (jwt.role is \"user\")", ""}, ""},
		"claim missing":            {`'jwt.level > 3'`, bob(), answer{denied, "cannot evaluate `jwt.level > 3`: no such key: level", ""}, ""},
		"claim of another type":    {`'jwt.role > 3'`, bob(), answer{denied, "cannot evaluate `jwt.role > 3`: no such overload", ""}, ""},
		"not a boolean":            {`'jwt.role'`, bob(), answer{denied, "cannot evaluate `jwt.role`: the result is neither true nor false", ""}, ""},
		"nobody, expression":       {`'jwt.role == "user"'`, nil, answer{missing, "cannot evaluate `jwt.role == \"user\"`: no such key: role", `Bearer realm="test"`}, ""},
		"address":                  {`'ip_in(address, "10.0.0.0/8")'`, nil, answer{}, "`ip_in(address, \"10.0.0.0/8\")` holds (address is \"10.1.2.3\")"},
		"address fails":            {`'ip_in(address, "192.0.2.0/24")'`, nil, answer{denied, "`ip_in(address, \"192.0.2.0/24\")` does not hold (address is \"10.1.2.3\")", ""}, ""},
		"group":                    {`{groups: [b, c]}`, bob(), answer{}, "groups are [a, c], wanted one of b, c"},
		"no group":                 {`{groups: [b]}`, bob(), answer{denied, "groups are [a, c], wanted b", ""}, ""},
		"groups have case":         {`{groups: [A]}`, bob(), answer{denied, "groups are [a, c], wanted A", ""}, ""},
		"all groups":               {`{all_groups: [a, c]}`, bob(), answer{}, "groups are [a, c], wanted all of a, c"},
		"not all groups":           {`{all_groups: [a, b]}`, bob(), answer{denied, "groups are [a, c], wanted all of a, b", ""}, ""},
		"scopes":                   {`{scopes: [read, list]}`, bob(), answer{}, "scopes are [read, list], wanted all of read, list"},
		"scope lacks":              {`{scopes: [read, write]}`, bob(), answer{insufficient, "scopes are [read, list], wanted all of read, write", `Bearer error="insufficient_scope", scope="read write"`}, ""},
		"scope and group lack":     {`{scopes: [write], groups: [b]}`, bob(), answer{denied, "groups are [a, c], wanted b, and scopes are [read, list], wanted all of write", ""}, ""},
		"one group has it":         {`{scopes: [write], groups: [a]}`, bob(), answer{insufficient, "scopes are [read, list], wanted all of write", `Bearer error="insufficient_scope", scope="write"`}, ""},
		"consumer":                 {`{consumers: [other, acme]}`, bob(), answer{}, `the consumer is "acme", wanted one of other, acme`},
		"other consumer":           {`{consumers: [other]}`, bob(), answer{denied, `the consumer is "acme", wanted other`, ""}, ""},
		"nobody":                   {`{groups: [b], scopes: [x]}`, nil, answer{missing, "the caller is not known, wanted one of the groups b and all of the scopes x", `Bearer realm="test"`}, ""},
		"method":                   {`{methods: [GET], groups: [a]}`, bob(), answer{}, "the method is GET, wanted GET, and groups are [a, c], wanted a"},
		"other method":             {`{methods: [POST], groups: [a]}`, bob(), answer{denied, "the method is GET, wanted POST", ""}, ""},
		"alternatives":             {`['jwt.role == "admin"', {groups: [c]}]`, bob(), answer{}, "groups are [a, c], wanted c"},
		"an alternative fails":     {`['jwt.level > 3', {groups: [c]}]`, bob(), answer{}, "groups are [a, c], wanted c"},
		"no alternative":           {`['jwt.role == "admin"', {groups: [b]}]`, bob(), answer{denied, "none of the conditions holds: `jwt.role == \"admin\"` does not hold (jwt.role is \"user\"); groups are [a, c], wanted b", ""}, ""},
		"keys and alternatives":    {`{groups: [a], any: [{methods: [GET]}, {scopes: [write]}]}`, bob(), answer{}, "groups are [a, c], wanted a, and the method is GET, wanted GET"},
		"keys fail":                {`{groups: [b], any: [{methods: [GET]}]}`, bob(), answer{denied, "groups are [a, c], wanted b", ""}, ""},
		"keys hold, not the list":  {`{scopes: [read], any: [{methods: [POST]}, {scopes: [write]}]}`, bob(), answer{insufficient, "none of the conditions holds: the method is GET, wanted POST; scopes are [read, list], wanted all of write", `Bearer error="insufficient_scope", scope="read write"`}, ""},
		"an identity without more": {`{groups: [a]}`, &filter.Identity{Method: "x"}, answer{denied, "groups are [], wanted a", ""}, ""},
		"consumer is not empty":    {`{consumers: [acme]}`, &filter.Identity{Subject: "acme"}, answer{denied, `the consumer is "", wanted acme`, ""}, ""},
		"secrets are not shown":    {`'header["x-a"] == "s" && cookie.sid == "t" && query.q == "u" && size(jwt) == 0'`, bob(), answer{denied, "`header[\"x-a\"] == \"s\" && cookie.sid == \"t\" && query.q == \"u\" && size(jwt) == 0` does not hold", ""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := newFilter(t, AllowKind(), c.config)
			if err != nil {
				t.Fatal(err)
			}
			got, note := ask(t, f, exchange(c.id))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if c.note != "" && note != c.note {
				t.Errorf("note %q, want %q", note, c.note)
			}
		})
	}
}

func TestDeny(t *testing.T) {
	const denied, missing = filter.AccessDenied, filter.CredentialsMissing
	for name, c := range map[string]struct {
		config string
		id     *filter.Identity
		want   answer
		note   string
	}{
		"group":                   {`{groups: [a]}`, bob(), answer{denied, "groups are [a, c], wanted a", ""}, ""},
		"other group":             {`{groups: [b]}`, bob(), answer{}, "groups are [a, c], wanted b"},
		"nobody is in no group":   {`{groups: [a]}`, nil, answer{}, "the caller is not known, wanted one of the groups a"},
		"expression":              {`'jwt.n == 7'`, bob(), answer{denied, "`jwt.n == 7` holds (jwt.n is \"7\")", ""}, ""},
		"claim missing":           {`'jwt.level < 3'`, bob(), answer{denied, "it cannot be said whether the condition holds: cannot evaluate `jwt.level < 3`: no such key: level", ""}, ""},
		"nobody, claim missing":   {`'jwt.level < 3'`, nil, answer{missing, "it cannot be said whether the condition holds: cannot evaluate `jwt.level < 3`: no such key: level", `Bearer realm="test"`}, ""},
		"missing, but other keys": {`{when: 'jwt.level < 3', groups: [b]}`, bob(), answer{}, "groups are [a, c], wanted b, and cannot evaluate `jwt.level < 3`: no such key: level"},
		"missing, one of many":    {`[{groups: [b]}, 'jwt.level < 3']`, bob(), answer{denied, "it cannot be said whether the condition holds: cannot evaluate `jwt.level < 3`: no such key: level", ""}, ""},
		"scope lacks":             {`{scopes: [write]}`, bob(), answer{}, "scopes are [read, list], wanted all of write"},
		"keys and one of many":    {`{groups: [a], any: [{methods: [GET]}]}`, bob(), answer{denied, "groups are [a, c], wanted a, and the method is GET, wanted GET", ""}, ""},
		"keys and none of many":   {`{groups: [a], any: [{methods: [POST]}]}`, bob(), answer{}, "the method is GET, wanted POST"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := newFilter(t, DenyKind(), c.config)
			if err != nil {
				t.Fatal(err)
			}
			got, note := ask(t, f, exchange(c.id))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if c.note != "" && note != c.note {
				t.Errorf("note %q, want %q", note, c.note)
			}
		})
	}
}

func TestGetStandsForHead(t *testing.T) {
	for _, c := range []struct {
		kind   filter.Kind
		config string
		passes bool
	}{
		{AllowKind(), "{methods: [GET]}", true},
		{AllowKind(), "{methods: [HEAD]}", true},
		{AllowKind(), "{methods: [POST]}", false},
		{DenyKind(), "{methods: [GET]}", false},
		{DenyKind(), "{methods: [POST]}", true},
	} {
		f, err := newFilter(t, c.kind, c.config)
		if err != nil {
			t.Fatal(err)
		}
		ex := exchange(nil)
		ex.Original.Method = "HEAD"
		if err := f.Request(ex); (err == nil) != c.passes {
			t.Errorf("%s %s: %v", c.kind.Name(), c.config, err)
		}
	}
}

// What a token brings is written so that it neither fills the log nor disturbs a terminal.
func TestListsOfTokens(t *testing.T) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = "g"
	}
	for want, names := range map[string][]string{
		`[a, "b,c", "\x1b[31m", "é\n"]`:                   {"a", "b,c", "\x1b[31m", "é\n"},
		"[" + strings.Repeat("g, ", 20) + "and 980 more]": many,
		"[" + strings.Repeat("x", 80) + "…]":              {strings.Repeat("x", 100)},
	} {
		if got := list(names); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// What an expression has from the environment is seen by nobody.
func TestSecretsInExpressions(t *testing.T) {
	const secret = "s3cret"
	for _, text := range []string{
		`'header["x-a"] == "${KEY}"'`, `{when: 'jwt.none == "${KEY}"'}`, `{groups: [a], any: ['jwt.none == "${KEY}"']}`, `'jwt["${KEY}"] == 1'`, `'header["x-a"] != "${KEY}"'`,
	} {
		for _, kind := range []filter.Kind{AllowKind(), DenyKind()} {
			root, err := config.ParseTree("test.yaml", []byte("x: "+text), config.Options{Env: func(string) (string, bool) { return secret, true }})
			if err != nil {
				t.Fatal(err)
			}
			env := filtertest.NewEnv(t, "r")
			env.Join("test", filter.Authenticator{Authenticate: func(*filter.Exchange) (*filter.Identity, error) { return nil, nil }})
			f, err := kind.Build(env, root.Field("x"))
			if err != nil {
				t.Fatal(err)
			}
			ex := exchange(bob())
			ex.Request = httptest.NewRequest("GET", "/", nil)
			said := f.Explain(ex).Note
			if err := f.Request(ex); err != nil {
				said += err.Error()
			}
			if strings.Contains(said, secret) || !strings.Contains(said, "${KEY}") {
				t.Errorf("%s %s: says %s", kind.Name(), text, said)
			}
		}
	}
}

func TestMessage(t *testing.T) {
	f, err := newFilter(t, AllowKind(), `{groups: [b], message: 100% no.}`)
	if err != nil {
		t.Fatal(err)
	}
	var e *filter.Error
	if err := f.Request(exchange(bob())); !errors.As(err, &e) || e.Detail != "100% no." {
		t.Errorf("got %v", err)
	}
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                             "no condition is named",
		"[]":                             "no condition is named",
		"''":                             "no condition is named",
		"[{}]":                           "no condition is named",
		"{message: no}":                  "no condition is named",
		"'jwt.role = 1'":                 "write == to compare",
		"'1 + 1'":                        "must be true or false",
		"'identity.group == \"a\"'":      `did you mean "identity.groups"?`,
		"{when: 'addres == \"a\"'}":      `did you mean "address"?`,
		"{group: [a]}":                   `did you mean "groups"?`,
		"{consumers: [acne]}":            `there is no consumer "acne"`,
		"{scopes: ['a b']}":              `"a b" is no scope`,
		"{scopes: ['a\"']}":              "is no scope",
		"{groups: ['']}":                 "the name is empty",
		"{methods: [get]}":               `did you mean "GET"?`,
		"{any: [{scopes: [\"a\\nb\"]}]}": "is no scope",
	} {
		_, err := newFilter(t, AllowKind(), text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// An error stands where the mistake is.
func TestPlacesOfErrors(t *testing.T) {
	_, err := newFilter(t, AllowKind(), "\n  groups: [a]\n  any:\n    - 'address == 1'\n    - {when: 'adress == \"\"', consumers: [nobody]}")
	for _, want := range []string{"test.yaml:4:7: x.any[0]", "test.yaml:5:14: x.any[1].when", "test.yaml:5:42: x.any[1].consumers[0]"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAllowWithoutAuthentication(t *testing.T) {
	for text, ok := range map[string]bool{
		`{groups: [a]}`:                             false,
		`'jwt.role == "x"'`:                         false,
		`['jwt.role == "x"', {scopes: [x]}]`:        false,
		`['jwt.role == "x"', {methods: [GET]}]`:     true,
		`'ip_in(address, "10.0.0.0/8")'`:            true,
		`{methods: [GET], any: [{consumers: [a]}]}`: false,
	} {
		env := filtertest.NewEnv(t, "r")
		env.Consumers = filtertest.Consumers(t, "{a: {}}")
		_, err := AllowKind().Build(env, filtertest.Parse(t, "x: "+text).Field("x"))
		if ok != (err == nil) {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := DenyKind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, "x: {groups: [a]}").Field("x")); err != nil {
			t.Errorf("deny: %v", err)
		}
	}
}

const plain = `{methods: [GET, HEAD], groups: [b, c], all_groups: [a], scopes: [read, list], consumers: [other, acme]}`

func TestNoAllocations(t *testing.T) {
	ex := exchange(bob())
	for text, kind := range map[string]filter.Kind{
		plain:                               AllowKind(),
		"[{groups: [x]}, " + plain + "]":    AllowKind(),
		"{groups: [x, y], scopes: [write]}": DenyKind(),
	} {
		f, err := newFilter(t, kind, text)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			if err := f.Request(ex); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, text := range map[string]string{
		"lists": plain, "one group": "{groups: [a]}", "expression": `'jwt.role == "user"'`, "group by expression": `'"a" in identity.groups'`,
	} {
		f, err := newFilter(b, AllowKind(), text)
		if err != nil {
			b.Fatal(err)
		}
		ex := exchange(bob())
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Request(ex); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
