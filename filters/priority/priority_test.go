package priority

import (
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "priority", 3) }

// newPolicy builds the policy, on a route that authenticates callers or not.
func newPolicy(t testing.TB, text string, authenticates bool) (*filter.Filter, error) {
	t.Helper()
	c := new(Config)
	if err := filtertest.Parse(t, text).Decode(c); err != nil {
		return nil, err
	}
	env := filtertest.NewEnv(t, "r")
	if authenticates {
		env.Join("key", filter.Authenticator{Authenticate: func(*filter.Exchange) (*filter.Identity, error) { return nil, nil }})
	}
	return build(env, c)
}

// exchange is a request with a header field and a caller.
func exchange(plan, subject string) *filter.Exchange {
	ex := &filter.Exchange{Request: &http.Request{Method: "GET", Header: http.Header{"X-Plan": {plan}}}, Original: filter.Original{Method: "GET"}}
	if subject != "" {
		ex.Identity = &filter.Identity{Subject: subject}
	}
	return ex
}

func TestClasses(t *testing.T) {
	for _, c := range []struct {
		text, plan, subject string
		want                filter.Priority
		note                string
	}{
		{"high", "", "", filter.High, "high, by rule 1"},
		{"[critical]", "", "", filter.Critical, "critical, by rule 1"},
		{`[{when: 'header["x-plan"] == "free"', class: low}, high]`, "free", "", filter.Low, `low, by rule 1: header["x-plan"] == "free"`},
		{`[{when: 'header["x-plan"] == "free"', class: low}, high]`, "gold", "", filter.High, "high, by rule 2"},
		{`[{when: 'header["x-plan"] == "free"', class: low}]`, "gold", "", filter.Normal, "normal: no rule holds"},
		{`[{when: 'header["x-missing"] == "free"', class: low}]`, "gold", "", filter.Normal, "normal: no rule holds"},
		{`[{when: 'identity.subject == "alice"', class: critical}, low]`, "", "alice", filter.Critical, `critical, by rule 1: identity.subject == "alice"`},
		{`[{when: 'identity.subject == "alice"', class: critical}, low]`, "", "bob", filter.Low, "low, by rule 2"},
		{`{rules: [{when: 'method == "GET"', class: high}]}`, "", "", filter.High, `high, by rule 1: method == "GET"`},
	} {
		f, err := newPolicy(t, c.text, false)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		run := f.Request
		explain := f.Explain
		if run == nil {
			run, explain = f.Early.Request, f.Early.Explain
		}
		ex := exchange(c.plan, c.subject)
		if err := run(ex); err != nil || ex.Priority != c.want {
			t.Errorf("%s is %s, %v, want %s", c.text, ex.Priority, err, c.want)
		}
		dry := exchange(c.plan, c.subject)
		if v := explain(dry); v.Note != c.note || v.Action != filter.Passes || dry.Priority != c.want {
			t.Errorf("%s: %+v, want %q", c.text, v, c.note)
		}
	}
}

func TestWhenRulesAreAsked(t *testing.T) {
	const byHeader, byWho = `{when: 'header["x-plan"] == "free"', class: low}`, `{when: 'identity.subject == "alice"', class: high}`
	for _, c := range []struct {
		text          string
		authenticates bool
		early, late   bool
	}{
		{"high", true, true, false},
		{"[" + byHeader + "]", false, true, false},
		{"[" + byHeader + "]", true, false, true},
		{"[" + byWho + "]", false, false, true},
		{"[" + byHeader + "," + byWho + "]", false, true, true},
		{"[" + byWho + "," + byHeader + "]", false, false, true},
		{`[{when: 'jwt.plan == "x"', class: low}]`, false, false, true},
		{`[{when: '"plan" in jwt', class: low}]`, false, false, true},
		{`[{when: 'request.size > 1000', class: low}]`, true, true, false},
	} {
		f, err := newPolicy(t, c.text, c.authenticates)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if (f.Early != nil) != c.early || (f.Request != nil) != c.late {
			t.Errorf("%s: early %v, late %v", c.text, f.Early != nil, f.Request != nil)
		}
	}
	f, err := newPolicy(t, "["+byHeader+","+byWho+"]", false)
	if err != nil {
		t.Fatal(err)
	}
	ex := exchange("gold", "alice")
	if _ = f.Early.Request(ex); ex.Priority != filter.Normal {
		t.Errorf("before it is known who calls: %s", ex.Priority)
	}
	if _ = f.Request(ex); ex.Priority != filter.High {
		t.Errorf("after: %s", ex.Priority)
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"urgent":                            "low, normal, high, critical",
		"[]":                                "there is no rule",
		"{}":                                "rules",
		"[high, low]":                       "put it last",
		"[{when: 'nope == 1', class: low}]": "nope",
		"[{when: 'true'}]":                  "class",
		"[{when: 'method', class: low}]":    "true or false",
	} {
		if _, err := newPolicy(t, text, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func BenchmarkPriority(b *testing.B) {
	f, err := newPolicy(b, `[{when: 'identity.subject == "alice"', class: high}, low]`, false)
	if err != nil {
		b.Fatal(err)
	}
	ex := exchange("", "bob")
	b.ReportAllocs()
	for b.Loop() {
		_ = f.Request(ex)
	}
}

func TestDoesNotAllocate(t *testing.T) {
	f, err := newPolicy(t, "high", false)
	if err != nil {
		t.Fatal(err)
	}
	ex := exchange("", "")
	if n := testing.AllocsPerRun(100, func() { _ = f.Early.Request(ex) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
