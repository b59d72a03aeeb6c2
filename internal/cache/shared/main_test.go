package shared

import (
	"testing"

	"go.uber.org/goleak"

	"cardea.dev/cardea/internal/redis/redistest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, redistest.Ending()...)
}
