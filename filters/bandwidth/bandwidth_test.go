package bandwidth

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "bandwidth", 4) }

// newFilter builds the policy, and returns what makes exchanges for it.
func newFilter(t testing.TB, text string) (*filter.Filter, func(addr, body string, fields ...string) *filter.Exchange) {
	t.Helper()
	env := filtertest.NewEnv(t, "files")
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return f, func(addr, body string, fields ...string) *filter.Exchange {
		r, _ := http.NewRequestWithContext(t.Context(), "POST", "/", io.NopCloser(strings.NewReader(body)))
		if body == "" {
			r.Body = http.NoBody
		}
		for i := 0; i+1 < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
		}
		ex := &filter.Exchange{Request: r, Client: netip.MustParseAddr(addr)}
		ex.Prepare(env.Slots())
		return ex
	}
}

// transfer takes an exchange with an answer of a size through the policy, up to its end, and returns how long that took.
func transfer(t testing.TB, f *filter.Filter, ex *filter.Exchange, size int) time.Duration {
	begin := time.Now()
	if err := f.Request(ex); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, ex.Request.Body); err != nil {
		t.Error(err)
	}
	ex.Response = &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(make([]byte, size)))}
	if err := f.Response(ex); err != nil {
		t.Error(err)
	}
	if n, err := io.Copy(io.Discard, ex.Response.Body); n != int64(size) || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	f.Finish(ex)
	return time.Since(begin)
}

func TestEachRequestHasItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, exchange := newFilter(t, "{response: 1000/s burst 1000, request: 100/s burst 100}")
		for range 2 {
			if took := transfer(t, f, exchange("192.0.2.1", strings.Repeat("x", 300)), 6000); took != 7*time.Second {
				t.Errorf("it took %s", took)
			}
		}
		if took := transfer(t, f, exchange("192.0.2.1", ""), 1000); took != 0 {
			t.Errorf("the burst took %s", took)
		}
	})
}

func TestAKeysTransfersShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, exchange := newFilter(t, "1000/s burst 50 per address")
		took := make(chan time.Duration, 4)
		for range 4 {
			go func() { took <- transfer(t, f, exchange("192.0.2.1", ""), 1000) }()
		}
		other := transfer(t, f, exchange("192.0.2.2", ""), 1050)
		if other != time.Second {
			t.Errorf("another address was slowed down too: %s", other)
		}
		for range 4 { // all end together, for each gets its turn
			if d := <-took; d < 3600*time.Millisecond || d > 4*time.Second {
				t.Errorf("one of four took %s", d)
			}
		}
	})
}

func TestAbsentKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for absent, want := range map[string]time.Duration{"pass": 0, "address": 950 * time.Millisecond, "together": 950 * time.Millisecond} {
			f, exchange := newFilter(t, "{response: 1000/s, per: header.x-user, absent: "+absent+"}")
			if took := transfer(t, f, exchange("192.0.2.1", ""), 1000); took != want {
				t.Errorf("%s: it took %s", absent, took)
			}
		}
	})
}

func TestEventsAreNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, exchange := newFilter(t, "10KiB/s")
		ex := exchange("192.0.2.1", "")
		_ = f.Request(ex)
		r, w := io.Pipe()
		ex.Response = &http.Response{StatusCode: 200, Body: r}
		_ = f.Response(ex)
		go func() {
			for range 100 {
				_, _ = io.WriteString(w, "data: "+time.Now().Format(time.RFC3339Nano)+"\n\n")
				time.Sleep(10 * time.Millisecond)
			}
			_ = w.Close()
		}()
		buf := make([]byte, 32<<10)
		for {
			n, err := ex.Response.Body.Read(buf)
			if err != nil {
				break
			}
			at, _ := time.Parse(time.RFC3339Nano, strings.TrimSpace(strings.TrimPrefix(string(buf[:n]), "data: ")))
			if !at.Equal(time.Now()) {
				t.Fatalf("an event of %s came at %s", at, time.Now())
			}
		}
	})
}

func TestUpgradesAreSlowedDownToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, exchange := newFilter(t, "{response: 1000/s, request: 100/s}")
		ex := exchange("192.0.2.1", "", "Upgrade", "websocket")
		_ = f.Request(ex)
		ex.Response = &http.Response{StatusCode: 101, Body: &loop{}}
		_ = f.Response(ex)
		conn := ex.Response.Body.(io.ReadWriteCloser)
		begin := time.Now()
		if n, err := conn.Write(make([]byte, 105)); n != 105 || err != nil || time.Since(begin) != time.Second {
			t.Errorf("%d, %v after %s", n, err, time.Since(begin))
		}
		begin = time.Now()
		if n, err := io.ReadFull(conn, make([]byte, 105)); n != 105 || err != nil || time.Since(begin) != 55*time.Millisecond {
			t.Errorf("%d, %v after %s", n, err, time.Since(begin))
		}
		_ = conn.Close()
		f.Finish(ex)
	})
}

// loop is a connection that gives back what is written.
type loop struct{ bytes.Buffer }

func (*loop) Close() error { return nil }

func TestNothingIsHeldAfterTheEnd(t *testing.T) {
	env := filtertest.NewEnv(t, "files")
	f, err := Kind().Build(env, filtertest.Parse(t, "{response: 1MiB/s, request: 1MiB/s, per: address}"))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest("POST", "/", strings.NewReader("x"))
	ex := &filter.Exchange{Request: r, Client: netip.MustParseAddr("192.0.2.1")}
	ex.Prepare(env.Slots())
	_ = f.Request(ex)
	if v := f.Explain(ex); !strings.Contains(v.Note, "192.0.2.1, which has 1 under way") {
		t.Error(v.Note)
	}
	f.Finish(ex)
	if v := f.Explain(ex); !strings.Contains(v.Note, "has 0 under way") {
		t.Error(v.Note)
	}
}

func TestWhatOutlivesAReload(t *testing.T) {
	env := filtertest.NewEnv(t, "files")
	for _, text := range []string{"1MiB/s per address", "1MiB/s per address", "2MiB/s per address", "1MiB/s"} {
		if _, err := Kind().Build(env, filtertest.Parse(t, `"`+text+`"`)); err != nil {
			t.Fatal(err)
		}
	}
	if kept := len(env.Keeper.(filtertest.Keeper)); kept != 2 {
		t.Errorf("%d are kept", kept)
	}
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{
		"{}": "say how much", "1MiB": "per what time", "1MiB/s per": "per what time", "{response: fast}": "not a bandwidth", "1MiB/s per nothing.there": "nothing",
		"{response: 1MiB/s, absent: refuse}": "refuse", "{response: 0/s}": "nothing could", "1MiB/s per all, address": "stands alone",
	} {
		if _, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func BenchmarkExchange(b *testing.B) {
	f, exchange := newFilter(b, "1TiB/s per address")
	ex := exchange("192.0.2.1", "")
	body, buf := bytes.NewReader(nil), make([]byte, 32<<10)
	page := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		_ = f.Request(ex)
		body.Reset(page)
		ex.Response = &http.Response{StatusCode: 200, Body: io.NopCloser(body)}
		_ = f.Response(ex)
		for {
			if _, err := ex.Response.Body.Read(buf); err != nil {
				break
			}
		}
		f.Finish(ex)
	}
}
