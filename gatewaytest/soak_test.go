package gatewaytest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/porttest"
)

// TestSoak has clients ask for and send bodies of all sizes, leave in the middle, and check every byte, while endpoints die and come
// back and the configuration is reloaded. CARDEA_TEST_SOAK says for how long; by default a few seconds.
func TestSoak(t *testing.T) {
	last := 3 * time.Second
	if text := os.Getenv("CARDEA_TEST_SOAK"); text != "" {
		var err error
		if last, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	endpoints := []*mortal{newMortal(t), newMortal(t), newMortal(t)}
	config := func(n int) string {
		return fmt.Sprintf("compress: {min: 100KiB}\nheaders: {response: {set: {X-Config: \"%d\"}}}\nupstreams: {u: [http://%s, http://%s, http://%s]}\nroutes: [{match: /**, to: u}]",
			n, endpoints[0].address, endpoints[1].address, endpoints[2].address)
	}
	g := gatewaytest.New(t, config(0))
	before := openFiles(t)
	ctx, cancel := context.WithTimeout(context.Background(), last)
	defer cancel()
	var wait sync.WaitGroup
	var fine, failed, left atomic.Int64
	for i := range 12 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for ctx.Err() == nil {
				switch err := soakRequest(g, r); {
				case err == nil:
					fine.Add(1)
				case errors.Is(err, errGone):
					left.Add(1)
				case errors.Is(err, errWrong):
					t.Error(err)
					cancel()
				default:
					failed.Add(1)
				}
			}
		})
	}
	wait.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			pause(ctx, 150*time.Millisecond)
			if err := g.SetConfig(config(n)); err != nil {
				t.Error(err)
			}
		}
	})
	wait.Go(func() {
		for ctx.Err() == nil {
			e := endpoints[rand.IntN(len(endpoints))]
			pause(ctx, time.Duration(rand.IntN(300))*time.Millisecond)
			e.die()
			pause(ctx, time.Duration(rand.IntN(200))*time.Millisecond)
			e.live()
		}
	})
	wait.Wait()
	t.Logf("%d requests were fine, %d failed and said so, %d clients left", fine.Load(), failed.Load(), left.Load())
	if fine.Load() < 50 || fine.Load() < failed.Load() {
		t.Error("too few requests were fine")
	}
	g.Client.CloseIdleConnections()
	waitFor(t, func() bool { return g.Engine.Running() == 0 })
	if after := openFiles(t); after > before+200 {
		t.Errorf("%d files are open, and were %d before", after, before)
	}
}

var (
	errGone  = errors.New("the client left")
	errWrong = errors.New("wrong bytes")
)

// soakRequest makes one request. Every answer that says that it is whole must be right.
func soakRequest(g *gatewaytest.Gateway, r *rand.Rand) error {
	size := []int{0, 1, 100, 4096, 65536, 1 << 20}[r.IntN(6)] + r.IntN(100)
	sent := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(sent)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	leaves := r.IntN(12) == 0
	if leaves {
		time.AfterFunc(time.Duration(r.IntN(3000))*time.Microsecond, cancel)
	}
	method, body := "GET", io.Reader(nil)
	switch r.IntN(3) {
	case 0:
		method, body = "POST", bytes.NewReader(sent)
	case 1:
		method, body = "PUT", io.MultiReader(bytes.NewReader(sent)) // of unknown length
	}
	req, err := http.NewRequestWithContext(ctx, method, g.URL+"/?size="+strconv.Itoa(size)+"&chunked="+strconv.Itoa(r.IntN(2)), body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := g.Client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return errGone
		}
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case ctx.Err() != nil:
		return errGone
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("status %d: %s", resp.StatusCode, got)
	}
	sum := sha256.Sum256(sent)
	if !bytes.Equal(got, sent) || resp.Header.Get("X-Sum") != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("%w: %s of %d bytes: got %d bytes, X-Sum %s", errWrong, method, size, len(got), resp.Header.Get("X-Sum"))
	}
	return nil
}

// mortal is an endpoint that dies and comes back at the same address.
type mortal struct {
	t       *testing.T
	address string
	server  *http.Server
}

func newMortal(t *testing.T) *mortal {
	t.Helper()
	m := &mortal{t: t, address: porttest.Address(t)}
	m.live()
	t.Cleanup(m.die)
	return m
}

func (m *mortal) live() {
	var l net.Listener
	waitFor(m.t, func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", m.address)
		return err == nil
	})
	m.serve(l)
}

func (m *mortal) serve(l net.Listener) {
	m.server = &http.Server{Handler: http.HandlerFunc(soakAnswer)}
	go func(s *http.Server) { _ = s.Serve(l) }(m.server)
}

func (m *mortal) die() { _ = m.server.Close() }

// soakAnswer answers with what was sent, or with as many bytes as are asked for.
func soakAnswer(w http.ResponseWriter, r *http.Request) {
	size, _ := strconv.Atoi(r.URL.Query().Get("size"))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if r.Method == http.MethodGet {
		body = make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(body)
	}
	sum := sha256.Sum256(body)
	w.Header().Set("X-Sum", hex.EncodeToString(sum[:]))
	if strings.Contains(r.URL.RawQuery, "chunked=1") {
		_ = http.NewResponseController(w).Flush()
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	_, _ = w.Write(body)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// openFiles is how many files the process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // not Linux: nothing is counted
	}
	return len(entries)
}
