package http1_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/internal/http1/client"
	"cardea.dev/cardea/internal/http1/http1test"
	"cardea.dev/cardea/internal/porttest"
)

// This file gives each answer of the table to real clients, over TCP: to ours, to net/http's, and to nginx as a proxy.

// hostile is an endpoint that gives one answer, and is honest on all other connections.
func hostile(t testing.TB, answer string) (address string) {
	parts := strings.Split(answer, http1test.Meanwhile)
	return http1test.Endpoint(t, func(n int, c net.Conn, r *bufio.Reader) {
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		for http1test.TakeRequest(r) != nil {
			if n > 0 {
				_, _ = io.WriteString(c, honest)
				continue
			}
			_, _ = io.WriteString(c, parts[0])
			for _, part := range parts[1:] {
				time.Sleep(unaskedAfter)
				_, _ = io.WriteString(c, part)
			}
			_ = c.SetDeadline(time.Now().Add(hostileKeeps)) // for another request
			if http1test.TakeRequest(r) == nil {
				return
			}
			_, _ = io.WriteString(c, kept)
		}
	})
}

const (
	honest = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest"
	kept   = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkept"

	unaskedAfter = 20 * time.Millisecond
	hostileKeeps = time.Second
)

// given is what a client passes on of an answer, and of the one to the next request.
type given struct {
	status int // 0: none
	cut    bool
	body   string
	fields []string // X-A, X-B
	next   string
	err    error // why there is none
}

// verdict puts it into words.
func (g given) verdict(proxy bool) string {
	switch {
	case proxy && g.status == 0 && !errors.Is(g.err, io.EOF):
		return "passed on as it is" + g.after()
	case proxy && g.status == 0:
		return "closed" + g.after()
	case g.status == 0, proxy && g.status == http.StatusBadGateway:
		return "refused" + g.after()
	}
	said := fmt.Sprint(g.status)
	if g.body != "" {
		said += " " + code(g.body)
	}
	if len(g.fields) > 0 {
		said += ", with " + code(strings.Join(g.fields, ", "))
	}
	if g.cut {
		said += ", then cut"
	}
	return said + g.after()
}

func (g given) after() string {
	switch g.next {
	case "honest":
		return "" // on another connection
	case "kept":
		return ", kept"
	case "":
		return ", **next: failed**"
	}
	return ", **next: " + code(g.next) + "**"
}

// note reads an answer.
func (g *given) note(resp *http.Response) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	g.status, g.body, g.cut = resp.StatusCode, string(body), err != nil
	for _, name := range []string{"X-A", "X-B"} {
		if values := resp.Header[name]; values != nil {
			g.fields = append(g.fields, fmt.Sprintf("%s: %q", name, strings.Join(values, ", ")))
		}
	}
}

// byClient gives an answer to our client.
func byClient(t testing.TB, c http1test.Case, address string) (g given) {
	conn := dial(t, address, client.Options{MaxHeader: 4096, FirstByte: 5 * time.Second, Idle: 5 * time.Second})
	if resp, err := conn.RoundTrip(context.Background(), http1test.Outgoing(c.Method, "/", nil), nil); err == nil {
		g.note(resp)
	}
	settle(c)
	if !conn.Reusable() {
		conn = dial(t, address, client.Options{})
	}
	if resp, err := conn.RoundTrip(context.Background(), http1test.Outgoing("GET", "/next", nil), nil); err == nil {
		var next given
		next.note(resp)
		g.next = next.body
	}
	return g
}

// settle gives an endpoint the time to say something unasked.
func settle(c http1test.Case) {
	if strings.Contains(c.Answer, http1test.Meanwhile) {
		time.Sleep(15 * unaskedAfter)
	}
}

// byTransport gives an answer to a client of net/http.
func byTransport(c http1test.Case, url string, tr *http.Transport) (g given) {
	client := &http.Client{Transport: tr, Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(g *given, method string) {
		req, _ := http.NewRequestWithContext(context.Background(), method, url, nil)
		resp, err := client.Do(req)
		if g.err = err; err == nil {
			g.note(resp)
		}
	}
	ask(&g, c.Method)
	settle(c)
	var next given
	ask(&next, "GET")
	g.next = next.body
	return g
}

// answerVerdicts has our client, net/http's, and nginx if there is one, make something of each case, in this order.
func answerVerdicts(t *testing.T, cases []http1test.Case, nginx string) [][]string {
	urls := make([][]string, 0, 2)
	for range 3 {
		var endpoints []string
		for _, c := range cases {
			endpoints = append(endpoints, "http://"+hostile(t, c.Answer))
		}
		urls = append(urls, endpoints)
	}
	if nginx == "" {
		urls = urls[:2]
	} else {
		urls[2] = proxies(t, nginx, urls[2])
	}
	verdicts := make([][]string, len(cases))
	limit := make(chan struct{}, 64)
	var all sync.WaitGroup
	for i, c := range cases {
		verdicts[i] = make([]string, len(urls))
		for by := range urls {
			all.Go(func() {
				limit <- struct{}{}
				defer func() { <-limit }()
				if by == 0 {
					verdicts[i][by] = byClient(t, c, strings.TrimPrefix(urls[by][i], "http://")).verdict(false)
					return
				}
				tr := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: 4096, DisableKeepAlives: by == 2}
				defer tr.CloseIdleConnections()
				verdicts[i][by] = byTransport(c, urls[by][i], tr).verdict(by == 2)
			})
		}
	}
	all.Wait()
	return verdicts
}

// proxies runs nginx before endpoints, each with one connection to keep.
func proxies(t *testing.T, nginx string, endpoints []string) []string {
	var upstreams, locations strings.Builder
	address := porttest.Address(t)
	through := slices.Clone(endpoints)
	for i, url := range endpoints {
		fmt.Fprintf(&upstreams, "upstream u%d { server %s; keepalive 1; }\n", i, strings.TrimPrefix(url, "http://"))
		fmt.Fprintf(&locations, "location = /%d { proxy_pass http://u%d; }\n", i, i)
		through[i] = fmt.Sprintf("http://%s/%d", address, i)
	}
	runNginx(t, nginx, address, upstreams.String()+"server { listen "+address+"; proxy_http_version 1.1; proxy_set_header Connection \"\";\n"+
		locations.String()+"}")
	return through
}
