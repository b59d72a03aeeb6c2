package gatewaytest_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// Requests by HTTP/2 have a body that is empty where those by HTTP/1.1 have none. They are sent once more all the same.
func TestHedgesThroughTheGateway(t *testing.T) {
	hangs := upstream(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	well := upstream(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "well") })
	for name, client := range map[string]*http.Client{"HTTP/1.1": {Transport: &http.Transport{}}, "HTTP/2": h2(t)} {
		g := gatewaytest.New(t, `
upstreams: {a: {endpoints: ["`+hangs.URL+`", "`+well.URL+`"], eject: off, hedge: {after: 1ms, max: 100%}}}
routes: [{match: /**, to: a}]
`)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for range 2 { // one of them goes to the endpoint that hangs first
			req, err := http.NewRequestWithContext(ctx, "GET", g.URL+"/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if body, err := io.ReadAll(resp.Body); string(body) != "well" || err != nil {
				t.Errorf("%s: %s %q, %v", name, resp.Status, body, err)
			}
			_ = resp.Body.Close()
		}
		client.CloseIdleConnections()
	}
}
