package coalesce

import (
	"bytes"
	"testing"
)

func BenchmarkJoinAndRead(b *testing.B) {
	body := text(1024)
	for name, answer := range map[string]func(f *fetch){
		"passing":      func(f *fetch) { f.Answer("head") },
		"kept":         func(f *fetch) { f.Keep("head", Keeping{Memory: 1 << 20, Size: -1, Whole: func([][]byte, bool) {}}) },
		"kept to size": func(f *fetch) { f.Keep("head", Keeping{Memory: 1 << 20, Size: 1024}) },
	} {
		b.Run(name, func(b *testing.B) {
			g := &group{Options: options}
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				r, _ := join(g, "a", func(f *fetch) { answer(f); _ = f.Copy(bytes.NewReader(body)) })
				readAll(b, r, buf)
			}
			g.Wait()
		})
	}
}

// BenchmarkJoinKept is a reader that joins a fetch under way, all of whose bytes are there.
func BenchmarkJoinKept(b *testing.B) {
	g := &group{Options: options}
	buf, there, hold := make([]byte, 4096), make(chan struct{}), make(chan struct{})
	run := func(f *fetch) {
		f.Keep("head", Keeping{Memory: 1 << 20, Size: 1024})
		_ = f.Copy(bytes.NewReader(text(1024)))
		close(there)
		<-hold
	}
	first, _ := join(g, "a", run)
	<-there
	b.ReportAllocs()
	for b.Loop() {
		r, _ := join(g, "a", run)
		readAll(b, r, buf)
	}
	_ = first.Close()
	close(hold)
	g.Wait()
}

func readAll(b *testing.B, r *reader, buf []byte) {
	if _, err := r.Head(b.Context(), 0); err != nil {
		b.Fatal(err)
	}
	for {
		if _, err := r.Read(buf); err != nil {
			break
		}
	}
	_ = r.Close()
}
