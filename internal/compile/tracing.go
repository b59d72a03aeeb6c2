package compile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/engine"
	"cardea.dev/cardea/observe"
)

// keptTracer lets a tracer live as long as a snapshot wants it.
type keptTracer struct{ *observe.Tracer }

// Close delivers what is left.
func (t keptTracer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return t.Shutdown(ctx)
}

// buildTracer builds the tracer, or takes the one that runs with the same settings.
func (c *compiler) buildTracer(s *engine.Snapshot) {
	settings := c.cfg.Tracing
	if c.Offline || settings.Off || settings.Endpoint == "" {
		return
	}
	v, err := c.scope.Keep("tracing:"+tracingKey(settings), func() (any, error) {
		t, err := observe.NewTracer(settings, observe.TracerOptions{Version: c.Version, Log: c.Log, Metrics: c.Metrics})
		return keptTracer{t}, err
	})
	if err != nil {
		c.errs = append(c.errs, c.cfg.Self.Field("tracing").Locate(err)...)
		return
	}
	s.Tracer = v.(keptTracer).Tracer
}

// tracingKey differs where settings do, secrets too. It is never shown.
func tracingKey(t config.Tracing) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%+v", t)
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		fmt.Fprintf(sum, "%q%q", name, t.Headers[name].Reveal())
	}
	return hex.EncodeToString(sum.Sum(nil))
}
