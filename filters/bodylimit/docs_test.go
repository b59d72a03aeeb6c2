package bodylimit

import (
	"testing"

	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "body_limit", 2) }
