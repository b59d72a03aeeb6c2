package authorize

import (
	"testing"

	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) {
	filtertest.Examples[Allow](t, "allow", 4)
	filtertest.Examples[Deny](t, "deny", 2)
}
