package cache

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/redis/redistest"
	"cardea.dev/cardea/internal/stored"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, redistest.Ending()...)
}

// at is when tests begin.
var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// under is a cache under test, with a clock of its own.
type under struct {
	*Cache
	t        testing.TB
	env      *filter.Env
	behind   *Behind
	settings config.Cache
	clock    time.Time
}

// newCache makes a cache of settings, in the form of a configuration.
func newCache(t testing.TB, text string) *under {
	t.Helper()
	u := &under{t: t, env: filtertest.NewEnv(t, "r"), clock: at}
	u.env.Dir = t.TempDir()
	u.settings = settings(t, text)
	u.open()
	return u
}

// sharing makes a cache that others share through a server.
func sharing(t testing.TB, url string) *under {
	t.Helper()
	u := newCache(t, "{shared: true, store: '"+url+"', store_timeout: 10s}")
	u.clock = time.Now() // the server has a clock of its own
	return u
}

// settings reads the settings of a cache.
func settings(t testing.TB, text string) config.Cache {
	t.Helper()
	var all map[string]config.Cache
	if err := filtertest.Parse(t, "c: "+text).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all["c"]
}

// open makes the cache anew, as after a restart.
func (u *under) open() {
	u.t.Helper()
	behind, _, err := Kept(u.env, "c", &u.settings)
	if err != nil {
		u.t.Fatal(err)
	}
	u.behind = behind
	u.Cache = New("c", behind, &u.settings, slog.New(slog.DiscardHandler), func() time.Time { return u.clock })
	u.t.Cleanup(func() { _ = u.Close() })
}

// forget has the memory forget all.
func (u *under) forget() {
	for r := range u.memory.All() {
		u.memory.Delete(r.Key)
	}
}

// response is a response to GET http://h/PATH that is fresh for a minute.
func (u *under) response(path string, change ...func(*stored.Response)) *stored.Response {
	r := &stored.Response{
		Key: "GET http://h/" + path, URL: "http://h/" + path, Method: "GET", Status: 200, Terms: stored.Terms{Lifetime: time.Minute},
		Seq: u.Seq(), Requested: u.clock, Received: u.clock, Size: -1,
	}
	for _, f := range change {
		f(r)
	}
	return r
}

// put stores a response that differs by some fields of the request.
func (u *under) put(r *stored.Response, body, vary string, said ...string) *stored.Response {
	u.t.Helper()
	var names []string
	if vary != "" {
		names = strings.Split(vary, ",")
	}
	w := u.Begin(u.t.Context(), r, names, fields(said))
	if w.Store() != nil {
		if _, err := io.WriteString(w.Store(), body); err != nil {
			u.t.Fatal(err)
		}
	}
	whole := *r
	whole.Size = int64(len(body))
	var blocks [][]byte
	inMemory := whole.Size <= w.Memory()
	if inMemory {
		blocks = [][]byte{[]byte(body)}
	}
	w.Commit(&whole, blocks, inMemory)
	w.End()
	w.Close()
	kept, _ := u.Cache.get(u.t.Context(), []byte(whole.Key))
	return kept
}

func fields(said []string) http.Header {
	h := http.Header{}
	for _, s := range said {
		name, value, _ := strings.Cut(s, ": ")
		h.Add(name, value)
	}
	return h
}

// get is what a request for a path finds: the body, and in front of it "soft " or "behind " where it is so; or why there is none.
func (u *under) get(path string, said ...string) string {
	u.t.Helper()
	f, key := u.Find(u.t.Context(), append(make([]byte, 0, 100), "GET http://h/"+path...), fields(said))
	if string(key) != "GET http://h/"+path {
		u.t.Errorf("the key is %q afterwards", key)
	}
	text := ""
	switch {
	case f.Response == nil && f.Purged:
		return "purged"
	case f.Response == nil && f.Known:
		return "known"
	case f.Response == nil:
		return "none"
	case f.Soft:
		text = "soft "
	}
	if f.Behind {
		text = "behind " + text
	}
	return text + body(u.t, f.Response)
}

