//go:build linux

// Package hold keeps connections to a gateway open that do nothing: each has made one request. It runs in a process of its own, so
// that its memory and descriptors are not the gateway's.
package hold

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Order says how many connections there are to be, and whether all of them are to make another request.
type Order struct {
	Address     string
	Path        string
	Want        int64 // bytes of the body of each answer
	Connections int
	Ask         bool
}

// Reply says how many there are, or why there are not as many as were ordered.
type Reply struct {
	Held   int
	Failed string
}

// Serve does what is ordered as JSON, one order after another, and writes a Reply to each, until there are no more.
func Serve(in io.Reader, out io.Writer) error {
	orders, replies := json.NewDecoder(in), json.NewEncoder(out)
	var h holder
	defer h.close()
	for {
		var o Order
		err := orders.Decode(&o)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read an order: %w", err)
		}
		var failed string
		if err := h.do(o); err != nil {
			failed = err.Error()
		}
		if err := replies.Encode(Reply{Held: len(h.conns), Failed: failed}); err != nil {
			return fmt.Errorf("cannot write a reply: %w", err)
		}
	}
}

// holder has the connections.
type holder struct{ conns []net.Conn }

func (h *holder) close() {
	for _, c := range h.conns {
		_ = c.Close()
	}
	h.conns = nil
}

func (h *holder) do(o Order) error {
	if o.Connections == 0 {
		h.close()
		return nil
	}
	first := len(h.conns)
	for range o.Connections - first {
		h.conns = append(h.conns, nil)
	}
	if o.Ask {
		first = 0
	}
	return h.ask(o, first)
}

// workers is how many requests are under way at once.
const workers = 32

// ask makes a request on each connection from a number on, which it opens where there is none.
func (h *holder) ask(o Order, first int) error {
	errs := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := first + w; i < len(h.conns) && errs[w] == nil; i += workers {
				errs[w] = h.askOne(o, i)
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err // one of them says it all
		}
	}
	return nil
}

func (h *holder) askOne(o Order, i int) (err error) {
	if h.conns[i] == nil {
		if h.conns[i], err = dial(o.Address, i); err != nil {
			return err
		}
	}
	return get(h.conns[i], o)
}

// perSource is how many connections come from one address, so that no address runs out of ports.
const perSource = 8000

// dial opens a connection from one of many addresses of loopback.
func dial(address string, i int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/perSource))}}
	return d.Dial("tcp4", address)
}
