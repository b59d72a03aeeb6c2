package static

import (
	"testing"

	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "static", 2) }
