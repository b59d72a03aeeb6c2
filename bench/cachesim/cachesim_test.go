package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun tries all of it, shortly.
func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hits.csv")
	var out strings.Builder
	if err := run([]string{"-objects", "1000", "-requests", "10000", "-sizes", "10", "-csv", file}, &out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n != 1+8+2*5 || strings.Count(out.String(), "\n") != n {
		t.Errorf("there are %d lines, and in print:\n%s", n, out.String())
	}
}

// TestPolicies sees to it that none keeps more than it has room for, nor less than it could, and that none beats who knows what comes.
func TestPolicies(t *testing.T) {
	made := zipf(0.9, 0.2)(1, 2000, 30_000)
	best := replay(made, newBelady(made.total/10, made)).objects
	for _, p := range policies {
		got := replay(made, p.make(made.total/10, made)).objects
		if got > best || got < 0.3 {
			t.Errorf("%s: %.3f of the requests are hits, and at best %.3f", p.name, got, best)
		}
		all := loop(1, 100, 10_000)
		if got := replay(all, p.make(10*all.total, all)).objects; got != 1 {
			t.Errorf("%s: with room for all %.3f are hits", p.name, got)
		}
	}
}

func TestWrong(t *testing.T) {
	for _, args := range []string{"-objects 1", "x", "-nothing", "-sizes 0", "-sizes x", "-policies none", "-traces none"} {
		if err := run(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}
