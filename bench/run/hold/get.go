//go:build linux

package hold

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

var readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// get makes a request and checks what comes.
func get(c net.Conn, o Order) error {
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", o.Path); err != nil {
		return err
	}
	r := readers.Get().(*bufio.Reader)
	defer readers.Put(r)
	r.Reset(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err != nil || n != o.Want || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("an answer has status %d and %d bytes, not 200 and %d: %w", resp.StatusCode, n, o.Want, err)
	}
	return c.SetDeadline(time.Time{})
}
