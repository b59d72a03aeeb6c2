package acme

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"

	"cardea.dev/cardea/observe"
)

// serving is a manager that serves many names.
func serving(names int) *Manager {
	m := New(Options{Log: slog.New(slog.DiscardHandler), Metrics: observe.NewMetrics()})
	next := &table{names: map[string]*managed{}, old: map[*managed]*tls.Certificate{}}
	for i := range names {
		d := &managed{manager: m, name: fmt.Sprintf("n%d.example", i), authority: &authority{store: folder{"/nowhere"}}}
		d.cert.Store(&tls.Certificate{})
		next.names[d.name], next.order = d, append(next.order, d)
	}
	next.names["*.wild.example"] = next.order[0]
	m.served.Store(next)
	return m
}

// TestLookUpsAllocateNothing gates what runs for each connection, and for requests that look like an authority's.
func TestLookUpsAllocateNothing(t *testing.T) {
	m := serving(100)
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "http://other.example/.well-known/acme-challenge/x", nil)
	for what, f := range map[string]func() bool{
		"exact":    func() bool { return m.Certificate("n7.example") != nil },
		"unknown":  func() bool { return m.Certificate("other") == nil },
		"any":      func() bool { return m.Any() != nil },
		"question": func() bool { return m.Challenge("other.example") == nil },
		"request":  func() bool { return !m.Answer(w, r) },
	} {
		if !f() {
			t.Errorf("%s: wrong", what)
		}
		if n := testing.AllocsPerRun(100, func() { f() }); what != "request" && n > 0 || n > 2 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	if m.Certificate("x.wild.example") == nil || m.Certificate("x.y.wild.example") != nil || m.Certificate("wild.example") != nil {
		t.Error("wildcards")
	}
}

func BenchmarkCertificate(b *testing.B) {
	for _, names := range []int{10, 10_000} {
		m := serving(names)
		for _, name := range []string{"n7.example", "x.wild.example"} {
			b.Run(fmt.Sprintf("%s-of-%d", name, names), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if m.Certificate(name) == nil {
						b.Fatal("none")
					}
				}
			})
		}
	}
}
