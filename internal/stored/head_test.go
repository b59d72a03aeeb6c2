package stored_test

import (
	"encoding/hex"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cardea.dev/cardea/internal/stored"
)

func response() *stored.Response {
	start := time.Unix(1_700_000_000, 5)
	return &stored.Response{
		Key: "GET https://h/k", URL: "https://h/k", Route: "orders", Method: "GET", Status: 200,
		Header:  stored.NewFields(http.Header{"Content-Type": {"text/plain"}, "Link": {"</a>", "</b>; rel=\"next\""}, "X-Empty": {""}}),
		Trailer: stored.NewFields(http.Header{"X-Sum": {"17"}}),
		Vary:    stored.NewFields(http.Header{"Accept-Encoding": {"gzip"}}),
		Terms: stored.Terms{
			Lifetime: time.Hour, InitialAge: 3 * time.Second, WhileRevalidate: time.Minute, IfError: 2 * time.Minute, Flags: stored.Heuristic | stored.Unkeyed,
		},
		Tags: []string{"a", "b"}, Seq: 7, Requested: start, Received: start.Add(time.Second),
	}
}

// marker is what stands for the variants of a response.
func marker() *stored.Response {
	return &stored.Response{Key: "m", Marker: true, Varies: [][]string{{"Accept", "Accept-Encoding"}, {}, {"Cookie"}}}
}

func same(a, b *stored.Response) string {
	return cmp.Diff(a, b, cmp.Transformer("header", func(f stored.Fields) http.Header { return f.Header() }), cmpopts.EquateEmpty())
}

func TestHeads(t *testing.T) {
	extreme := response()
	extreme.Terms.Lifetime, extreme.Terms.InitialAge, extreme.Seq = math.MaxInt64, math.MinInt64, math.MaxUint64
	extreme.Received, extreme.Requested = time.Time{}, time.Unix(-5, 7)
	for _, r := range []*stored.Response{{Key: "k"}, response(), extreme, marker()} {
		encoded := stored.AppendHead(nil, r)
		got, err := stored.ReadHead(string(encoded))
		if err != nil {
			t.Fatal(err)
		}
		if d := same(got, r); d != "" {
			t.Error(d)
		}
		for n := range encoded {
			if _, err := stored.ReadHead(string(encoded[:n])); err == nil {
				t.Errorf("%d of %d bytes are a head", n, len(encoded))
			}
		}
	}
}

// TestWhatIsStoredStaysReadable by later versions: who changes the form of heads, changes the version of what they stand in, or reads both.
func TestWhatIsStoredStaysReadable(t *testing.T) {
	for name, one := range map[string]struct {
		want *stored.Response
		text string
	}{
		"a response": {response(), "0f4745542068747470733a2f2f682f6b0b68747470733a2f2f682f6b066f7264657273034745549003040c436f6e74656e742d547970650a746578742f706c61696e044c696e6b043c2f613e044c696e6b103c2f623e3b2072656c3d226e6578742207582d456d707479000105582d53756d023137010f4163636570742d456e636f64696e6704677a69708080c58bc6d10180f882ad1680e0ba84bf0380c0f588fe06280201610162078a80d0e2c6bfce972f8aa8a69ccebfce972f00"},
		"a marker":   {marker(), "016d0000000000000000000000000000ffffffffffffffffff01ffffffffffffffffff01010302064163636570740f4163636570742d456e636f64696e67000106436f6f6b6965"},
	} {
		text, err := hex.DecodeString(one.text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := stored.ReadHead(string(text))
		if err != nil {
			t.Fatalf("%s: %v: it is now %x", name, err, stored.AppendHead(nil, one.want))
		}
		if d := same(got, one.want); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add(stored.AppendHead(nil, response()))
	f.Add(stored.AppendHead(nil, marker()))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := stored.ReadHead(string(b))
		if err != nil {
			return
		}
		again, err := stored.ReadHead(string(stored.AppendHead(nil, r)))
		if err != nil {
			t.Fatal(err)
		}
		if d := same(again, r); d != "" {
			t.Fatal(d)
		}
	})
}
