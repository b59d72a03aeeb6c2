package call_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/call"
)

func TestDeclared(t *testing.T) {
	self := filtertest.Parse(t, "{zeta: GET a/1, timeout: 5s, alpha: GET a/2, calls: {timeout: GET a/3, beta: GET a/4}}")
	more := maps.Collect(self.Fields())
	delete(more, "timeout")
	delete(more, "calls")
	var got []string
	for name := range call.Declared(self, "calls", more) {
		got = append(got, name)
	}
	if diff := cmp.Diff([]string{"timeout", "beta", "zeta", "alpha"}, got); diff != "" {
		t.Error(diff)
	}
	for name := range call.Declared(self, "calls", more) {
		if name == "zeta" {
			break
		}
	}
	below := maps.Collect(self.Field("calls").Fields())
	if errs := call.CheckDeclared("calls", "call", "x: y", below, more); errs != nil {
		t.Error(errs)
	}
	more["beta"] = self.Field("zeta")
	if err := errors.Join(call.CheckDeclared("calls", "call", "x: y", below, more)...); err == nil || err.Error() != "calls[\"beta\"]: there is a call \"beta\" beside `calls`, too" {
		t.Error(err)
	}
	if err := errors.Join(call.CheckDeclared("calls", "call", "x: y", nil, map[string]config.Node{})...); err == nil || err.Error() != "there is no call; write one as in `x: y`" {
		t.Error(err)
	}
}
