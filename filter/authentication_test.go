package filter_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

// way is a way of authentication that finds what a test says.
type way struct {
	method string
	found  string // "", "no", or the subject that it accepts
	invite bool
}

// route joins ways of authentication and runs their policies in order, as the gateway does.
func route(anyOf, optional bool, ways ...way) (run func(ex *filter.Exchange) error, explain func(ex *filter.Exchange) []string) {
	env := &filter.Env{Route: &filter.Route{Name: "r"}, Metrics: observe.NewMetrics()}
	var filters []*filter.Filter
	for _, w := range ways {
		a := filter.Authenticator{
			Authenticate: func(*filter.Exchange) (*filter.Identity, error) {
				switch w.found {
				case "":
					return nil, nil
				case "no":
					return nil, filter.Reject(filter.TokenInvalid, "").Because(errors.New(w.method + " is wrong"))
				}
				return &filter.Identity{Subject: w.found, Consumer: w.found[:1], Groups: []string{"all", w.method}, Method: w.method, Claims: map[string]any{w.method: true}}, nil
			},
			Challenge: func(why *filter.Error) string {
				if why != nil {
					return w.method + ` error="invalid"`
				}
				return w.method
			},
		}
		if w.invite {
			a.Invite = func(*filter.Exchange) *filter.Error {
				return filter.Reject(filter.LoginRequired, "").With("Location", "/login")
			}
		}
		filters = append(filters, env.Join(w.method, a))
	}
	group := env.Authentication() // the policy authenticate may be built at any time
	group.Any, group.Optional = anyOf, optional
	run = func(ex *filter.Exchange) error {
		ex.Prepare(env.Slots())
		for _, f := range filters {
			if err := f.Request(ex); err != nil {
				return err
			}
		}
		return nil
	}
	explain = func(ex *filter.Exchange) (notes []string) {
		ex.Prepare(env.Slots())
		for _, f := range filters {
			v := f.Explain(ex)
			notes = append(notes, string(v.Action)+" "+v.Note)
		}
		return notes
	}
	return run, explain
}

