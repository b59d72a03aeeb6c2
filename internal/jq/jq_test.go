package jq_test

import (
	"context"
	"reflect"
	"testing"

	"cardea.dev/cardea/internal/jq"
)

func TestVariables(t *testing.T) {
	p, err := jq.Compile(`.a + $x`, "$x")
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Run(context.Background(), map[string]any{"a": 1}, 2)
	if err != nil || !reflect.DeepEqual(got, []any{3}) {
		t.Errorf("got %v, %v", got, err)
	}
}
