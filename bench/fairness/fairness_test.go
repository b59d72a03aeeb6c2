package main

import (
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRun tries all of it, shortly: how many of a caller's requests come through at once is what the limit says.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	table, picture := filepath.Join(dir, "a", "fairness.csv"), filepath.Join(dir, "b", "fairness.svg")
	s, err := parse([]string{"-greedy", "8", "-polite", "2", "-capacity", "2", "-work", "1ms", "-time", "500ms", "-csv", table, "-svg", picture, "-limit", "concurrency: 3 per header.x-user"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(t.Context(), s, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no limit\n", "concurrency: 3 per header.x-user\n", "2 polite: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	f, err := os.Open(table)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 7 {
		t.Fatalf("%v: %v", rows, err)
	}
	for _, row := range rows[1:] {
		served, most := number(t, row[2]), number(t, row[5])
		if served == 0 || row[0] != "no limit" && most > 3 || row[1] != "greedy" && most > 1 {
			t.Errorf("%v", row)
		}
	}
	text, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "<rect"); n != 7 {
		t.Errorf("there are %d rectangles", n)
	}
	for d := xml.NewDecoder(strings.NewReader(string(text))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestIndex(t *testing.T) {
	for _, c := range []struct {
		served []int
		want   float64
	}{{[]int{5, 5, 5, 5}, 1}, {[]int{8, 0, 0, 0}, 0.25}, {[]int{0, 0}, 0}} {
		o := outcome{}
		for _, n := range c.served {
			o.callers = append(o.callers, caller{served: n})
		}
		if got := o.index(); got != c.want {
			t.Errorf("%v: got %v, want %v", c.served, got, c.want)
		}
	}
}

func TestWrong(t *testing.T) {
	for _, args := range []string{"-greedy 0", "-time 0", "x", "-nothing"} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
	s, err := parse([]string{"-limit", "nonsense: 1"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := try(t.Context(), s, s.limits[1]); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("got %v", err)
	}
}
