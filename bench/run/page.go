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
	"sync"
	"time"

	"cardea.dev/cardea/bench/run/process"
)

// byHand is what a team writes that has no gateway for it: a server of its own that asks three services at once and makes one answer.
var byHand = peer{name: "byhand", prepare: prepareByHand}

// cardeaPage is the same page, configured.
func cardeaPage(s *setup) string {
	if !s.page {
		return ""
	}
	return "  - {match: GET /page, aggregate: {profile: u/page-profile, orders: u/page-orders, offers: u/page-offers}}\n"
}

func prepareByHand(s *setup) (process.Program, error) {
	return process.Program{
		Command: []string{s.program, "byhand", s.listen, s.origin},
		Env:     []string{fmt.Sprintf("GOMAXPROCS=%d", s.cores)},
	}, nil
}

// serveByHand serves the page with net/http on both sides, encoding/json, and a goroutine for each call. All other paths are passed on.
func serveByHand(listen, origin string) error {
	transport := &http.Transport{MaxIdleConnsPerHost: 4096, IdleConnTimeout: 5 * time.Minute, DisableCompression: true}
	p := &page{client: &http.Client{Transport: transport}, origin: "http://" + origin}
	target := &url.URL{Scheme: "http", Host: origin}
	mux := http.NewServeMux()
	mux.Handle("GET /page", p)
	mux.Handle("/", &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host; r.SetXForwarded() },
		Transport: transport, ErrorLog: log.New(os.Stderr, "", 0),
	})
	server := &http.Server{
		Addr: listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, ErrorLog: log.New(io.Discard, "", 0),
	}
	return server.ListenAndServe()
}

// page makes the page.
type page struct {
	client *http.Client
	origin string
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), 30*time.Second, nil)
	defer cancel()
	var answer struct {
		Profile json.RawMessage `json:"profile"`
		Orders  json.RawMessage `json:"orders"`
		Offers  json.RawMessage `json:"offers"`
	}
	var group sync.WaitGroup
	errs := make([]error, 3)
	for i, part := range []struct {
		path string
		into *json.RawMessage
	}{{"/page-profile", &answer.Profile}, {"/page-orders", &answer.Orders}, {"/page-offers", &answer.Offers}} {
		group.Go(func() {
			if errs[i] = p.get(ctx, r, part.path, part.into); errs[i] != nil {
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
	body, err := json.Marshal(answer)
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
func (p *page) get(ctx context.Context, in *http.Request, path string, into *json.RawMessage) error {
	out, err := http.NewRequestWithContext(ctx, http.MethodGet, p.origin+path, http.NoBody)
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
		return fmt.Errorf("%s is answered %s", path, resp.Status)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, 10<<20))
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}
