package fresh

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// text is a parser that refuses "bad".
func text(texts [][]byte) (string, error) {
	all := string(bytes.Join(texts, []byte("+")))
	if strings.Contains(all, "bad") {
		return "", errors.New("it is bad")
	}
	return all, nil
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, "1")
	write(t, b, "2")
	var log bytes.Buffer
	now := time.Now()
	f, err := Read([]string{a, b}, 10, slog.New(slog.NewTextHandler(&log, nil)), now, text)
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		change func()
		after  time.Duration
		want   string
		logged string
	}{
		{func() {}, 0, "1+2", ""},
		{func() { write(t, a, "3") }, time.Second / 2, "1+2", ""}, // nobody looks yet
		{func() {}, time.Second, "3+2", "read changed files"},
		{func() { write(t, b, "bad") }, time.Second, "3+2", "it is bad"},
		{func() {}, time.Second, "3+2", ""}, // said once
		{func() { write(t, b, "far too long a text") }, time.Second, "3+2", "more than 10 bytes"},
		{func() { _ = os.Remove(b) }, time.Second, "3+2", "no such file"},
		{func() { write(t, b, "4") }, time.Second, "3+4", "read changed files"},
		{func() { write(t, b+".new", "5"); _ = os.Rename(b+".new", b) }, time.Hour, "3+5", "read changed files"},
		{func() {}, time.Hour, "3+5", ""},
	}
	for i, s := range steps {
		log.Reset()
		s.change()
		now = now.Add(s.after)
		if got := *f.Value(now); got != s.want {
			t.Errorf("step %d: got %q, want %q", i, got, s.want)
		}
		if !strings.Contains(log.String(), s.logged) || s.logged == "" && log.Len() > 0 {
			t.Errorf("step %d: logged %q, want %q", i, log.String(), s.logged)
		}
	}
}

func TestReadFailsAtOnce(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	write(t, bad, "bad")
	for name, want := range map[string]string{bad: "it is bad", dir: "no regular file", filepath.Join(dir, "none"): "no such file"} {
		if _, err := Read([]string{name}, 10, slog.New(slog.DiscardHandler), time.Now(), text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func BenchmarkValue(b *testing.B) {
	name := filepath.Join(b.TempDir(), "a")
	if err := os.WriteFile(name, []byte("1"), 0o600); err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	f, err := Read([]string{name}, 10, slog.New(slog.DiscardHandler), now, text)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f.Value(now)
	}
}
