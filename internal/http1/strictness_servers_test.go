package http1_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/porttest"
)

// This file shows each request of the table to real servers, over TCP: to ours, to net/http's, and to nginx, which passes on what it
// takes.

// sighting is a request as the handler behind a server saw it.
type sighting struct {
	method, target, host, body string
	fields                     []string // those whose names begin with X, as the table's rows have them
}

// recorder is the handler behind a server.
type recorder struct {
	mu   sync.Mutex
	seen []sighting
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.Header().Set("Connection", "close")
		w.WriteHeader(bodyStatus(err))
		return
	}
	s := sighting{method: r.Method, target: r.RequestURI, host: r.Host, body: string(body)}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if strings.HasPrefix(name, "X") {
			s.fields = append(s.fields, fmt.Sprintf("%s: %q", name, strings.Join(r.Header[name], ", ")))
		}
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.seen = append(rec.seen, s)
}

// bodyStatus is the status for a body that cannot be read.
func bodyStatus(err error) int {
	var bad *http1.ParseError
	if errors.As(err, &bad) {
		return bad.Status
	}
	return http.StatusBadRequest
}

func (rec *recorder) take() []sighting {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	seen := rec.seen
	rec.seen = nil
	return seen
}

// servers starts those that requests are shown to: ours, net/http's and nginx, if there is one.
func servers(t *testing.T, nginx string) (addresses []string, recorders []*recorder) {
	recorders = []*recorder{{}, {}, {}}
	ours := serve(t, recorders[0].ServeHTTP)
	theirs := httptest.NewUnstartedServer(recorders[1])
	theirs.Config.MaxHeaderBytes = 64 << 10
	theirs.Config.DisableGeneralOptionsHandler = true
	theirs.Config.ErrorLog = log.New(io.Discard, "", 0)
	theirs.Start()
	t.Cleanup(theirs.Close)
	addresses = []string{ours, theirs.Listener.Addr().String()}
	if nginx == "" {
		return addresses, recorders
	}
	behind := httptest.NewServer(recorders[2])
	t.Cleanup(behind.Close)
	address := porttest.Address(t)
	runNginx(t, nginx, address, `server {
		listen `+address+`;
		location / {
			proxy_pass `+behind.URL+`;
			proxy_http_version 1.1;
			proxy_set_header Host $host;
			proxy_set_header Connection "";
		}
	}`)
	return append(addresses, address), recorders
}

// shown is what a server makes of a request, and of the one that follows it on the connection.
type shown struct {
	statuses []int // of the answers
	bare     bool  // bytes came that are no HTTP/1.1
	waits    bool  // it waits for more
	seen     []sighting
}

// quietTime is how long a server may say nothing until it counts as waiting.
const quietTime = time.Second

// show gives bytes to a server and waits for what it says.
func show(t testing.TB, address string, rec *recorder, in string) (o shown) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := make(chan struct{})
	go func() { // ends at the latest when the connection is closed
		defer close(sent)
		_, _ = io.WriteString(conn, in)
	}()
	var said bytes.Buffer
	for err == nil {
		_ = conn.SetReadDeadline(time.Now().Add(quietTime))
		_, err = io.CopyN(&said, conn, 1)
	}
	o.waits = errors.Is(err, os.ErrDeadlineExceeded)
	conn.Close()
	<-sent
	r := bufio.NewReader(&said)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			o.bare = err != io.EOF && len(o.statuses) == 0 && err != io.ErrUnexpectedEOF
			break
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode >= 200 {
			o.statuses = append(o.statuses, resp.StatusCode)
		}
	}
	o.seen = rec.take()
	return o
}

// verdict puts it into words.
func (o shown) verdict(row strictRow) string {
	next := slices.IndexFunc(o.seen, func(s sighting) bool { return s.target == "/next" })
	if len(o.seen) > 0 && next != 0 {
		return o.taken(row, next)
	}
	said := "closed"
	switch {
	case o.bare:
		said = "answered without a head"
	case len(o.statuses) > 0:
		said = fmt.Sprint(o.statuses[0])
	case o.waits:
		said = "waits for more"
	}
	if next == 0 {
		said += ", goes on"
	}
	return said
}

// taken puts it into words that a request was taken, how, and what followed.
func (o shown) taken(row strictRow, next int) string {
	first := o.seen[0]
	said := "taken"
	if first.body != "" {
		said += fmt.Sprintf(", body %s", code(first.body))
	}
	if _, after, ok := strings.Cut(row.in, "Host:"); ok {
		asked, _, _ := strings.Cut(after, "\n")
		if !sameHost(asked, first.host) {
			said += ", for host " + code(first.host)
		}
	}
	if words := strings.Split(row.in, " "); len(words) > 1 && !strings.HasSuffix(words[1], first.target) {
		said += ", as " + code(first.target)
	}
	head, _, _ := strings.Cut(row.in, "\r\n\r\n")
	switch {
	case len(first.fields) > 0:
		said += ", with " + code(strings.Join(first.fields, ", "))
	case strings.Contains(head, "\nX"), strings.Contains(head, "\n: "):
		said += ", without the field"
	}
	for _, other := range o.seen[1:] {
		if other.target != "/next" {
			said += ", then " + code(other.method+" "+other.target)
		}
	}
	switch {
	case next >= 0:
	case len(o.statuses) > 1:
		said += fmt.Sprintf(", then %d", o.statuses[1])
	case o.waits:
		said += ", then waits"
	default:
		said += ", then closed"
	}
	return said
}

func sameHost(a, b string) bool {
	plain := func(s string) string {
		u := url.URL{Host: strings.ToLower(strings.Trim(s, " \t\r"))}
		return u.Hostname()
	}
	return plain(a) == plain(b)
}
