package rules

import (
	"net/http"
	"testing"
	"time"

	"cardea.dev/cardea/internal/stored"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// header makes a header of "Name: value" pairs.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func get(pairs ...string) *http.Request {
	return &http.Request{Method: "GET", Header: header(pairs...)}
}

func at(d time.Duration) string { return now.Add(d).UTC().Format(http.TimeFormat) }

func store(t *testing.T, s *Settings, status int, h http.Header) *stored.Response {
	t.Helper()
	r := get()
	q := ParseRequest(r)
	terms, why := Storable(s, r, &q, false, &http.Response{StatusCode: status, Header: h}, now, now)
	if why != "" {
		t.Fatalf("%v is not stored: %s", h, why)
	}
	return &stored.Response{Method: "GET", Status: status, Header: stored.NewFields(Stored(s, h, now)), Terms: terms, Requested: now, Received: now, Size: 100}
}

func TestStoreAndServe(t *testing.T) {
	s := &Settings{}
	r := store(t, s, 200, header("Cache-Control", "max-age=60", "Etag", `"a"`))
	q := ParseRequest(get())
	if use, why := Judge(s, &q, r, now.Add(59*time.Second)); use != Fresh {
		t.Errorf("after 59 s: %v %s", use, why)
	}
	if use, why := Judge(s, &q, r, now.Add(60*time.Second)); use != Validate || why != WhyStale {
		t.Errorf("after 60 s: %v %s", use, why)
	}
	var a Answer
	h := http.Header{}
	Respond(&a, h, "GET", &q, r, now.Add(30*time.Second))
	if a.Status != 200 || h.Get("Age") != "30" || !a.Whole || a.Length != 100 {
		t.Errorf("answer %+v, %v", a, h)
	}
}