func TestAuthenticationTogether(t *testing.T) {
	const all, anyOf, optional = "all", "any", "optional"
	for name, test := range map[string]struct {
		mode string
		ways []way
		want string // subject and groups, or code and challenges
	}{
		"one accepts":                 {all, []way{{"a", "ada", false}}, "ada all,a"},
		"one refuses":                 {all, []way{{"a", "no", false}}, `jwt_invalid a error="invalid"`},
		"one is shown nothing":        {all, []way{{"a", "", false}}, "credentials_missing a"},
		"all: both":                   {all, []way{{"a", "ada", false}, {"b", "ann", false}}, "ann all,a,b"},
		"all: of two callers":         {all, []way{{"a", "ada", false}, {"b", "bob", false}}, "credentials_conflict "},
		"all: the second is missing":  {all, []way{{"a", "ada", false}, {"b", "", false}}, "credentials_missing b"},
		"all: the first is missing":   {all, []way{{"a", "", false}, {"b", "ada", false}}, "credentials_missing a"},
		"all: the second refuses":     {all, []way{{"a", "ada", false}, {"b", "no", false}}, `jwt_invalid b error="invalid"`},
		"any: the first":              {anyOf, []way{{"a", "ada", false}, {"b", "no", false}}, "ada all,a"},
		"any: the second":             {anyOf, []way{{"a", "", false}, {"b", "bob", false}}, "bob all,b"},
		"any: after a refusal":        {anyOf, []way{{"a", "no", false}, {"b", "bob", false}}, "bob all,b"},
		"any: refused and nothing":    {anyOf, []way{{"a", "no", false}, {"b", "", false}}, `jwt_invalid a error="invalid",b error="invalid"`},
		"any: nothing":                {anyOf, []way{{"a", "", false}, {"b", "", false}}, "credentials_missing a,b"},
		"any, optional: nothing":      {anyOf + optional, []way{{"a", "", false}, {"b", "", false}}, "nobody"},
		"any, optional: refused":      {anyOf + optional, []way{{"a", "no", false}, {"b", "", false}}, `jwt_invalid a error="invalid",b error="invalid"`},
		"any, optional: refused last": {anyOf + optional, []way{{"a", "", false}, {"b", "no", false}}, `jwt_invalid a error="invalid",b error="invalid"`},
		"optional: nothing":           {all + optional, []way{{"a", "", false}, {"b", "", false}}, "nobody"},
		"optional: one of two":        {all + optional, []way{{"a", "", false}, {"b", "bob", false}}, "credentials_missing a"},
		"optional: other of two":      {all + optional, []way{{"a", "ada", false}, {"b", "", false}}, "credentials_missing b"},
		"optional: refused":           {all + optional, []way{{"a", "", false}, {"b", "no", false}}, `jwt_invalid b error="invalid"`},
		"invited":                     {anyOf, []way{{"a", "", false}, {"b", "", true}}, "login_required "},
		"invited alone":               {all, []way{{"b", "", true}}, "login_required "},
		"refused, not invited":        {anyOf, []way{{"a", "no", false}, {"b", "", true}}, `jwt_invalid a error="invalid",b error="invalid"`},
	} {
		t.Run(name, func(t *testing.T) {
			run, _ := route(strings.HasPrefix(test.mode, anyOf), strings.HasSuffix(test.mode, optional), test.ways...)
			ex := &filter.Exchange{}
			err := run(ex)
			got := "nobody"
			if err != nil {
				refused := filter.AsError(err)
				got = string(refused.Code) + " " + strings.Join(refused.Header["Www-Authenticate"], ",")
			} else if ex.Identity != nil {
				got = ex.Identity.Subject + " " + strings.Join(ex.Identity.Groups, ",")
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestJoinedClaims(t *testing.T) {
	run, _ := route(false, false, way{"a", "ada", false}, way{"b", "ann", false})
	ex := &filter.Exchange{}
	if err := run(ex); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(ex.Identity.Claims)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("claims %v", got)
	}
}

// TestErrorsAreNotShared: policies may refuse with an error that they have ready.
func TestErrorsAreNotShared(t *testing.T) {
	env := &filter.Env{Route: &filter.Route{}, Metrics: observe.NewMetrics()}
	ready := filter.Reject(filter.TokenInvalid, "")
	f := env.Join("a", filter.Authenticator{
		Authenticate: func(*filter.Exchange) (*filter.Identity, error) { return nil, ready },
		Challenge:    func(*filter.Error) string { return "a" },
	})
	for range 2 {
		ex := &filter.Exchange{}
		ex.Prepare(env.Slots())
		if got := filter.AsError(f.Request(ex)).Header["Www-Authenticate"]; !slices.Equal(got, []string{"a"}) {
			t.Errorf("challenges %v", got)
		}
	}
	if ready.Header != nil {
		t.Error("the error was changed")
	}
}

func TestAuthenticationExplained(t *testing.T) {
	_, explain := route(true, false, way{"a", "no", false}, way{"b", "bob", false}, way{"c", "", false})
	want := []string{
		"pass jwt_invalid: a is wrong; another policy may accept the request",
		"pass accepted: subject bob, consumer b, groups all, b",
		"pass not asked: b has accepted the request",
	}
	if diff := cmp.Diff(want, explain(&filter.Exchange{})); diff != "" {
		t.Error(diff)
	}
	_, explain = route(false, true, way{"a", "", false})
	if diff := cmp.Diff([]string{"pass the request has no credentials for it"}, explain(&filter.Exchange{Request: &http.Request{}})); diff != "" {
		t.Error(diff)
	}
}

// TestExplainedWithWhatCannotBeSaid: where any policy is enough, one that cannot say what it would find may still accept.
func TestExplainedWithWhatCannotBeSaid(t *testing.T) {
	for anyOf, want := range map[bool]filter.Action{true: filter.Unknown, false: filter.Rejects} {
		env := &filter.Env{Route: &filter.Route{}, Metrics: observe.NewMetrics()}
		env.Authentication().Any = anyOf
		absent := func(*filter.Exchange) (*filter.Identity, error) { return nil, nil }
		first := env.Join("a", filter.Authenticator{Authenticate: absent, Explain: func(*filter.Exchange) (*filter.Identity, error) { return nil, filter.ErrUnsaid }})
		second := env.Join("b", filter.Authenticator{Authenticate: absent})
		ex := &filter.Exchange{Dry: true}
		ex.Prepare(env.Slots())
		if v := first.Explain(ex); v.Action != filter.Unknown {
			t.Errorf("the first: %+v", v)
		}
		if v := second.Explain(ex); v.Action != want {
			t.Errorf("any %v: %+v", anyOf, v)
		}
	}
}
