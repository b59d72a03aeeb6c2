package http1_test

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/http1/http1test"
)

// message is all that a request on a stream says, and where it ends.
type message struct {
	Method, Target, Host, Proto string
	URL                         url.URL
	Header, Trailer             http.Header
	Length                      int64
	Chunked, Close              bool
	Body                        string
	End                         int // counted from the beginning of the stream
}

// readOurs reads the requests of a stream that comes in pieces, up to the first that is refused or not whole.
func readOurs(in []byte, seed uint64) (all []message) {
	stream := &http1test.Canned{Pieces: http1test.Split(in, seed)}
	l := http1.Limits{}.OrDefaults()
	var r http1.Reader
	r.Attach(stream)
	defer r.Drop()
	for {
		h, m := new(http1.Head), message{Proto: "HTTP/1.1"}
		if r.ReadRequestHead(h, &l) != nil || h.SetURL(&m.URL) != nil {
			return all
		}
		var b http1.BodyReader
		f, length := http1.RequestLength(h)
		b.Begin(&r, f, length, &l)
		body, err := io.ReadAll(&b)
		if err != nil {
			return all
		}
		if h.Minor == 0 {
			m.Proto = "HTTP/1.0"
		}
		m.Method, m.Target, m.Host, m.Header, m.Trailer = h.Method, h.Target, h.Host, h.Header, b.Trailer()
		m.Length, m.Chunked, m.Close, m.Body = length, f == http1.Chunked, !h.Persistent(), string(body)
		m.End = stream.Given - r.Buffered()
		if all = append(all, m); m.Close {
			return all
		}
	}
}

// nextTheirs has net/http read the next request of a stream.
func nextTheirs(r *bufio.Reader, left func() int, total int) (m message, err error) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return m, err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return m, err
	}
	m = message{
		Method: req.Method, Target: req.RequestURI, Host: req.Host, Proto: req.Proto, URL: *req.URL, Header: req.Header, Trailer: req.Trailer,
		Length: req.ContentLength, Chunked: len(req.TransferEncoding) > 0, Close: req.Close, Body: string(body), End: total - left() - r.Buffered(),
	}
	return m, nil
}

// compareRequests fails when ours takes a request of a stream, and net/http refuses it or takes it for another one, in any field or in
// where it ends.
func compareRequests(t testing.TB, in []byte, seed uint64) {
	t.Helper()
	rest := bytes.NewReader(in)
	r := bufio.NewReader(rest)
	for i, ours := range readOurs(in, seed) {
		theirs, err := nextTheirs(r, rest.Len, len(in))
		if err != nil {
			t.Fatalf("request %d of %q: ours takes it for %+v, net/http says %v", i, in, ours, err)
		}
		if ours.Method == http.MethodConnect { // net/http takes what is behind it for its business
			return
		}
		forgive(&ours, &theirs)
		if d := cmp.Diff(theirs, ours); d != "" {
			t.Fatalf("request %d of %q: %s", i, in, d)
		}
	}
}

// forgive takes out what may differ.
func forgive(ours, theirs *message) {
	for _, m := range []*message{ours, theirs} {
		m.Close = m.Close || len(m.Header["Connection"]) > 0 // net/http looks at the first field alone
		maps.DeleteFunc(m.Trailer, func(name string, values []string) bool { return values == nil || !http1.PassesInTrailer(name) })
		if len(m.Trailer) == 0 {
			m.Trailer = nil
		}
		if len(m.Header) == 0 {
			m.Header = nil
		}
	}
}

// TestRequestsOfAStream reads good and hostile requests, one behind the other, in pieces.
func TestRequestsOfAStream(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var good, all []strictRow
	for _, row := range strictness {
		if len(row.in) > 4000 || strings.HasPrefix(row.in, "CONNECT") {
			continue
		}
		all = append(all, row)
		if row.status == 0 && !strings.Contains(row.in, "HTTP/1.0") {
			good = append(good, row)
		}
	}
	rounds := 5000
	if testing.Short() {
		rounds = 500
	}
	for range rounds {
		var in []byte
		n := random.IntN(4)
		for range n {
			in = append(in, good[random.IntN(len(good))].in...)
		}
		if got := len(readOurs(in, random.Uint64())); got != n {
			t.Fatalf("%d requests are taken of %d: %q", got, n, in)
		}
		in = append(in, all[random.IntN(len(all))].in...)
		if random.IntN(2) == 0 {
			at := random.IntN(len(in))
			in = slices.Insert(in, at, []byte(spice[random.IntN(len(spice))])...)
		}
		compareRequests(t, in, random.Uint64())
	}
}

// FuzzRequests compares streams of requests, in pieces, with net/http.
func FuzzRequests(f *testing.F) {
	for i, row := range strictness {
		if len(row.in) < 2000 {
			f.Add([]byte(row.in+following), uint64(i))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		if len(in) <= theirTrailer {
			compareRequests(t, in, seed)
		}
	})
}
