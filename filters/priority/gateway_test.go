package priority_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// A more important request takes the place in line of one that is less so, which is refused.
func TestTheLeastImportantIsRefused(t *testing.T) {
	arrived, free := make(chan string), make(chan struct{})
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.URL.Path; <-free }))
	defer service.Close()
	g := gatewaytest.New(t, fmt.Sprintf(`
upstreams:
  orders: {endpoints: "%s", limits: {requests: 1, pending: 1, pending_wait: 1m}}
routes:
  - match: /**
    to: orders
    priority: [{when: 'header["x-plan"] == "free"', class: low}, {when: 'request.path.startsWith("/pay")', class: critical}]
`, service.URL))
	answers := make(chan string, 4)
	send := func(path, plan string) {
		go func() {
			resp, body := g.Get(path, "X-Plan: "+plan)
			answer := fmt.Sprintf("%s %d", path, resp.StatusCode)
			if resp.StatusCode != 200 {
				seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
				answer += fmt.Sprintf(" %v %v", strings.Contains(body, "upstream_overloaded"), err == nil && seconds > 0)
			}
			answers <- answer
		}()
	}
	send("/first", "gold")
	<-arrived
	send("/free", "free")
	send("/pay", "gold")
	if got := <-answers; got != "/free 503 true true" {
		t.Errorf("at first %s", got)
	}
	free <- struct{}{}
	if path := <-arrived; path != "/pay" {
		t.Errorf("%s is served", path)
	}
	free <- struct{}{}
	got := map[string]bool{<-answers: true, <-answers: true}
	if !got["/first 200"] || !got["/pay 200"] {
		t.Errorf("then %v", got)
	}
}
