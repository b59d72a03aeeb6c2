package call_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/call"
)

// calls is how a target declares calls.
type calls struct {
	Calls   map[string]call.Config `yaml:"calls"`
	More    map[string]call.Config `yaml:",inline"`
	Timeout config.Duration        `yaml:"timeout"`
	Self    config.Node            `yaml:",self"`
}

func TestDeclared(t *testing.T) {
	var c calls
	if err := filtertest.Parse(t, "{zeta: GET a/1, timeout: 5s, alpha: GET a/2, calls: {timeout: GET a/3, beta: GET a/4}}").Decode(&c); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range call.Declared(c.Self, "calls", c.Calls, c.More) {
		got = append(got, d.Name+": "+d.Call.Call+" at "+d.Node.Path())
	}
	want := []string{"timeout: GET a/3 at calls.timeout", "beta: GET a/4 at calls.beta", "zeta: GET a/1 at zeta", "alpha: GET a/2 at alpha"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if errs := call.CheckDeclared("calls", "call", "x: y", c.Calls, c.More); errs != nil {
		t.Error(errs)
	}
	c.More["beta"] = c.More["zeta"]
	if err := errors.Join(call.CheckDeclared("calls", "call", "x: y", c.Calls, c.More)...); err == nil || err.Error() != "calls[\"beta\"]: there is a call \"beta\" beside `calls`, too" {
		t.Error(err)
	}
	if err := errors.Join(call.CheckDeclared[call.Config]("calls", "call", "x: y", nil, nil)...); err == nil || err.Error() != "there is no call; write one as in `x: y`" {
		t.Error(err)
	}
}
