package sequence_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/redis/redistest"
)

// BenchmarkShared is a request with a key of its own, of three steps, through a whole gateway and to services of net/http in the same process: without a store, with
// keys alone, and with a journal.
func BenchmarkShared(b *testing.B) {
	for _, bench := range []struct{ name, more string }{{"alone", "      store: local\n"}, {"keys", ""}, {"journal", secret}} {
		b.Run(bench.name, func(b *testing.B) {
			s := newShop(b)
			g := gatewaytest.New(b, s.shared(redistest.Start(b), bench.more))
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				req, _ := http.NewRequest("POST", g.URL+"/buy", strings.NewReader(items))
				req.Header.Set("Idempotency-Key", strconv.Itoa(n))
				resp, err := g.Client.Do(req)
				if err != nil || resp.StatusCode != http.StatusOK {
					b.Fatal(resp, err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}
