package shared

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/internal/stored"
)

// random is a response of all kinds, and a body.
func random(r *rand.Rand) (*stored.Response, []byte) {
	text := func() string {
		b := make([]byte, r.IntN(12))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	texts := func() (all []string) {
		for range r.IntN(4) {
			all = append(all, text())
		}
		return all
	}
	fields := func() stored.Fields {
		h := http.Header{}
		for range r.IntN(5) {
			h.Add("X-"+strings.Repeat("a", r.IntN(4)), text())
		}
		return stored.NewFields(h)
	}
	moment := func() time.Time {
		if r.IntN(8) == 0 {
			return time.Time{}
		}
		return time.Unix(r.Int64N(1<<33), r.Int64N(1e9))
	}
	age := func() time.Duration { return time.Duration(r.Int64() - r.Int64()) }
	one := &stored.Response{
		Key: text(), URL: text(), Route: text(), Method: text(), Status: r.IntN(1000), Header: fields(), Trailer: fields(), Vary: fields(),
		Terms: stored.Terms{Lifetime: age(), InitialAge: age(), WhileRevalidate: age(), IfError: age(), Flags: stored.Flags(r.Uint32())},
		Tags:  texts(), Seq: r.Uint64(), Requested: moment(), Received: moment(), Marker: r.IntN(3) == 0,
	}
	for i := 0; one.Marker && i <= r.IntN(3); i++ {
		one.Varies = append(one.Varies, texts())
	}
	body := make([]byte, r.IntN(40))
	for i := range body {
		body[i] = byte(r.Uint32())
	}
	one.Size = int64(len(body))
	return one, body
}

// TestRoundTrip: what is written is read, and nothing else is.
func TestRoundTrip(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	for range 300 {
		want, body := random(source)
		b, err := encode(want, body, newBody(body).sum)
		if err != nil {
			t.Fatal(err)
		}
		got, read, _, err := decode(b)
		if err != nil || !reflect.DeepEqual(got, want) || !bytes.Equal(read, body) {
			t.Fatalf("%v %+v\nwant %+v", err, got, want)
		}
		for n := range len(b) {
			if _, _, _, err := decode(b[:n]); err == nil {
				t.Fatalf("the first %d of %d bytes are read", n, len(b))
			}
		}
		if _, _, _, err := decode(append(b[:len(b):len(b)], 0)); err == nil {
			t.Fatal("one byte more is read")
		}
		for i := range b {
			for bit := range 8 {
				b[i] ^= 1 << bit
				if _, _, _, err := decode(b); err == nil {
					t.Fatalf("bit %d of byte %d of %d is turned, and that is read", bit, i, len(b))
				}
				b[i] ^= 1 << bit
			}
		}
	}
}

func TestHeadsWithoutMeasure(t *testing.T) {
	r := response("k", `"1"`)
	r.Tags = []string{strings.Repeat("x", maxHead)}
	if _, err := encode(r, nil, 0); err == nil {
		t.Error("it is kept")
	}
}

// FuzzValue reads whole values.
func FuzzValue(f *testing.F) {
	source := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // the same each time
	for range 20 {
		r, body := random(source)
		b, err := encode(r, body, newBody(body).sum)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, body, frame, err := decode(b)
		if err == nil && (r == nil || !frame.apart && int64(len(body)) != r.Size) {
			t.Errorf("%+v %d", r, len(body))
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	r, body := response("k", `"1"`), make([]byte, 1024)
	sum := newBody(body).sum
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encode(r, body, sum); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	body := make([]byte, 1024)
	value, err := encode(response("k", `"1"`), body, newBody(body).sum)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := decode(value); err != nil {
			b.Fatal(err)
		}
	}
}
