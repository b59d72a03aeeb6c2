package sequence_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// place is how keys of a route are told apart in the store.
func place(route string) string {
	sum := sha256.Sum256([]byte(route))
	return hex.EncodeToString(sum[:8])
}

// TestTheStoreRefuses what is asked of it: nothing begins, nothing is told of the store, and all goes on once it takes it again.
func TestTheStoreRefuses(t *testing.T) {
	for name, test := range map[string]struct{ from, to [][]string }{
		"it is full":         {[][]string{{"CONFIG", "SET", "maxmemory", "1"}}, [][]string{{"CONFIG", "SET", "maxmemory", "0"}}},
		"it is a replica":    {[][]string{{"REPLICAOF", "127.0.0.1", "1"}}, [][]string{{"REPLICAOF", "NO", "ONE"}}},
		"it may not be used": {[][]string{{"ACL", "SETUSER", "default", "-evalsha", "-eval", "-set"}}, [][]string{{"ACL", "SETUSER", "default", "+@all"}}},
		"a key is no set":    {[][]string{{"SET", "INDEX", "x"}}, [][]string{{"DEL", "INDEX"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := newShop(t), redistest.Start(t)
			g := gatewaytest.New(t, s.shared(r, secret+"      store_timeout: 5s\n"))
			tell := func(all [][]string) {
				for _, command := range all {
					for i := range command {
						command[i] = strings.Replace(command[i], "INDEX", "cardea:sequence:{"+place("/buy")+"}:open", 1)
					}
					r.Must(command...)
				}
			}
			tell(test.from)
			for range 3 {
				resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k")
				if resp.StatusCode != 503 || !strings.Contains(body, "sequence_unavailable") || strings.Contains(body, r.Addr) || strings.Contains(body, "OOM") {
					t.Errorf("got %d %s", resp.StatusCode, body)
				}
			}
			if got := s.count("POST"); got != "0 0 0" {
				t.Errorf("calls: %s", got)
			}
			tell(test.to)
			waitFor(t, func() bool {
				resp, _ := g.Do("POST", "/buy", items, "Idempotency-Key: k")
				return resp.StatusCode == 200
			})
			if got := s.count("POST"); got != "1 1 1" {
				t.Errorf("calls: %s", got)
			}
		})
	}
}

// TestTheStoreIsFull in the middle: what runs comes to its end, and its answer is kept.
func TestTheStoreIsFull(t *testing.T) {
	t.Parallel()
	s, r := newShop(t), redistest.Start(t)
	g := gatewaytest.New(t, s.shared(r, secret+"      store_timeout: 5s\n"))
	s.fault = func(name string, req *http.Request, _ string) string {
		if name == "orders" && req.Method == "POST" {
			r.Must("CONFIG", "SET", "maxmemory", "1")
		}
		return ""
	}
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k"); resp.StatusCode != 200 {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	s.remains(t, "orders stock payments")
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: k"); resp.StatusCode != 200 || resp.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("once more: %d %s", resp.StatusCode, body)
	}
	if resp, body := g.Do("POST", "/buy", items, "Idempotency-Key: l"); resp.StatusCode != 503 || !strings.Contains(body, "sequence_unavailable") {
		t.Errorf("another: %d %s", resp.StatusCode, body)
	}
}
