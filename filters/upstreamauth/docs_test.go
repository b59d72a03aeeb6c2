package upstreamauth

import (
	"testing"

	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) {
	for _, name := range []string{"UPSTREAM_PASSWORD", "UPSTREAM_TOKEN", "API_KEY", "CLIENT_SECRET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "x")
	}
	filtertest.Examples[Config](t, "upstream_auth", 6)
}
