package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestManyAtOnce runs all kinds of requests beside each other, so that the race detector and the leak check have something to find.
func TestManyAtOnce(t *testing.T) {
	var uploads sync.WaitGroup
	address := serve(t, &Server{DrainTimeout: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow": // long enough for the client to be watched
			ctx, cancel := context.WithTimeout(r.Context(), 120*time.Millisecond)
			defer cancel()
			<-ctx.Done()
		case "/upload": // somebody else reads the body, beyond the end of the request
			body := r.Body
			uploads.Go(func() {
				io.Copy(io.Discard, body)
				body.Close()
			})
		case "/both": // the response goes out while the body comes in
			body := r.Body
			done := make(chan struct{})
			go func() { // ends with the body
				defer close(done)
				io.Copy(io.Discard, body)
			}()
			io.WriteString(w, "early")
			w.(http.Flusher).Flush()
			<-done
		case "/cut":
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, r.URL.Path)
	})
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	var clients sync.WaitGroup
	for i := range 16 {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		clients.Go(func() {
			for range rounds {
				if err := wander(random, address); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	uploads.Wait()
}

// wander makes some requests on one connection, and may leave in the middle.
func wander(random *rand.Rand, address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	for range 1 + random.IntN(6) {
		path := []string{"/", "/", "/slow", "/upload", "/both", "/cut"}[random.IntN(6)]
		method, body := "GET", ""
		if random.IntN(2) == 0 {
			method, body = "POST", strings.Repeat("x", random.IntN(20000))
		}
		in := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
		cut := len(in)
		if random.IntN(10) == 0 {
			cut = random.IntN(cut)
		}
		if _, err := io.WriteString(c, in[:cut]); err != nil || cut < len(in) {
			return nil // refused early, or left
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return nil // cut
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.Close {
			return nil
		}
		want := path
		if path == "/both" {
			want = "early" + path
		}
		if string(got) != want {
			return fmt.Errorf("%s %s: got %q", method, path, got)
		}
	}
	return nil
}
