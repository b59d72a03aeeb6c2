package journal

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const childAlone = "CARDEA_TEST_JOURNAL_ALONE"

// TestNoRoom: what cannot be written was not changed, also not what was changed together with it; what is there is read; and once there is room, it goes on.
func TestNoRoom(t *testing.T) {
	if os.Getenv(childAlone) == "" { // its limits are nobody else's
		c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		c.Env = append(os.Environ(), childAlone+"=1")
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	for _, file := range []int64{0, 1} { // in the middle of a file, and where a new one is to be made
		b := newBench(t, Options{File: file})
		b.do(func(tx *Tx[head]) { tx.Put("a", head{1}, time.Time{}, text("x", "one")) })
		limit(t, 200)
		for range 3 {
			got, err := Do(t.Context(), b.Journal, func(tx *Tx[head]) string {
				tx.Put("a", head{2}, time.Time{})
				tx.Put("b", head{3}, time.Time{}, text("x", strings.Repeat("x", 1000)))
				tx.Delete("a")
				return "done"
			})
			if !errors.Is(err, syscall.EFBIG) || got != "" || !b.Failing() {
				t.Errorf("got %v", err)
			}
			b.want("a 1 x=one")
		}
		if n := strings.Count(b.log.String(), "cannot write the journal"); n != 1 {
			t.Errorf("it was said %d times: %s", n, b.log)
		}
		limit(t, unix.RLIM_INFINITY)
		b.do(func(tx *Tx[head]) { tx.Put("c", head{4}, time.Time{}) })
		b.want("a 1 x=one, c 4")
		b.again()
		b.want("a 1 x=one, c 4")
		if !strings.Contains(b.log.String(), "can be written again") || strings.Contains(b.log.String(), "not written whole") || b.Failing() {
			t.Error(b.log)
		}
	}
}

func limit(t *testing.T, n uint64) {
	t.Helper()
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: unix.RLIM_INFINITY}); err != nil {
		t.Fatal(err)
	}
}
