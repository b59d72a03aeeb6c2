package issuer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// maxAnswer is how long an answer of an issuer may be.
const maxAnswer = 1 << 20

// Client fetches from issuers. Its answers are bounded in size and time, and it follows no redirects: where they lead is not what the
// configuration trusts.
type Client struct {
	http      *http.Client
	transport *http.Transport
	allowHTTP bool
	timeout   time.Duration
}

// NewClient makes a client. Roots are the authorities that are trusted, nil for those of the system.
func NewClient(roots *x509.CertPool, allowHTTP bool, timeout time.Duration) *Client {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    timeout,
		ResponseHeaderTimeout:  timeout,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    16,
		MaxConnsPerHost:        64,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
	return &Client{
		http:      &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		transport: t, allowHTTP: allowHTTP, timeout: timeout,
	}
}

// Close closes idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// CheckURL says what is wrong with a URL that is to be fetched from.
func CheckURL(text string, allowHTTP bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a URL", text)
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not a URL of https", text)
	case u.User != nil || u.Fragment != "":
		return fmt.Errorf("the URL of %s has a user or a fragment", u.Host)
	case u.Scheme == "http" && !allowHTTP && !loopback(u.Hostname()):
		return fmt.Errorf("%s is not https: anyone in between could give keys of their own; allow_http allows it", text)
	}
	return nil
}

// loopback says whether a host is this machine.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Authorities reads the authorities of a PEM file; nil for none. Relative names start at dir. It returns the text too.
func Authorities(dir, name string) (*x509.CertPool, []byte, error) {
	if name == "" {
		return nil, nil, nil
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("there is no certificate in %s", name)
	}
	return pool, pem, nil
}

// statusError is an answer other than 200.
type statusError struct {
	url    string
	status int
}

func (e *statusError) Error() string { return fmt.Sprintf("%s answered %d", e.url, e.status) }

// Get fetches JSON.
func (c *Client) Get(ctx context.Context, where string) ([]byte, error) {
	if err := CheckURL(where, c.allowHTTP); err != nil {
		return nil, err
	}
	r, err := http.NewRequest(http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	return c.Do(ctx, r)
}

// Do sends a request and returns the JSON that is answered.
func (c *Client) Do(ctx context.Context, r *http.Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "cardea")
	resp, err := c.http.Do(r.WithContext(ctx))
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL, which a query may hold secrets in
		}
		return nil, fmt.Errorf("cannot ask %s: %w", r.URL.Host, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, &statusError{r.URL.Scheme + "://" + r.URL.Host + r.URL.Path, resp.StatusCode}
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media == "text/html" {
		return nil, fmt.Errorf("%s answered a page of HTML", r.URL.Host)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the answer of %s: %w", r.URL.Host, err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer of %s is longer than 1 MiB", r.URL.Host)
	}
	return body, nil
}
