package signature

import (
	"testing"

	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) {
	for _, name := range []string{"GITHUB_SECRET", "STRIPE_NEW", "STRIPE_OLD", "SLACK_SECRET"} {
		t.Setenv(name, "0123456789")
	}
	filtertest.Examples[Config](t, "signature", 5)
}
