package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestShowingAgain shows until it is told to end, and bears that the gateway is away for a while.
func TestShowingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		a := &app{Streams: Streams{Out: &out}}
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		shown := 0
		err := a.again(ctx, 2*time.Second, func() error {
			shown++
			if shown == 2 {
				return wrong(errors.New("away"))
			}
			_, _ = out.WriteString("top\n")
			return nil
		})
		const clear = "\x1b[H\x1b[2J"
		if want := clear + "top\n" + clear + "away\n" + clear + "top\n"; err != nil || out.String() != want {
			t.Errorf("got %q, %v", out.String(), err)
		}
		if err := a.again(ctx, time.Second, func() error { return wrong(errors.New("away")) }); err == nil {
			t.Error("at first it must be there")
		}
	})
}
