package mirror

import (
	"testing"

	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "mirror", 3) }
