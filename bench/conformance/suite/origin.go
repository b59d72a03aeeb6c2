package suite

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Origin is the server behind the caches. It answers as the scenarios say which are being played.
type Origin struct {
	listener net.Listener
	wait     sync.WaitGroup
	mu       sync.Mutex
	plays    map[string]*play
	conns    map[net.Conn]struct{}
	closed   bool
}

// NewOrigin starts an origin on a free port of loopback. Close ends it.
func NewOrigin() (*Origin, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot start the origin: %w", err)
	}
	o := &Origin{listener: l, plays: map[string]*play{}, conns: map[net.Conn]struct{}{}}
	o.wait.Go(o.accept)
	return o, nil
}

// Addr is where it listens.
func (o *Origin) Addr() string { return o.listener.Addr().String() }

// Close ends it, and returns when nothing of it runs.
func (o *Origin) Close() error {
	err := o.listener.Close()
	o.mu.Lock()
	o.closed = true
	for c := range o.conns {
		_ = c.Close()
	}
	o.mu.Unlock()
	o.wait.Wait()
	return err
}

func (o *Origin) accept() {
	for {
		c, err := o.listener.Accept()
		if err != nil {
			return
		}
		o.mu.Lock()
		if o.closed {
			o.mu.Unlock()
			_ = c.Close()
			return
		}
		o.conns[c] = struct{}{}
		o.mu.Unlock()
		o.wait.Go(func() {
			o.serve(c)
			_ = c.Close()
			o.mu.Lock()
			delete(o.conns, c)
			o.mu.Unlock()
		})
	}
}

func (o *Origin) add(p *play) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.plays[p.key] = p
}

func (o *Origin) remove(p *play) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.plays, p.key)
}

// find is the play that a path belongs to: /key/…
func (o *Origin) find(path string) *play {
	key, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.plays[strings.ToLower(key)]
}

// serve answers the requests of one connection until it ends.
func (o *Origin) serve(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if r.Header.Get("Expect") != "" {
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		p := o.find(r.URL.Path)
		if p == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		if !p.answer(c, r) || r.Close {
			return
		}
	}
}

// answer answers one request and says whether the connection lives on.
func (p *play) answer(w io.Writer, r *http.Request) bool {
	n, step := p.record(r)
	a := step.Answer
	if a.Delay > 0 {
		time.Sleep(a.Delay)
	}
	if a.Hangup {
		return false
	}
	_, err := w.Write(a.write(r, n, p.expand))
	return err == nil && !a.Cut && !a.ToClose
}

// write is the whole answer as it is sent.
func (a *Answer) write(r *http.Request, step int, expand func(string) string) []byte {
	var b strings.Builder
	if a.Processing {
		b.WriteString("HTTP/1.1 102 Processing\r\n\r\n")
	}
	for _, interim := range a.Interim {
		fmt.Fprintf(&b, "HTTP/1.1 103 Early Hints\r\n%s\r\n\r\n", interim)
	}
	text, code, fields := fmt.Sprintf("the answer of step %d", step), max(a.Status, 0), a.Fields
	if code == 0 {
		code = http.StatusOK
	}
	if a.Body != nil {
		text = *a.Body
	}
	if a.Validates && a.unchanged(r) || a.Foreign && r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since") != "" {
		code = http.StatusNotModified
	}
	if a.Ranges && code == http.StatusOK {
		code, text, fields = ranged(r, text, fields)
	}
	fmt.Fprintf(&b, "HTTP/1.1 %d Status\r\n", code)
	named := func(name string) bool {
		return slices.ContainsFunc(fields, func(f string) bool {
			return len(f) > len(name) && strings.EqualFold(f[:len(name)+1], name+":")
		})
	}
	if !a.NoDate && !named("Date") {
		fmt.Fprintf(&b, "Date: %s\r\n", time.Now().UTC().Format(http.TimeFormat))
	}
	if code != http.StatusNotModified {
		fmt.Fprintf(&b, "Answer: %d\r\n", step)
	}
	for _, f := range fields {
		b.WriteString(expand(f) + "\r\n")
	}
	bodiless := code == http.StatusNoContent || code == http.StatusNotModified
	if !bodiless && !named("Content-Type") {
		b.WriteString("Content-Type: text/plain\r\n")
	}
	a.frame(&b, text, bodiless, r.Method == "HEAD", named("Content-Length"))
	return []byte(b.String())
}

// frame writes the end of the head, and the body.
func (a *Answer) frame(b *strings.Builder, text string, bodiless, head, length bool) {
	switch {
	case bodiless:
		b.WriteString("\r\n")
		return
	case a.ToClose:
		b.WriteString("Connection: close\r\n\r\n")
	case a.Chunked:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	case length:
		b.WriteString("\r\n")
	case a.Cut:
		fmt.Fprintf(b, "Content-Length: %d\r\n\r\n", len(text)+100)
	default:
		fmt.Fprintf(b, "Content-Length: %d\r\n\r\n", len(text))
	}
	if head {
		return
	}
	if !a.Chunked {
		b.WriteString(text)
		return
	}
	fmt.Fprintf(b, "%x\r\n%s\r\n", len(text), text)
	if a.Cut {
		return
	}
	b.WriteString("0\r\n")
	for _, t := range a.Trailer {
		b.WriteString(t + "\r\n")
	}
	b.WriteString("\r\n")
}

// unchanged says whether the conditions of a request hold for the answer: an entity tag, if one is sent, decides.
func (a *Answer) unchanged(r *http.Request) bool {
	if tags := strings.Join(r.Header.Values("If-None-Match"), ","); tags != "" {
		for _, f := range a.Fields {
			if tag, ok := strings.CutPrefix(f, "ETag: "); ok {
				return strings.Contains(tags, strings.TrimPrefix(tag, "W/"))
			}
		}
		return true
	}
	return r.Header.Get("If-Modified-Since") != ""
}

// ranged is the part of a text that a request asks for, where it is one range.
func ranged(r *http.Request, text string, fields []string) (int, string, []string) {
	spec, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return http.StatusOK, text, fields
	}
	from, err := strconv.Atoi(first)
	to, errTo := strconv.Atoi(last)
	switch {
	case err != nil:
		from, to = max(0, len(text)-to), len(text)-1
	case errTo != nil || to >= len(text):
		to = len(text) - 1
	}
	if from > to {
		return http.StatusRequestedRangeNotSatisfiable, "", append(slices.Clone(fields), fmt.Sprintf("Content-Range: bytes */%d", len(text)))
	}
	return http.StatusPartialContent, text[from : to+1], append(slices.Clone(fields), fmt.Sprintf("Content-Range: bytes %d-%d/%d", from, to, len(text)))
}
