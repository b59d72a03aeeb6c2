package engine

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"cardea.dev/cardea/filter"
)

// upgrade hands the client's connection and the upstream's to each other until one of them ends: WebSocket and whatever else
// a 101 agrees on (RFC 9110, section 15.2.2).
func (x *exchange) upgrade(resp *http.Response) {
	x.Status, x.FirstByte, x.upgraded = resp.StatusCode, time.Now(), true
	upstream, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		x.upgraded = false
		x.fail(filter.Reject(filter.UpstreamBadResponse, "").Because(errNotUpgradable))
		x.send()
		return
	}
	defer upstream.Close()
	client, buffered, err := http.NewResponseController(x.writer).Hijack()
	if err != nil {
		x.upgraded = false
		x.fail(filter.Reject(filter.UpstreamBadResponse, "").Because(err))
		x.send()
		return
	}
	defer client.Close()
	_ = client.SetDeadline(time.Time{})
	forget, ok := x.engine.upgrades.add(client)
	if !ok {
		return
	}
	defer forget()
	if err := writeUpgradeHead(client, resp, x.ID); err != nil {
		x.cut(err)
		return
	}
	x.Received, x.Sent = splice(client, buffered.Reader, upstream)
}

var errNotUpgradable = errors.New("the upstream switched protocols on a connection that cannot be written to")

// writeUpgradeHead writes the head of a 101.
func writeUpgradeHead(client net.Conn, resp *http.Response, id string) error {
	_ = client.SetWriteDeadline(time.Now().Add(10 * time.Second))
	resp.Header.Set(requestIDHeader, id)
	head := &http.Response{StatusCode: resp.StatusCode, ProtoMajor: 1, ProtoMinor: 1, Header: resp.Header}
	w := bufio.NewWriter(client)
	if err := head.Write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return client.SetWriteDeadline(time.Time{})
}

// splice copies both directions until both have ended. When one has, the other gets a moment to say its last. It returns how
// much came from the client and how much went to it.
func splice(client net.Conn, pending *bufio.Reader, upstream io.ReadWriteCloser) (received, sent int64) {
	var wait sync.WaitGroup
	wait.Go(func() { // ends when the client's side ends or is closed, at the latest by the deadline that is set below
		received, _ = io.Copy(upstream, io.MultiReader(io.LimitReader(pending, int64(pending.Buffered())), client))
		if half, ok := upstream.(halfCloser); !ok || half.CloseWrite() != nil {
			_ = upstream.Close()
			return
		}
		time.AfterFunc(halfClosed, func() { _ = upstream.Close() })
	})
	sent, _ = io.Copy(client, upstream)
	if half, ok := client.(halfCloser); ok {
		_ = half.CloseWrite()
	}
	_ = client.SetReadDeadline(time.Now().Add(halfClosed))
	wait.Wait()
	return received, sent
}

// halfCloser is a connection that can say that nothing more will be sent, and still receive.
type halfCloser interface{ CloseWrite() error }

// halfClosed is how long one side may go on sending after the other has ended.
const halfClosed = 5 * time.Second

// upgrades are the connections that were handed over and that no server knows any more.
type upgrades struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	ended bool
}

// add takes a connection in, and returns what forgets it. It refuses once all were cut.
func (u *upgrades) add(c net.Conn) (forget func(), ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return nil, false
	}
	if u.conns == nil {
		u.conns = map[net.Conn]struct{}{}
	}
	u.conns[c] = struct{}{}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.conns, c)
	}, true
}

// cut closes all connections, and those that would come.
func (u *upgrades) cut() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	for c := range u.conns {
		_ = c.Close()
	}
}