func body(t testing.TB, r *stored.Response) string {
	t.Helper()
	if r.Body == nil {
		return "no body"
	}
	b, err := r.Body.Open()
	if err != nil {
		return err.Error()
	}
	defer b.Close()
	text, err := io.ReadAll(b)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// is compares what requests find with what is wanted.
func (u *under) is(when, want string, path string, said ...string) {
	u.t.Helper()
	if got := u.get(path, said...); got != want {
		u.t.Errorf("%s: %s %v finds %q, want %q", when, path, said, got, want)
	}
}

func TestWhatIsPutIsFound(t *testing.T) {
	u := newCache(t, "1MiB")
	u.is("at first", "none", "a")
	if kept := u.put(u.response("a"), "A", ""); kept == nil || body(t, kept) != "A" {
		t.Errorf("it is kept as %v", kept)
	}
	u.is("then", "A", "a")
	u.is("then", "none", "b")
	u.clock = u.clock.Add(time.Hour)
	u.is("what is not fresh is found, too", "A", "a")
	u.put(u.response("a"), "B", "")
	u.is("what comes later", "B", "a")
	if f := u.Peek([]byte("GET http://h/a"), nil); f.Response == nil || body(t, f.Response) != "B" {
		t.Errorf("a peek finds %v", f)
	}
	u.Drop(t.Context(), "GET http://h/a")
	u.is("dropped", "none", "a")
}

// TestWhatIsTooLong for the memory is kept behind it alone, and what was in memory before is not left there.
func TestWhatIsTooLong(t *testing.T) {
	long := strings.Repeat("x", 10<<10)
	u := newCache(t, "{memory: 1MiB, max_in_memory: 1KiB, disk: {path: d, size: 8MiB}}")
	u.put(u.response("a"), "short", "")
	u.is("short", "short", "a")
	u.put(u.response("a"), long, "")
	u.is("long", "behind "+long, "a")
	u.is("again", "behind "+long, "a")
	alone := newCache(t, "{memory: 1MiB, max_in_memory: 1KiB}")
	alone.put(alone.response("a"), "short", "")
	if kept := alone.put(alone.response("a"), long, ""); kept != nil {
		t.Errorf("it is kept as %v", kept)
	}
	alone.is("what was there is out of date", "none", "a")
}

func TestPromotion(t *testing.T) {
	u := newCache(t, "{memory: 1MiB, max_in_memory: 1KiB, disk: {path: d, size: 8MiB}}")
	u.put(u.response("a"), "A", "")
	u.put(u.response("v"), "de", "Accept-Language", "Accept-Language: de")
	u.forget()
	if f := u.Peek([]byte("GET http://h/a"), nil); f.Response != nil {
		t.Error("a peek looks behind")
	}
	u.is("from behind", "behind A", "a")
	u.is("from memory", "A", "a")
	u.is("a variant, whose marker is behind, too", "behind de", "v", "Accept-Language: de")
	u.is("from memory", "de", "v", "Accept-Language: de")
	u.is("another", "known", "v", "Accept-Language: fr")
	if n := u.memory.Stats().Objects; n != 3 {
		t.Errorf("there are %d in memory, want both and the marker", n)
	}
	u.forget()
	if _, err := u.Purge(t.Context(), filter.Purge{URL: "http://h/a"}); err != nil {
		t.Fatal(err)
	}
	u.is("what is purged", "purged", "a")
	if r := u.memory.GetString("GET http://h/a"); r != nil {
		t.Error("what is purged is taken into memory")
	}
}

// TestARestart keeps what is on the disk, its variants, and its purges.
func TestARestart(t *testing.T) {
	u := newCache(t, "{memory: 1MiB, disk: {path: d, size: 8MiB}}")
	u.put(u.response("a"), "A", "")
	u.put(u.response("b"), "B", "")
	u.put(u.response("v"), "de", "Accept-Language", "Accept-Language: de")
	if _, err := u.Purge(t.Context(), filter.Purge{URL: "http://h/b"}); err != nil {
		t.Fatal(err)
	}
	before := u.Seq()
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	u.env.Keeper.(filtertest.Keeper).Close(t)
	u.open()
	u.is("kept", "behind A", "a")
	u.is("purged", "purged", "b")
	u.is("a variant", "behind de", "v", "Accept-Language: de")
	if u.Seq() < before {
		t.Errorf("the number of the latest purge was %d, and is %d", before, u.Seq())
	}
	u.put(u.response("b"), "B2", "")
	u.is("stored since", "B2", "b")
}

// TestTheMemoryMayBeNone for a cache with a disk.
func TestTheMemoryMayBeNone(t *testing.T) {
	u := newCache(t, "{memory: 0, disk: {path: d, size: 8MiB}}")
	u.put(u.response("a"), "A", "")
	u.put(u.response("v"), "de", "Accept-Language", "Accept-Language: de")
	u.put(u.response("v"), "fr", "Accept-Language", "Accept-Language: fr")
	u.is("", "behind A", "a")
	u.is("", "behind de", "v", "Accept-Language: de")
	u.is("", "behind fr", "v", "Accept-Language: fr")
	u.put(u.response("v", status(404)), "no", "", "Accept-Language: it")
	u.is("an error of another variant", "behind de", "v", "Accept-Language: de")
	u.is("an error", "behind no", "v", "Accept-Language: it")
	if n := u.memory.Stats().Objects; n != 0 {
		t.Errorf("there are %d in memory", n)
	}
}

func status(n int) func(*stored.Response) { return func(r *stored.Response) { r.Status = n } }

func TestUpdate(t *testing.T) {
	u := newCache(t, "{memory: 1MiB, disk: {path: d, size: 8MiB}}")
	u.put(u.response("a"), "A", "")
	f, _ := u.Find(t.Context(), []byte("GET http://h/a"), nil)
	u.clock = u.clock.Add(time.Hour)
	renewed := *f.Response
	renewed.Received = u.clock
	u.Update(t.Context(), &renewed)
	for _, when := range []string{"in memory", "behind"} {
		f, _ := u.Find(t.Context(), []byte("GET http://h/a"), nil)
		if f.Response == nil || f.Response.Left(u.clock) != time.Minute || body(t, f.Response) != "A" {
			t.Errorf("%s: %+v", when, f.Response)
		}
		u.forget()
	}
}

// TestConfigure has the sizes of the latest generation hold, whenever the others come.
func TestConfigure(t *testing.T) {
	u := newCache(t, "{memory: 1MiB, max_in_memory: 5KiB, disk: {path: d, size: 8MiB}}")
	limits := func(when string, memory, inMemory, disk int64) {
		t.Helper()
		info := u.ResponseCache()
		if info.Limit != memory || u.inMemory.Load() != inMemory || info.Below.Limit != disk {
			t.Errorf("%s: %d, %d and %d, want %d, %d and %d", when, info.Limit, u.inMemory.Load(), info.Below.Limit, memory, inMemory, disk)
		}
	}
	limits("from the beginning", 1<<20, 5<<10, 8<<20)
	first, second, third := u.Next(), u.Next(), u.Next()
	if first >= second || second >= third {
		t.Fatalf("generations are %d, %d, %d", first, second, third)
	}
	two := settings(t, "{memory: 16MiB, disk: {path: d, size: 2MiB}}")
	u.Configure(second, &two)
	limits("the second", 16<<20, 1<<20, 2<<20)
	one := settings(t, "{memory: 2MiB, disk: {path: d, size: 4MiB}}")
	u.Configure(first, &one)
	limits("the first, which comes late", 16<<20, 1<<20, 2<<20)
	u.Configure(second, &one)
	limits("the second, again", 16<<20, 1<<20, 2<<20)
	three := settings(t, "{memory: 256MiB, disk: {path: d, size: 4MiB, max_object: 1KiB}}")
	u.Configure(third, &three)
	limits("the third", 256<<20, 8<<20, 4<<20)
	if _, err := u.behind.store.Put(t.Context(), u.response("a", func(r *stored.Response) { r.Size = 2 << 10 })); err == nil {
		t.Error("max_object does not hold")
	}
}

func TestWhatIsNotCommitted(t *testing.T) {
	u := newCache(t, "{memory: 1MiB, disk: {path: d, size: 8MiB}}")
	w := u.Begin(t.Context(), u.response("a"), nil, nil)
	if _, err := w.Store().Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	w.End()
	w.Close()
	u.is("aborted", "none", "a")
	r := u.response("a")
	w = u.Begin(t.Context(), r, nil, nil)
	if _, err := w.Store().Write([]byte("old")); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Purge(t.Context(), filter.Purge{All: true}); err != nil {
		t.Fatal(err)
	}
	u.put(u.response("a"), "new", "")
	r.Size = 3
	w.Commit(r, [][]byte{[]byte("old")}, true)
	w.End()
	w.Close()
	u.is("purged meanwhile", "new", "a")
	u.forget()
	u.is("behind", "behind new", "a")
}

func TestForms(t *testing.T) {
	u := newCache(t, "{memory: 1MiB, max_in_memory: 1KiB}")
	kept := u.put(u.response("a"), "plain", "")
	forms := kept.Body.(*Forms)
	if _, _, ok := forms.Encoded("br"); ok {
		t.Error("there is a form from the beginning")
	}
	before, took := forms.Memory(), u.memory.Stats().Bytes
	forms.KeepEncoded("br", [][]byte{[]byte("enc"), []byte("oded")})
	forms.KeepEncoded("br", [][]byte{[]byte("another")})
	forms.KeepEncoded("gzip", [][]byte{bytes.Repeat([]byte("x"), 2<<10)})
	r, n, ok := forms.Encoded("br")
	if !ok || n != 7 {
		t.Fatalf("%d, %v", n, ok)
	}
	defer r.Close()
	if text, err := io.ReadAll(r); err != nil || string(text) != "encoded" {
		t.Errorf("%q, %v", text, err)
	}
	if _, _, ok := forms.Encoded("gzip"); ok {
		t.Error("a form is kept that is too long")
	}
	grown := forms.Memory() - before
	if got := u.memory.Stats().Bytes - took; grown <= 0 || got != grown {
		t.Errorf("the form takes %d bytes, and %d are counted", grown, got)
	}
	if found, _ := u.Look(t.Context(), "http://h/a", 10); len(found) != 1 || strings.Join(found[0].Encoded, " ") != "br" {
		t.Errorf("operators see %+v", found)
	}
	u.put(u.response("a"), "other", "")
	if f, _ := u.Find(t.Context(), []byte("GET http://h/a"), nil); f.Response.Body.(*Forms).codings() != nil {
		t.Error("a new body has the forms of the old one")
	}
	u.Drop(t.Context(), "GET http://h/a")
	if got := u.memory.Stats(); got.Objects != 0 {
		t.Errorf("%+v is left", got)
	}
}
