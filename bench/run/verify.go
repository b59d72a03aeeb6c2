//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"cardea.dev/cardea/bench/run/load"
	"cardea.dev/cardea/bench/run/origin"
)

// verify makes sure that a gateway does what it is asked before it is measured, and all of it: a broken one could be fast.
func verify(g *gateway, c *benchCase, roots string) error {
	client, err := newClient(g.setup.listen, roots)
	if err != nil {
		return err
	}
	defer client.http.CloseIdleConnections()
	if c.shown {
		client.shown = g.setup.credentials
	}
	path := strings.TrimSuffix(c.paths(g.setup.routes)[0], c.segment)
	checks := []func() error{
		func() error { return client.checkForwarding(path+"head", g.setup.all) },
		func() error { return client.checkBody(path, c.segment, g.setup.all) },
	}
	if c.upload > 0 {
		checks[1] = func() error { return client.checkUpload(path+"sha256", c.upload) }
	}
	if g.setup.checks != "" {
		checks = append(checks, func() error { return client.checkRefusal(path + c.segment) })
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return fmt.Errorf("%s does case %s wrong: %w", g.label, c.name, err)
		}
	}
	return nil
}

// verifyClient is a client of one gateway.
type verifyClient struct {
	http  *http.Client
	base  string
	shown *credentials // in each request
}

func newClient(address, roots string) (*verifyClient, error) {
	c := &verifyClient{base: "http://" + load.ServerName}
	transport := &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	if roots != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(roots)) {
			return nil, errors.New("cannot use the certificate that was made")
		}
		c.base = "https://" + load.ServerName
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
	}
	c.http = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	return c, nil
}

// checkForwarding checks that the service learns who asked and for which host.
func (c *verifyClient) checkForwarding(path string, all bool) error {
	_, head, err := c.do(http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	scheme, _, _ := strings.Cut(c.base, ":")
	want := []string{
		"Host: " + load.ServerName, "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: " + load.ServerName, "X-Forwarded-Proto: " + scheme,
	}
	if all {
		want = append(want, "X-Tenant: bench")
	}
	for _, field := range want {
		if !strings.Contains(strings.ToLower(string(head)), strings.ToLower("\r\n"+field+"\r\n")) {
			return fmt.Errorf("the upstream does not get %q but\n%s", field, head)
		}
	}
	if all && strings.Contains(strings.ToLower(string(head)), "\r\naccept-language:") {
		return fmt.Errorf("the upstream gets Accept-Language:\n%s", head)
	}
	return nil
}

// checkBody checks that the answer arrives as the service sent it.
func (c *verifyClient) checkBody(path, segment string, all bool) error {
	header, body, err := c.do(http.MethodGet, path+segment, nil)
	if err != nil {
		return err
	}
	want, known := origin.Body(segment)
	switch {
	case !known:
		return fmt.Errorf("the origin has no answer %q", segment)
	case sha256.Sum256(body) != sha256.Sum256(want):
		return fmt.Errorf("%s has another body: %d bytes, want %d", path+segment, len(body), len(want))
	case all && (header.Get("X-Frame-Options") != "DENY" || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != ""):
		return fmt.Errorf("header changes are not made: %v", header)
	case !all && header.Get("Cache-Control") == "":
		return fmt.Errorf("the answer lost its Cache-Control: %v", header)
	}
	return nil
}

// checkUpload checks that what is sent arrives at the service as it was.
func (c *verifyClient) checkUpload(path string, size int) error {
	block := sha256.Sum256([]byte(path))
	sent := bytes.Repeat(block[:], size/len(block)+1)[:size]
	_, got, err := c.do(http.MethodPost, path, sent)
	if err != nil {
		return err
	}
	if hash := sha256.Sum256(sent); string(got) != hex.EncodeToString(hash[:]) {
		return fmt.Errorf("the upstream got another body: its hash is %s, want %x", got, hash)
	}
	return nil
}

func (c *verifyClient) do(method, path string, body []byte) (http.Header, []byte, error) {
	request, err := http.NewRequest(method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Accept-Language", "en")
	c.shown.show(request)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s %s is answered %s: %.300s", method, path, response.Status, got)
	}
	return response.Header, got, nil
}
