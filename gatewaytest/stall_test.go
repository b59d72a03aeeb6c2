package gatewaytest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// An answer that is cut since it stood still for too long is told as that.
func TestAnAnswerThatStallsTimedOut(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("begin"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer up.Close()
	g := gatewaytest.New(t, "upstreams: {a: {endpoints: '"+up.URL+"', timeout: {idle: 50ms}}}\nroutes: {match: /**, to: a}")
	resp, err := g.Client.Get(g.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = resp.Body.Read(make([]byte, 5))
	if _, err := resp.Body.Read(make([]byte, 5)); err == nil {
		t.Error("it was not cut")
	}
	if log := g.Log(); !strings.Contains(log, "code=upstream_timeout") {
		t.Errorf("the log says:\n%s", log)
	}
}
