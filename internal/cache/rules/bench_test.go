package rules

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/internal/stored"
)

// plain is a hit as most are: a browser's request, and a response with nine fields.
func plain(t testing.TB) (*http.Request, *stored.Response) {
	t.Helper()
	r := get("Host", "example.com", "User-Agent", "Mozilla/5.0", "Accept", "*/*", "Accept-Encoding", "gzip, br", "Cookie", "a=b", "Referer", "https://example.com/")
	h := header("Cache-Control", "public, max-age=3600", "Content-Type", "text/css", "Etag", `"abc"`, "Last-Modified", at(-time.Hour), "Date", at(0),
		"Server", "nginx", "Vary", "Accept-Encoding", "X-Content-Type-Options", "nosniff")
	terms, why := Storable(&Settings{}, r, &Request{}, false, &http.Response{StatusCode: 200, Header: h}, now, now)
	if why != "" {
		t.Fatal(why)
	}
	return r, &stored.Response{Method: "GET", Status: 200, Header: stored.NewFields(Stored(&Settings{}, h, now)), Terms: terms, Received: now, Requested: now, Size: 1000}
}

// hit is all that a hit asks of this package.
func hit(a *Answer, h http.Header, r *http.Request, s *Settings, response *stored.Response, now time.Time) Use {
	q := ParseRequest(r)
	use, _ := Judge(s, &q, response, now)
	clear(h)
	Respond(a, h, r.Method, &q, response, now)
	return use
}

func TestHitDoesNotAllocate(t *testing.T) {
	r, response := plain(t)
	for name, more := range map[string][]string{
		"plain": nil, "reload": {"Cache-Control", "max-age=0"}, "no-cache": {"Pragma", "no-cache"}, "condition": {"If-None-Match", `W/"x", "abc"`},
	} {
		r := r.Clone(t.Context())
		for i := 0; i < len(more); i += 2 {
			r.Header.Set(more[i], more[i+1])
		}
		var a Answer
		h := make(http.Header, 16)
		s := &Settings{}
		later := now.Add(2000 * time.Second)
		if n := testing.AllocsPerRun(200, func() { hit(&a, h, r, s, response, later) }); n > 0 && !raceEnabled {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkHit(b *testing.B) {
	r, response := plain(b)
	var a Answer
	h := make(http.Header, 16)
	s := &Settings{}
	later := now.Add(2000 * time.Second)
	b.ReportAllocs()
	for b.Loop() {
		hit(&a, h, r, s, response, later)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	r, _ := plain(b)
	b.ReportAllocs()
	for b.Loop() {
		ParseRequest(r)
	}
}

func BenchmarkJudge(b *testing.B) {
	_, response := plain(b)
	s, q := &Settings{}, &Request{}
	b.ReportAllocs()
	for b.Loop() {
		Judge(s, q, response, now)
	}
}

func BenchmarkRespond(b *testing.B) {
	_, response := plain(b)
	var a Answer
	h := make(http.Header, 16)
	b.ReportAllocs()
	for b.Loop() {
		clear(h)
		Respond(&a, h, "GET", &Request{}, response, now)
	}
}

func BenchmarkParseControl(b *testing.B) {
	lines := []string{"public, max-age=3600, stale-while-revalidate=60"}
	b.ReportAllocs()
	for b.Loop() {
		ParseControl(lines)
	}
}

func BenchmarkStorable(b *testing.B) {
	r, _ := plain(b)
	resp := &http.Response{StatusCode: 200, Header: header("Cache-Control", "public, max-age=3600", "Date", at(0), "Etag", `"abc"`)}
	s, q := &Settings{}, &Request{}
	b.ReportAllocs()
	for b.Loop() {
		Storable(s, r, q, false, resp, now, now)
	}
}

// BenchmarkHostileQuery is the longest query that listeners take by default, with as many names as count.
func BenchmarkHostileQuery(b *testing.B) {
	rule := []string{"key-order, params=(" + strings.Repeat(`"b" `, mostNames-1) + `"a")`}
	query := strings.Repeat("z&", 4<<10)
	b.SetBytes(int64(len(query)))
	b.ReportAllocs()
	for b.Loop() {
		NormalQuery(query, ParseNoVarySearch(rule))
	}
}

// BenchmarkHostileControl is what a client may send at most, of the kind that takes longest. Its time grows with its length alone.
func BenchmarkHostileControl(b *testing.B) {
	lines := []string{strings.Repeat(`\",`, 20_000)}
	b.SetBytes(int64(len(lines[0])))
	for b.Loop() {
		ParseControl(lines)
		NormalField("Foo", lines)
	}
}
