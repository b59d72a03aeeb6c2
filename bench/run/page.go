//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"cardea.dev/cardea/bench/run/origin"
	"cardea.dev/cardea/bench/run/process"
)

// byHand is what a team writes that has no gateway for it: a server of its own that asks several services at once and makes one answer.
var byHand = peer{name: "byhand", prepare: prepareByHand}

// cardeaPages are the same pages, configured.
func cardeaPages(s *setup) string {
	if !s.pages {
		return ""
	}
	var b strings.Builder
	for segment, names := range origin.Pages {
		fmt.Fprintf(&b, "  - match: GET /%s\n    aggregate:\n", segment)
		for _, name := range names {
			fmt.Fprintf(&b, "      %s: u/page-%s\n", name, name)
		}
	}
	return b.String()
}

func prepareByHand(s *setup) (process.Program, error) {
	return process.Program{
		Command: []string{s.program, "byhand", s.listen, s.origin},
		Env:     []string{fmt.Sprintf("GOMAXPROCS=%d", s.cores)},
	}, nil
}

// serveByHand serves the pages with net/http on both sides, encoding/json, and a goroutine for each call. All other paths are passed on.
func serveByHand(listen, service string) error {
	transport := &http.Transport{MaxIdleConnsPerHost: 4096, IdleConnTimeout: 5 * time.Minute, DisableCompression: true}
	client := &http.Client{Transport: transport}
	target := &url.URL{Scheme: "http", Host: service}
	mux := http.NewServeMux()
	for segment, names := range origin.Pages {
		p := &page{client: client, base: target.String() + "/page-", names: names, whole: byName}
		if segment == "page" {
			p.whole = threeParts
		}
		mux.Handle("GET /"+segment, p)
	}
	mux.Handle("/", &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host; r.SetXForwarded() },
		Transport: transport, ErrorLog: log.New(os.Stderr, "", 0),
	})
	server := &http.Server{
		Addr: listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, ErrorLog: log.New(io.Discard, "", 0),
	}
	return server.ListenAndServe()
}

// page makes a page.
type page struct {
	client *http.Client
	base   string                                            // of the URLs of parts
	names  []string                                          // of parts
	whole  func(names []string, parts []json.RawMessage) any // what is answered, for encoding/json
}

// threeParts is the page of three.
func threeParts(_ []string, parts []json.RawMessage) any {
	return struct {
		Profile json.RawMessage `json:"profile"`
		Orders  json.RawMessage `json:"orders"`
		Offers  json.RawMessage `json:"offers"`
	}{parts[0], parts[1], parts[2]}
}

// byName is a page of parts whose names are in order.
func byName(names []string, parts []json.RawMessage) any {
	whole := make(map[string]json.RawMessage, len(names))
	for i, name := range names {
		whole[name] = parts[i]
	}
	return whole
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), 30*time.Second, nil)
	defer cancel()
	var group sync.WaitGroup
	parts, errs := make([]json.RawMessage, len(p.names)), make([]error, len(p.names))
	for i, name := range p.names {
		group.Go(func() {
			if errs[i] = p.get(ctx, r, name, &parts[i]); errs[i] != nil {
				cancel()
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
	}
	body, err := json.Marshal(p.whole(p.names, parts))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body)
}

// get asks for a part, with the fields of the request.
func (p *page) get(ctx context.Context, in *http.Request, name string, into *json.RawMessage) error {
	out, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+name, http.NoBody)
	if err != nil {
		return err
	}
	out.Header = in.Header.Clone()
	out.Header.Del("Connection")
	out.Header.Set("X-Forwarded-For", in.RemoteAddr)
	out.Header.Set("X-Forwarded-Host", in.Host)
	out.Header.Set("X-Forwarded-Proto", "http")
	resp, err := p.client.Do(out)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is answered %s", name, resp.Status)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, 10<<20))
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}
