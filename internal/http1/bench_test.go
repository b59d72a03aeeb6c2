package http1

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/http1/http1test"
)

func BenchmarkRequestHead(b *testing.B) {
	l := Limits{}.OrDefaults()
	var h Head
	in := []byte(http1test.BrowserRequest)
	buf := make([]byte, len(in))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, in)
		if bad := parseRequestHead(&h, buf, &l); bad != nil {
			b.Fatal(bad)
		}
	}
}

func BenchmarkChunked(b *testing.B) {
	l := Limits{}.OrDefaults()
	for _, size := range []int{1, 100, 32 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			one := fmt.Sprintf("%x\r\n%s\r\n", size, strings.Repeat("x", size))
			in := []byte(strings.Repeat(one, max(1, 100000/len(one))) + "0\r\n\r\n")
			buf := make([]byte, 32<<10)
			src := bytes.NewReader(in)
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				src.Reset(in)
				var r Reader
				r.Attach(src)
				var body BodyReader
				body.Begin(&r, Chunked, -1, &l)
				for {
					if _, err := body.Read(buf); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				r.Drop()
			}
		})
	}
}
