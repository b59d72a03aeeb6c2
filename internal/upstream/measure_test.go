package upstream

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

func TestSlowClientsDoNotMakeAnEndpointSlow(t *testing.T) {
	b := newBackend(t, says(200, "fast"))
	c := newCluster(t, func(u *config.Upstream) { u.Balance.By = "ewma" }, b.URL)
	ex := &filter.Exchange{Request: get()}
	resp, err := c.Do(ex, ex.Request)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // the client reads slowly
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if e := endpointOf(c.Status(), b); e.LatencyMS > 200 {
		t.Errorf("its latency is %v ms", e.LatencyMS)
	}
}

func TestWaitingForAConnectionOpensNone(t *testing.T) {
	b := newBackend(t, func(http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Millisecond) })
	c := newCluster(t, func(u *config.Upstream) { u.Limits.Connections = 1 }, b.URL)
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() { do(c, get()) })
	}
	wait.Wait()
	var m dto.Metric
	if err := c.metrics.dialled.Write(&m); err != nil || m.Counter.GetValue() != 1 {
		t.Errorf("%v connections were opened, %v", m.Counter.GetValue(), err)
	}
}
