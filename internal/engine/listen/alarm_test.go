package listen

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rung := 0
		a := &alarm{ring: func() { rung++ }}
		wait := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		a.arm(0) // without end
		wait(time.Hour)
		a.arm(time.Second)
		a.disarm()
		wait(time.Minute)
		if rung != 0 {
			t.Fatal("it rang too early")
		}
		a.arm(time.Second)
		wait(time.Second)
		a.now()
		if rung != 2 {
			t.Fatalf("it rang %d times", rung)
		}
		a.arm(time.Second)
		a.end()
		a.now()
		a.arm(time.Second)
		wait(time.Minute)
		if rung != 2 {
			t.Error("it rang after its end")
		}
	})
}
