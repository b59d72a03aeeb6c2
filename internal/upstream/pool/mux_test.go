package pool

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames starts an HTTP/2 server that handles the frames of each stream's HEADERS itself.
func frames(t *testing.T, settings []http2.Setting, onHeaders func(n int, f *http2.Framer, stream uint32)) Target {
	return script(t, func(n int, c net.Conn, r *bufio.Reader) {
		io.ReadFull(r, make([]byte, len(http2.ClientPreface)))
		f := http2.NewFramer(c, r)
		f.WriteSettings(settings...)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					f.WriteSettingsAck()
				}
			case *http2.PingFrame:
				if !frame.IsAck() {
					f.WritePing(true, frame.Data)
				}
			case *http2.HeadersFrame:
				onHeaders(n, f, frame.StreamID)
			}
		}
	})
}

func block(fields ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

func answer(f *http2.Framer, stream uint32, fields ...string) {
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block(fields...), EndHeaders: true, EndStream: true})
}

func TestHTTP2Failures(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(f *http2.Framer, stream uint32)
		want Error
	}{
		{
			"refused stream", func(f *http2.Framer, s uint32) { f.WriteRSTStream(s, http2.ErrCodeRefusedStream) },
			Error{Phase: Header, Kind: Refused},
		},
		{
			"goaway before it", func(f *http2.Framer, s uint32) { f.WriteGoAway(0, http2.ErrCodeNo, nil) },
			Error{Phase: Header, Kind: Refused},
		},
		{
			"goaway with an error", func(f *http2.Framer, s uint32) { f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil) },
			Error{Phase: Header, Kind: Refused},
		},
		{
			"internal error", func(f *http2.Framer, s uint32) { f.WriteRSTStream(s, http2.ErrCodeInternal) },
			Error{Phase: Header, Kind: Reset, Sent: true},
		},
		{
			"protocol error of ours, they say", func(f *http2.Framer, s uint32) { f.WriteRSTStream(s, http2.ErrCodeProtocol) },
			Error{Phase: Header, Kind: Reset, Sent: true},
		},
		{
			"no status", func(f *http2.Framer, s uint32) { answer(f, s, "a", "b") },
			Error{Phase: Header, Kind: Malformed, Sent: true},
		},
		{
			"bad status", func(f *http2.Framer, s uint32) { answer(f, s, ":status", "abc") },
			Error{Phase: Header, Kind: Malformed, Sent: true},
		},
		{
			"upper case field", func(f *http2.Framer, s uint32) { answer(f, s, ":status", "200", "A", "b") },
			Error{Phase: Header, Kind: Malformed, Sent: true},
		},
		{
			"data before headers", func(f *http2.Framer, s uint32) { f.WriteData(s, true, []byte("x")) },
			Error{Phase: Header, Kind: Malformed, Sent: true},
		},
		{
			"frame of a stream that is not", func(f *http2.Framer, s uint32) { f.WriteData(s+100, true, []byte("x")) },
			Error{Phase: Header, Kind: Malformed, Sent: true},
		},
		{
			"large head", func(f *http2.Framer, s uint32) {
				answer(f, s, strings.Split(":status,200"+strings.Repeat(",a,"+strings.Repeat("a", 1000), 9), ",")...)
			},
			Error{Phase: Header, Kind: TooLarge, Sent: true},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := frames(t, nil, func(_ int, f *http2.Framer, stream uint32) { c.do(f, stream) })
			p := open(t, Options{Protocol: "h2c", MaxHeader: 4096})
			_, err := p.RoundTrip(t.Context(), request("GET", "/", nil), to, nil)
			if d := cmp.Diff(c.want, asError(t, err)); d != "" {
				t.Error(d)
			}
		})
	}
}

// A connection that is told to go away finishes what it has, takes nothing new, and another is opened.
func TestGoAway(t *testing.T) {
	release := make(chan struct{})
	to := frames(t, nil, func(n int, f *http2.Framer, stream uint32) {
		if n == 0 {
			f.WriteGoAway(stream, http2.ErrCodeNo, nil)
			<-release
		}
		answer(f, stream, ":status", "204")
	})
	p := open(t, Options{Protocol: "h2c"})
	var wg sync.WaitGroup
	wg.Go(func() { get(t, p, to) })
	eventually(t, "the connection is going away", func() bool {
		h := p.host(key{Target: to})
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.mux) == 1 && h.mux[0].active == 1 && h.mux[0].cc.Available() == 0
	})
	get(t, p, to)
	if got := p.Stats()[to.Address].Open; got != 2 {
		t.Errorf("%d connections", got)
	}
	close(release)
	wg.Wait()
	eventually(t, "the first is closed", func() bool { return p.Stats()[to.Address] == Stats{Open: 1, Idle: 1} })
}

func TestMoreStreamsThanAConnectionTakes(t *testing.T) {
	for _, c := range []struct {
		name           string
		max, wantConns int
	}{{"opens more", 0, 3}, {"waits", 1, 1}} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			held := map[uint32]*http2.Framer{}
			var all []func()
			to := frames(t, []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 2}}, func(_ int, f *http2.Framer, stream uint32) {
				mu.Lock()
				defer mu.Unlock()
				held[stream] = f
				all = append(all, func() { answer(f, stream, ":status", "204") })
			})
			p := open(t, Options{Protocol: "h2c", MaxConns: c.max})
			get204 := func() {
				resp, err := p.RoundTrip(context.Background(), request("GET", "/", nil), to, nil)
				if err != nil || resp.StatusCode != 204 {
					t.Error(resp, err)
				}
			}
			answerOne := func() bool {
				mu.Lock()
				defer mu.Unlock()
				if len(all) == 0 {
					return false
				}
				all[0]()
				all = all[1:]
				return true
			}
			done := make(chan struct{})
			go func() { defer close(done); get204() }() // so that the settings are known
			eventually(t, "the first is answered", answerOne)
			<-done
			var wg sync.WaitGroup
			for i := range 6 {
				wg.Go(get204)
				if c.max == 0 { // one by one, as the limit of a new connection is not known at once
					eventually(t, "it is held", func() bool { mu.Lock(); defer mu.Unlock(); return len(all) == i+1 })
				}
			}
			if c.max != 0 {
				eventually(t, "four wait", func() bool { return p.Stats()[to.Address].Waiting == 4 })
			}
			if got := p.Stats()[to.Address].Open; got != c.wantConns {
				t.Errorf("%d connections, want %d", got, c.wantConns)
			}
			for range 6 {
				eventually(t, "one more is answered", answerOne)
			}
			wg.Wait()
		})
	}
}

func TestBadRequestsOfHTTP2(t *testing.T) {
	to, _ := serve(t, false, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	p := open(t, Options{Protocol: "h2c"})
	for name, change := range map[string]func(*http.Request){
		"upgrade without connection": func(r *http.Request) { r.Header.Set("Upgrade", "x") },
		"method":                     func(r *http.Request) { r.Method = "G T" },
		"host":                       func(r *http.Request) { r.Host = "a b" },
	} {
		t.Run(name, func(t *testing.T) {
			req := request("GET", "/", nil)
			change(req)
			_, err := p.RoundTrip(t.Context(), req, to, nil)
			got := asError(t, err)
			got.Reused = false
			if d := cmp.Diff(Error{Phase: Write, Kind: BadRequest}, got); d != "" {
				t.Error(d)
			}
		})
	}
}
