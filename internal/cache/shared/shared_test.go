package shared

import (
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/redis/redistest"
	"cardea.dev/cardea/internal/stored"
)

// gateway is a Store, and the purges that it was told.
type gateway struct {
	*Store
	t      testing.TB
	logged *redistest.Log

	mu   sync.Mutex
	told []told

	answers uint64 // that were counted by asked
}

type told struct {
	seq uint64
	p   filter.Purge
}

// join starts a Store of a server that is not yet subscribed.
func join(t testing.TB, url string, o Options) *gateway {
	t.Helper()
	server, err := redis.New(url)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, logged: &redistest.Log{}}
	o.Log = slog.New(slog.NewTextHandler(g.logged, nil))
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second // the machine may be slow
	}
	if g.Store, err = New(server, "test", o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// subscribe has purges told.
func (g *gateway) subscribe(since uint64) *gateway {
	g.Subscribe(since, func(seq uint64, p filter.Purge) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.told = append(g.told, told{seq, p})
	})
	return g
}

func (g *gateway) all() []told {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]told(nil), g.told...)
}

// last is the last purge that was told.
func (g *gateway) last() told {
	all := g.all()
	if len(all) == 0 {
		return told{}
	}
	return all[len(all)-1]
}

// knows says whether a purge was told.
func (g *gateway) knows(p filter.Purge) bool {
	for _, one := range g.all() {
		if one.p == p {
			return true
		}
	}
	return false
}

var began = time.Now().Truncate(0)

// response is one that is fresh for an hour.
func response(key, etag string) *stored.Response {
	return &stored.Response{
		Key: key, URL: "https://example.com/" + key, Route: "orders", Method: http.MethodGet, Status: http.StatusOK, Size: -1,
		Header: stored.NewFields(http.Header{"Content-Type": {"text/plain"}, "Etag": {etag}, "Link": {"<a>", "<b>"}}),
		Vary:   stored.NewFields(http.Header{"Accept": {"text/plain"}}),
		Terms:  stored.Terms{Lifetime: time.Hour, InitialAge: time.Second, IfError: time.Minute, Flags: stored.MustRevalidate | stored.Unkeyed},
		Tags:   []string{"a", "b"}, Seq: 7, Requested: began, Received: began,
	}
}

// store stores a response with a body.
func (g *gateway) store(r *stored.Response, text string) *stored.Response {
	g.t.Helper()
	w, err := g.Put(g.t.Context(), r)
	if err != nil {
		g.t.Fatal(err, g.logged.String())
	}
	defer w.Abort()
	if _, err := io.WriteString(w, text); err != nil {
		g.t.Fatal(err)
	}
	kept, err := w.Commit(r)
	if err != nil {
		g.t.Fatal(err)
	}
	if got := bodyOf(g.t, kept); got != text {
		g.t.Fatalf("what was committed has the body %.20q", got)
	}
	return kept
}

func bodyOf(t testing.TB, r *stored.Response) string {
	t.Helper()
	from, err := r.Body.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	all, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// finds says whether a body is what is found, and waits for it: what is written comes later.
func (g *gateway) finds(s *redistest.Server, key, text string) *stored.Response {
	g.t.Helper()
	var r *stored.Response
	s.Wait("find "+key, func() bool {
		r = g.Get(g.t.Context(), key)
		return r != nil && bodyOf(g.t, r) == text
	})
	return r
}

func TestTwoGateways(t *testing.T) {
	s := redistest.Start(t)
	a, b := join(t, s.URL(), Options{}).subscribe(0), join(t, s.URL(), Options{}).subscribe(0)
	for _, text := range []string{"", "hello", strings.Repeat("x", apartFrom), strings.Repeat("y", apartFrom+1), strings.Repeat("z", 1<<20)} {
		want := a.store(response("k", `"1"`), text)
		got := b.finds(s, "k", text)
		want.Body, got.Body = nil, nil
		if !got.Received.Equal(want.Received) {
			t.Errorf("received %s", got.Received)
		}
		got.Received, got.Requested = want.Received, want.Requested
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\nwant %+v", got, want)
		}
	}
	if r := b.Get(t.Context(), "other"); r != nil {
		t.Errorf("%+v", r)
	}
	a.Delete(t.Context(), "k")
	s.Wait("be deleted", func() bool { return b.Get(t.Context(), "k") == nil })
	s.Wait("leave nothing", func() bool { return !strings.Contains(s.Must("KEYS", "*"), a.names("k").head) })

	for _, p := range []filter.Purge{{URL: "https://example.com/x"}, {Tag: "t", Soft: true}, {Prefix: "https://example.com/"}, {All: true}} {
		seq, err := a.Publish(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		s.Wait("be told", func() bool { return b.last() == told{seq, p} && a.last() == told{seq, p} })
	}
	a.PublishLater(filter.Purge{Tag: "later"})
	s.Wait("be told later", func() bool { return b.knows(filter.Purge{Tag: "later"}) })
}
