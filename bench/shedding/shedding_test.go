package main

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// some is what came of two requests in each tenth of a second.
func some(p phases) []result {
	var all []result
	for at := time.Duration(0); at < p.total(); at += 100 * time.Millisecond {
		all = append(all, result{at: at, class: "low", shed: true}, result{at: at, class: "high", good: true, took: 30 * time.Millisecond})
	}
	return all
}

func TestReport(t *testing.T) {
	p := phases{time.Second, 2 * time.Second, time.Second}
	all := []measured{{"no limit", nil}, {"fixed limit", some(p)}, {"adaptive limit", some(p)}}
	got := all[2].count("", p.full, p.full+p.half)
	if want := (counted{sent: 40, good: 20, shed: 20, p50: 30 * time.Millisecond, p95: 30 * time.Millisecond}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	rows, err := csv.NewReader(bytes.NewReader(table(all, p))).ReadAll()
	if err != nil || len(rows) != 1+3*4*4 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	d := xml.NewDecoder(bytes.NewReader(picture(all, p)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
	}
}

func TestServiceWorksOnSoMany(t *testing.T) {
	s, address, err := startService()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.capacity(2)
	var most atomic.Int64
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			resp, err := http.Get("http://" + address)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			s.mu.Lock()
			most.Store(max(most.Load(), int64(s.busy)))
			s.mu.Unlock()
		})
	}
	wait.Wait()
	if most.Load() > 2 {
		t.Errorf("%d at once", most.Load())
	}
}
