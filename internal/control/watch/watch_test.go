package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/internal/control/watch"
)

func TestChangesAreTold(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "one")
	list := func() ([]string, error) { return filepath.Glob(filepath.Join(dir, "*.yaml")) }
	told := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		first := true
		done <- watch.Watch(ctx, watch.Sources{Files: func() ([]string, error) {
			if first {
				first = false
				defer close(ready)
			}
			return list()
		}}, func() { told <- struct{}{} })
	}()
	<-ready
	time.Sleep(200 * time.Millisecond) // the folder is watched right after the list is made; nothing tells when
	expect := func(what string, want bool) {
		t.Helper()
		limit := 20 * time.Second
		if !want {
			limit = 400 * time.Millisecond
		}
		select {
		case <-told:
			if !want {
				t.Fatalf("%s was told", what)
			}
		case <-time.After(limit):
			if want {
				t.Fatalf("%s was not told", what)
			}
		}
	}
	write("a.yaml", "two")
	expect("a change in place", true)
	write("a.yaml", "two")
	expect("writing the same again", false)
	write("b.yaml", "new")
	expect("a new file", true)
	write("c.tmp", "three")
	expect("another file", false)
	if err := os.Rename(filepath.Join(dir, "c.tmp"), filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	expect("a rename over it", true)
	if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	expect("a removal", true)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestSwappedLinksAreTold(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"v1", "v2"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, version, "cardea.yaml"), []byte(version), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(version string) {
		t.Helper()
		if err := os.Symlink(version, filepath.Join(dir, "tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "tmp"), filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
	}
	link("v1")
	name := filepath.Join(dir, "cardea.yaml")
	if err := os.Symlink(filepath.Join("data", "cardea.yaml"), name); err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		files := func() ([]string, error) { return []string{name}, nil }
		done <- watch.Watch(ctx, watch.Sources{Files: files}, func() { told <- struct{}{} })
	}()
	time.Sleep(200 * time.Millisecond)
	link("v2")
	select {
	case <-told:
	case <-time.After(20 * time.Second):
		t.Fatal("the swap was not told")
	}
	cancel()
	<-done
}

func TestChangesOfUsedFilesAreTold(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir, other := t.TempDir(), t.TempDir()
	name, ca := filepath.Join(dir, "cardea.yaml"), filepath.Join(other, "ca.pem")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(name, "one")
	write(ca, "one")
	loaded := watch.Look(ca)
	told, looked := make(chan struct{}, 10), make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- watch.Watch(ctx, watch.Sources{
			Files: func() ([]string, error) { return []string{name}, nil },
			Used: func() map[string]watch.Digest {
				looked <- struct{}{}
				return map[string]watch.Digest{ca: loaded}
			},
		}, func() { told <- struct{}{} })
	}()
	wait := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			t.Fatal(what)
		}
	}
	wait("the file that is used is not looked at", looked)
	time.Sleep(200 * time.Millisecond) // it is read right after it is listed; nothing tells when
	if len(told) > 0 {
		t.Fatal("a file was told that was only found")
	}
	write(ca, "two")
	wait("its change was not told", told)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
