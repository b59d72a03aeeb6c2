package sequence_test

import (
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fill has no file of a gateway become longer than those in a directory are, as if the disk were full, until the function that it returns is called.
func (p *process) fill(dir string) (empty func()) {
	p.t.Helper()
	longest := int64(0)
	for _, name := range journals(p.t, dir) {
		if info, err := os.Stat(name); err == nil {
			longest = max(longest, info.Size())
		}
	}
	limit := func(n uint64) {
		if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: unix.RLIM_INFINITY}, nil); err != nil {
			p.t.Error(err)
		}
	}
	limit(uint64(longest))
	return func() { limit(unix.RLIM_INFINITY) }
}

// buy asks the gateway.
func (p *process) buy(key string) (*http.Response, string) {
	p.t.Helper()
	resp, body, err := buy(http.DefaultClient, p.url, key, items)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, body
}

// TestTheDiskIsFull when a request comes: nothing is done; and once there is room, all is as before.
func TestTheDiskIsFull(t *testing.T) {
	for rule, want := range map[string]int{"deny": 503, "local": 200} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			s, dir := newShop(t), t.TempDir()
			p := startProcess(t, s.onDisk(dir, "      on_store_failure: "+rule+"\n"))
			p.buy("before")
			empty := p.fill(dir)
			before := s.count("POST")
			resp, body := p.buy("k")
			if resp.StatusCode != want || want == 503 && (!strings.Contains(body, "sequence_unavailable") || strings.Contains(body, dir) || s.count("POST") != before) {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			if resp, _ := p.buy("before"); resp.StatusCode != 200 || resp.Header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("what was done before: %d", resp.StatusCode)
			}
			if n := strings.Count(p.log.String(), `level=ERROR msg="cannot write the journal"`); n != 1 {
				t.Errorf("it was said %d times: %s", n, p.log.String())
			}
			empty()
			if resp, body := p.buy("l"); resp.StatusCode != 200 || !strings.Contains(p.log.String(), "can be written again") {
				t.Errorf("then %d %s", resp.StatusCode, body)
			}
		})
	}
}

// TestTheDiskFillsUp in the middle: for a moment, and the sequence goes on; for longer than the lease, and it is undone, as after the next start.
func TestTheDiskFillsUp(t *testing.T) {
	for name, long := range map[string]bool{"for a moment": false, "for long": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := newShop(t), t.TempDir()
			text := s.onDisk(dir, "      store_timeout: 900ms\n      lease: 1s\n")
			p := startProcess(t, text)
			var once sync.Once
			empty := func() {}
			var back sync.WaitGroup
			defer back.Wait()
			s.fault = func(name string, r *http.Request, _ string) string {
				if name != "stock" {
					return ""
				}
				once.Do(func() {
					empty = p.fill(dir)
					if !long {
						back.Go(func() {
							for !strings.Contains(p.log.String(), "cannot write the journal") {
								time.Sleep(time.Millisecond)
							}
							empty()
						})
					}
				})
				return ""
			}
			resp, body := p.buy("k")
			if !long {
				if resp.StatusCode != 200 {
					t.Errorf("got %d %s", resp.StatusCode, body)
				}
				return
			}
			if resp.StatusCode != 503 || !strings.Contains(body, "sequence_failed") {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			s.remains(t, "")
			empty()
			waitFor(t, func() bool {
				resp, body = p.buy("k")
				return resp.Header.Get("Retry-After") == ""
			})
			if resp.StatusCode != 409 || !strings.Contains(body, "was undone") {
				t.Errorf("then %d %s", resp.StatusCode, body)
			}
		})
	}
}

// TestTheDiskFillsUpAtTheEnd: nobody is told that all is done while it may yet be undone.
func TestTheDiskFillsUpAtTheEnd(t *testing.T) {
	t.Parallel()
	s, dir := newShop(t), t.TempDir()
	text := strings.Replace(s.onDisk(dir, "      lease: 3s\n"), "within: 20s", "within: 500ms", 1)
	p := startProcess(t, text)
	empty := func() {}
	s.fault = func(name string, r *http.Request, _ string) string {
		if name == "payments" && r.Method == "POST" {
			empty = p.fill(dir)
		}
		return ""
	}
	resp, body := p.buy("k")
	if resp.StatusCode != 503 || !strings.Contains(body, "sequence_unknown") || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	s.remains(t, "orders stock payments")
	empty()
	waitFor(t, func() bool {
		resp, body = p.buy("k")
		return resp.Header.Get("Retry-After") == ""
	})
	if resp.StatusCode != 409 || !strings.Contains(body, "was undone") {
		t.Errorf("then %d %s", resp.StatusCode, body)
	}
	s.remains(t, "")
}
