package sharedlimit

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"cardea.dev/cardea/internal/redis/redistest"
)

// TestMain runs the tests, or is a gateway of TestProcesses.
func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		os.Exit(worker())
	}
	goleak.VerifyTestMain(m, redistest.Ending()...)
}
