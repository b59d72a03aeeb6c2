package expr

import (
	"testing"
)

// variables are read on the request path, and so must not allocate.
func hotVariables() []string {
	return []string{
		"address", "identity", "jwt.sub", "jwt.realm.tenant", "header.x-user", "query.empty", "cookie.theme", "path.id", "path", "method", "scheme", "host",
		"request_id", "route", "status", "response.header.x-cache", "upstream", "endpoint", "error",
	}
}

func TestVariablesDoNotAllocate(t *testing.T) {
	e, ex := newExpressions(t), newExchange()
	for _, source := range hotVariables() {
		value, err := e.Value(source)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, ok := value(ex); !ok {
				t.Fatal("absent")
			}
		}); n != 0 {
			t.Errorf("%s allocates %v times", source, n)
		}
	}
}

func TestConstantTemplateDoesNotAllocate(t *testing.T) {
	e, ex := newExpressions(t), newExchange()
	for source, want := range map[string]float64{"constant {{}}": 0, "{jwt.sub}": 0, "/v2/{path.id}?user={jwt.sub}": 1} {
		template, err := e.Template(source)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { sink = template(ex) }); n != want {
			t.Errorf("%s allocates %v times, not %v", source, n, want)
		}
	}
}

// sink keeps results from being optimised away.
var sink string

func BenchmarkValue(b *testing.B) {
	e, ex := newExpressions(b), newExchange()
	for _, source := range append(hotVariables(), "query.q", `header["x-user"]`) {
		value, err := e.Value(source)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(source, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				value(ex)
			}
		})
	}
}

func BenchmarkCondition(b *testing.B) {
	e, ex := newExpressions(b), newExchange()
	for _, source := range []string{
		`true`,
		`request.method == "GET"`,
		`header["x-user"] == "bob"`,
		`request.method == "GET" && header["x-user"] == "bob"`,
		`jwt.admin == true`,
		`"dev" in identity.groups`,
		`"read" in identity.scopes`,
		`identity.tags.plan == "gold"`,
		`ip_in(address, "10.0.0.0/8")`,
		`request.path.matches("^/orders/")`,
		`header.exists(k, k == "x-user")`,
	} {
		condition, err := e.Condition(source)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(source, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if holds, err := condition(ex); !holds || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTemplate(b *testing.B) {
	template, err := newExpressions(b).Template("/v2/{path.id}?user={jwt.sub}")
	if err != nil {
		b.Fatal(err)
	}
	ex := newExchange()
	b.ReportAllocs()
	for b.Loop() {
		template(ex)
	}
}

func BenchmarkCompile(b *testing.B) {
	e := newExpressions(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.compile(`request.method == "GET" && header["x-user"] == "bob"`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(); err != nil {
			b.Fatal(err)
		}
	}
}
