package schema_test

import (
	"testing"

	"cardea.dev/cardea/internal/schema"
)

// TestNamesAreWrongWhereTheyStand: also where other parts of the value, which are looked at later, are wrong as well. The order in which the compiler's checks
// look at parts differs each time.
func TestNamesAreWrongWhereTheyStand(t *testing.T) {
	s := compileText(t, `{"properties":{"a":{"propertyNames":{"pattern":"^[a-z]$"}},"b":{"type":"string"},"c":{"type":"string"}}}`, schema.Options{})
	v, err := schema.Decode([]byte(`{"a":{"x":1,"NO":2},"b":1,"c":1}`), schema.Bounds{})
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		found, _ := s.Check(v, 9)
		if len(found) != 3 || found[0] != (schema.Violation{Pointer: "/a", Reason: "has a name that is not allowed: NO"}) {
			t.Fatalf("found %v", found)
		}
	}
}
