//go:build linux

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path"
	"time"

	"cardea.dev/cardea/bench/run/origin"
)

// sink is a service for bodies in chunks, which the origin does not take. It drops them.
func sink() (address string, stop func(), err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if body, ok := origin.Body(path.Base(r.URL.Path)); ok {
			_, _ = w.Write(body)
		}
	})}
	go func() { _ = s.Serve(l) }() // ends with stop
	return l.Addr().String(), func() {
		_ = s.Close()
		_ = s.Shutdown(context.Background())
	}, nil
}
