package gatewaytest_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// What the client, the route and the upstream say of time meets in what the service is told, and in what the client is answered.
func TestDeadlinesThroughTheGateway(t *testing.T) {
	type told struct{ grpc, deadline string }
	seen := make(chan told, 1)
	service := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hangs" {
			<-r.Context().Done()
			return
		}
		seen <- told{r.Header.Get("Grpc-Timeout"), r.Header.Get("X-Request-Deadline")}
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	})
	g := gatewaytest.New(t, fmt.Sprintf(`
upstreams: {orders: "%s"}
routes:
  - {match: /hangs, to: orders}
  - {match: /bounded/**, to: orders, timeout: 30s}
  - {match: /**, to: orders}
`, service.URL))
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format("2006-01-02T15:04:05.000Z07:00") }

	deadline := at(20 * time.Second)
	if resp, _ := g.Get("/a", "X-Request-Deadline: "+deadline); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	if got := <-seen; got != (told{"", deadline}) {
		t.Errorf("the client's: %+v, want %s", got, deadline)
	}
	g.Get("/bounded/a", "X-Request-Deadline: "+at(time.Hour))
	if end, err := time.Parse(time.RFC3339, (<-seen).deadline); err != nil || time.Until(end) > 30*time.Second {
		t.Errorf("the route's, which is sooner: %v, %v", end, err)
	}
	g.Get("/bounded/a", "Content-Type: application/grpc")
	if got := <-seen; got.grpc == "" || got.deadline != "" {
		t.Errorf("by gRPC: %+v", got)
	}
	if resp, body := g.Get("/hangs", "X-Request-Deadline: "+at(20*time.Millisecond)); resp.StatusCode != 504 {
		t.Errorf("too late: %s %s", resp.Status, body)
	}
	if resp, _ := g.Get("/hangs", "Content-Type: application/grpc", "Grpc-Timeout: 20m"); resp.Header.Get("Grpc-Status") != "4" {
		t.Errorf("too late by gRPC: %s %v", resp.Status, resp.Header)
	}
	if resp, _ := g.Get("/a", "X-Request-Deadline: "+at(-time.Second)); resp.StatusCode != 504 || len(seen) != 0 {
		t.Errorf("over before: %s, and it was sent %d times", resp.Status, len(seen))
	}
	g.Get("/a", "X-Request-Deadline: soon")
	if got := <-seen; got != (told{}) {
		t.Errorf("what cannot be read: %+v", got)
	}
}
