//go:build linux

// Package attack is clients that mean harm: they take what a gateway has, and give it nothing to do for it. It runs in a process of its
// own, on loopback, with so many connections as it is told.
package attack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Order says what is to begin, or with no kind, that it is to end.
type Order struct {
	Address     string
	Kind        string
	Connections int
}

// Reply says how many connections there are, or why there are none.
type Reply struct {
	Open   int
	Failed string
}

// Serve does what is ordered as JSON, one order after another, and writes a Reply to each, until there are no more.
func Serve(in io.Reader, out io.Writer) error {
	orders, replies := json.NewDecoder(in), json.NewEncoder(out)
	stop := func() int { return 0 }
	defer func() { stop() }()
	for {
		var o Order
		err := orders.Decode(&o)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read an order: %w", err)
		}
		reply := Reply{Open: stop()}
		stop = func() int { return 0 }
		if o.Kind != "" {
			if stop, err = begin(o); err != nil {
				reply.Failed = err.Error()
			}
		}
		if err := replies.Encode(reply); err != nil {
			return fmt.Errorf("cannot write a reply: %w", err)
		}
	}
}

// begin starts an attack, and returns once all its connections have begun. stop ends it, and says how many of them were open until then.
func begin(o Order) (stop func() int, err error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == o.Kind })
	if i < 0 {
		return nil, fmt.Errorf("there is no attack %q", o.Kind)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all, ready sync.WaitGroup
	var open atomic.Int64
	for range o.Connections {
		ready.Add(1)
		all.Go(func() {
			c, err := net.Dial("tcp4", o.Address)
			ready.Done()
			if err != nil {
				return
			}
			end := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer end()
			defer c.Close()
			kinds[i].run(ctx, c.(*net.TCPConn), o.Address)
			if ctx.Err() != nil {
				open.Add(1)
			}
		})
		time.Sleep(100 * time.Microsecond) // it is no test of the backlog
	}
	ready.Wait()
	return func() int { cancel(); all.Wait(); return int(open.Load()) }, nil
}
