package cedar

import (
	"encoding/json"
	"iter"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// params are parameters of a path that can be listed, as the router's can.
type params map[string]string

func (p params) Get(name string) (string, bool) { v, ok := p[name]; return v, ok }
func (p params) All() iter.Seq2[string, string] { return maps.All(p) }

// newFilter builds the policy on the route "orders", with files in its folder.
func newFilter(t testing.TB, text string, files map[string]string) (*filter.Filter, error) {
	t.Helper()
	env := filtertest.NewEnv(t, "orders")
	env.Dir = t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(env.Dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env.Join("test", filter.Authenticator{
		Authenticate: func(*filter.Exchange) (*filter.Identity, error) { return nil, nil },
		Challenge:    func(*filter.Error) string { return "Bearer" },
	})
	return Kind().Build(env, filtertest.Parse(t, "x: "+text).Field("x"))
}

// exchange is a request of a caller.
func exchange(id *filter.Identity) *filter.Exchange {
	return &filter.Exchange{
		Client: netip.MustParseAddr("::ffff:10.1.2.3"), Identity: id, Route: &filter.Route{Name: "orders"},
		Params: params{"id": `7"`}, Start: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Original: filter.Original{Method: "GET", Scheme: "https", Host: "api.example.com", Path: "/orders/7", Query: "t=acme"},
	}
}

func ada() *filter.Identity {
	return &filter.Identity{
		Subject: "ada", Consumer: "acme", Groups: []string{"staff"}, Scopes: []string{"read"}, Tags: map[string]string{"plan": "gold"}, Method: "jwt",
		Claims: map[string]any{
			"level": json.Number("7"), "ratio": 1.5, "admin": true, "roles": []any{"r1", nil}, "realm": map[string]any{"tenant": "t1"}, "none": nil,
			"big": json.Number("1e400"),
		},
	}
}

const entitiesOfFile = `[
  {"uid": {"type": "Group", "id": "staff"}, "attrs": {}, "parents": [{"type": "Group", "id": "everyone"}]},
  {"uid": {"type": "User", "id": "ada"}, "attrs": {"clearance": 3, "consumer": "other"}, "parents": [{"type": "Team", "id": "red"}]},
  {"uid": {"type": "Path", "id": "/orders/7"}, "attrs": {"secret": true}, "parents": [{"type": "Shelf", "id": "top"}]}
]`

func TestDecision(t *testing.T) {
	files := map[string]string{
		"a.cedar":       "// orders\n@id(\"staff reads\")\npermit(principal in Group::\"staff\", action == Action::\"GET\", resource);\n",
		"b.cedar":       "\n  forbid(principal, action, resource) when { context.host == \"api.example.com\" };",
		"entities.json": entitiesOfFile,
	}
	const asked = `User::"ada", Action::"GET", Path::"/orders/7": `
	for name, c := range map[string]struct {
		config string
		id     *filter.Identity
		want   string // the verdict
	}{
		"file":                 {"a.cedar", ada(), "pass: " + asked + "permitted by staff reads"},
		"forbid wins":          {"[a.cedar, b.cedar]", ada(), "reject: access_denied: " + asked + "forbidden by b.cedar:2:3"},
		"text":                 {`'permit(principal, action, resource);'`, ada(), "pass: " + asked + "permitted by line 1:1"},
		"nothing permits":      {`'permit(principal == User::"bob", action, resource);'`, ada(), "reject: access_denied: " + asked + "no policy permits it"},
		"nobody":               {"a.cedar", nil, `reject: credentials_missing: Anonymous::"", Action::"GET", Path::"/orders/7": no policy permits it`},
		"nobody may":           {`'permit(principal is Anonymous, action, resource);'`, nil, `pass: Anonymous::"", Action::"GET", Path::"/orders/7": permitted by line 1:1`},
		"route":                {`'permit(principal, action, resource in Route::"orders");'`, ada(), "pass: " + asked + "permitted by line 1:1"},
		"principal":            {`'permit(principal, action, resource) when { principal.subject == "ada" && principal.consumer == "acme" && principal.method == "jwt" && principal.groups.contains("staff") && principal.scopes.containsAll(["read"]) && principal.tags.plan == "gold" };'`, ada(), "pass: " + asked + "permitted by line 1:1"},
		"claims":               {`'permit(principal, action, resource) when { principal.claims.level == 7 && principal.claims.ratio == decimal("1.5") && principal.claims.admin && principal.claims.roles == ["r1"] && principal.claims.realm.tenant == "t1" && !(principal.claims has none) && !(principal.claims has big) };'`, ada(), "pass: " + asked + "permitted by line 1:1"},
		"resource":             {`'permit(principal, action, resource) when { resource.path like "/orders/*" && resource.host == "api.example.com" && resource.scheme == "https" && resource.route == "orders" && resource.params has id };'`, ada(), "pass: " + asked + "permitted by line 1:1"},
		"context":              {`{policies: 'permit(principal, action, resource) when { context.address.isInRange(ip("10.0.0.0/8")) && context.time < datetime("2026-12-01") && context.method == "GET" && context.path == "/orders/7" && context.tenant == "acme" && !(context has none) };', context: {tenant: query.t, none: query.none}}`, ada(), "pass: " + asked + "permitted by line 1:1"},
		"templates":            {`{policies: 'permit(principal == My::Caller::"acme", action == Do::"read-GET", resource == Order::"7\"");', principal: 'My::Caller::"{identity.consumer}"', action: 'Do::"read-{method}"', resource: 'Order::"{path.id}"'}`, ada(), `pass: My::Caller::"acme", Do::"read-GET", Order::"7\"": permitted by line 1:1`},
		"empty principal":      {`{policies: 'permit(principal in Group::"staff", action, resource);', principal: 'User::"{jwt.email}"'}`, ada(), `reject: access_denied: Anonymous::"", Action::"GET", Path::"/orders/7": no policy permits it`},
		"permit fails":         {`'permit(principal, action, resource) when { principal.age > 3 };'`, ada(), "reject: access_denied: " + asked + "no policy permits it; line 1:1 could not be evaluated: `User::\"ada\"` does not have the attribute `age`"},
		"forbid fails":         {`'permit(principal, action, resource); forbid(principal, action, resource) when { principal.age < 3 };'`, ada(), "reject: access_denied: " + asked + "permitted by line 1:1, but a policy of forbid could not be evaluated; line 1:38 could not be evaluated: `User::\"ada\"` does not have the attribute `age`"},
		"another permits":      {`'permit(principal, action, resource) when { principal.age > 3 }; permit(principal, action, resource);'`, ada(), "pass: " + asked + "permitted by line 1:65; line 1:1 could not be evaluated: `User::\"ada\"` does not have the attribute `age`"},
		"entities of files":    {`{policies: 'permit(principal in Group::"everyone", action, resource in Shelf::"top") when { principal.clearance == 3 && principal.consumer == "other" && principal in Team::"red" && resource.secret && resource in Route::"orders" };', entities: entities.json}`, ada(), "pass: " + asked + "permitted by line 1:1"},
		"groups are not users": {`'permit(principal == Group::"staff", action, resource);'`, ada(), "reject: access_denied: " + asked + "no policy permits it"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := newFilter(t, c.config, files)
			if err != nil {
				t.Fatal(err)
			}
			ex := exchange(c.id)
			for range 2 { // the second finds the principal remembered
				verdict := f.Explain(ex)
				if diff := cmp.Diff(c.want, string(verdict.Action)+": "+verdict.Note); diff != "" {
					t.Error(diff)
				}
				err := f.Request(ex)
				if (err == nil) != (verdict.Action == filter.Passes) {
					t.Errorf("explain says %v, and the request %v", verdict, err)
				}
				if err != nil && c.id == nil && filter.AsError(err).Header.Get("Www-Authenticate") != "Bearer" {
					t.Errorf("no challenge: %v", err)
				}
			}
		})
	}
}

// A subject cannot pass itself off as something else.
func TestNamesCannotBreakOut(t *testing.T) {
	f, err := newFilter(t, `'permit(principal == User::"admin", action, resource);'`, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{`admin"`, `x", User::"admin`, `"admin"`, "admin\n", "Admin", "admin "} {
		if err := f.Request(exchange(&filter.Identity{Subject: subject})); err == nil {
			t.Errorf("%q passes", subject)
		}
	}
	if err := f.Request(exchange(&filter.Identity{Subject: "admin"})); err != nil {
		t.Error(err)
	}
}

func TestRefusedConfig(t *testing.T) {
	files := map[string]string{
		"wrong.cedar": "// a\npermit(principal, action, resource)\nwhen { principal.x = 1 };",
		"empty.cedar": "// nothing", "wrong.json": "[\n  {\"uid\": }\n]", "twice.json": `[{"uid": {"type": "A", "id": "b"}, "attrs": {}, "parents": []}, {"uid": {"type": "A", "id": "b"}, "attrs": {}, "parents": []}]`,
		"entities.json": entitiesOfFile,
	}
	const all = `permit(principal, action, resource);`
	for text, want := range map[string]string{
		"{}":                           `the key "policies" is missing`,
		"none.cedar":                   "x.policies[0]: cannot read the file",
		"wrong.cedar":                  "parse error at wrong.cedar:3:22",
		"'permit(principal, action);'": "cannot parse the policies",
		"'permit(principal == ?principal, action, resource);'": "cannot parse the policies",
		"empty.cedar": "there is no policy",
		"'@id(\"a\") " + all + " @id(\"a\") " + all + "'":                     `two policies are called "a"`,
		"{policies: '" + all + "', entities: wrong.json}":                     "wrong.json:2:11",
		"{policies: '" + all + "', entities: twice.json}":                     "duplicate entity",
		"{policies: '" + all + "', entities: [entities.json, entities.json]}": "is in another file, too",
		"{policies: '" + all + "', principal: User}":                          "is no entity",
		"{policies: '" + all + "', principal: 'User::\"{identity.subjct}\"'}": `did you mean "identity.subject"?`,
		"{policies: '" + all + "', context: {time: method}}":                  `the context has its own "time"`,
		"{policies: '" + all + "', context: {a-b: method}}":                   "is no name of an attribute",
		"{policies: '" + all + "', context: {a: methd}}":                      `did you mean "method"?`,
	} {
		_, err := newFilter(t, text, files)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// Routes with the same policies share them, and a changed file is read again.
func TestSharing(t *testing.T) {
	env := filtertest.NewEnv(t, "orders")
	env.Dir = t.TempDir()
	file := filepath.Join(env.Dir, "a.cedar")
	write := func(text string) *set {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := load(env, &Config{Policies: []string{"a.cedar"}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b, c := write("permit(principal, action, resource);"), write("permit(principal, action, resource);"), write("forbid(principal, action, resource);")
	if a != b || a == c {
		t.Errorf("shared: %v, read again: %v", a == b, a != c)
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, text := range map[string]string{
		"one":     `'permit(principal in Group::"staff", action == Action::"GET", resource in Route::"orders");'`,
		"context": `'permit(principal, action, resource) when { context.address.isInRange(ip("10.0.0.0/8")) };'`,
		"fifty": `'` + strings.Repeat(`permit(principal == User::"bob", action == Action::"POST", resource) when { resource.path like "/x/*" };`, 49) +
			`permit(principal in Group::"staff", action == Action::"GET", resource in Route::"orders") when { principal.claims.level > 3 };'`,
	} {
		f, err := newFilter(b, text, nil)
		if err != nil {
			b.Fatal(err)
		}
		ex := exchange(ada())
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

func TestSchema(t *testing.T) {
	files := map[string]string{
		"ok.cedarschema": `
entity Group; entity Route;
entity User in [Group] { subject: String, consumer?: String, claims: { level?: Long } };
entity Path in [Route] { path: String };
action GET, POST appliesTo { principal: User, resource: Path, context: { method: String } };
`,
		"wrong.cedarschema":   "entity User in [Group",
		"unknown.cedarschema": "entity User in [Group];",
		"a.cedar":             "permit(principal in Group::\"staff\", action == Action::\"GET\", resource)\nwhen { principal.claims has level && principal.claims.level > 3 && resource.path like \"/x\" };",
		"b.cedar":             "\npermit(principal, action == Action::\"GET\", resource) when { principal.subjct == \"a\" };",
		"c.cedar":             "permit(principal, action == Action::\"GTE\", resource);",
		"d.cedar":             "permit(principal, action, resource) when { principal.consumer == \"a\" };",
	}
	for text, want := range map[string]string{
		"{policies: a.cedar, schema: ok.cedarschema}":      "",
		"{policies: b.cedar, schema: ok.cedarschema}":      "the policy at b.cedar:2:1 does not fit the schema",
		"{policies: c.cedar, schema: ok.cedarschema}":      "the policy at c.cedar:1:1 does not fit the schema",
		"{policies: d.cedar, schema: ok.cedarschema}":      "the policy at d.cedar:1:1 does not fit the schema",
		"{policies: a.cedar, schema: wrong.cedarschema}":   "x.schema: cannot parse the schema",
		"{policies: a.cedar, schema: unknown.cedarschema}": "x.schema: cannot use the schema",
		"{policies: a.cedar, schema: none.cedarschema}":    "x.schema: cannot read the file",
	} {
		_, err := newFilter(t, text, files)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
