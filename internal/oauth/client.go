package oauth

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/internal/issuer"
)

const (
	maxAnswer = 1 << 20  // bytes of an answer
	maxToken  = 16 << 10 // bytes of a token: it has to fit into a header
	maxLife   = 30 * 24 * time.Hour
)

// Config says which server tokens come from, and as whom they are asked for.
type Config struct {
	TokenURL string         // the token endpoint; "": that of the issuer
	Issuer   string         // whose metadata names the token endpoint
	ID       string         // of the client
	Secret   string         // of the client; "": it has none
	Post     bool           // id and secret are in the form, not in Authorization
	Roots    *x509.CertPool // nil: those of the system
	Timeout  time.Duration  // for one token, discovery included
}

// Client asks a token endpoint.
type Client struct {
	config Config
	http   *http.Client

	issuers   *issuer.Client
	discovery *issuer.Discovery // nil where the token endpoint is known
}

// Token is an access token.
type Token struct {
	Value    string
	Lifetime time.Duration // 0: not said
}

// New makes a client. It sends nothing.
func New(c Config) *Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true, DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		MaxConnsPerHost: 32, MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
	client := &Client{config: c, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if c.TokenURL == "" {
		client.issuers = issuer.NewClient(c.Roots, true, c.Timeout)
		client.discovery, _ = issuer.NewDiscovery(client.issuers, c.Issuer, "") // an issuer with a query has no document, which is told when it is asked for
	}
	return client
}

// Close closes idle connections.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	if c.issuers != nil {
		c.issuers.Close()
	}
}

// Fetch asks for a token with the parameters of a grant. What the server says against it is an *Error.
func (c *Client) Fetch(ctx context.Context, grant url.Values) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	endpoint, err := c.tokenEndpoint(ctx)
	if err != nil {
		return Token{}, err
	}
	shown, _, _ := strings.Cut(endpoint, "?")
	status, body, err := c.send(ctx, c.tokenRequest(ctx, endpoint, grant))
	if err != nil {
		c.forget()
		return Token{}, fmt.Errorf("cannot get a token from %s: %w", shown, err)
	}
	if status != http.StatusOK {
		if status == http.StatusNotFound {
			c.forget()
		}
		return Token{}, fmt.Errorf("cannot get a token from %s: %w", shown, refusal(status, body, c.config.Secret, grant.Get("subject_token")))
	}
	t, err := parseToken(body)
	if err != nil {
		return Token{}, fmt.Errorf("cannot use what %s sent as a token: %w", shown, err)
	}
	return t, nil
}

// tokenRequest makes the request for a token (RFC 6749, section 2.3.1).
func (c *Client) tokenRequest(ctx context.Context, endpoint string, grant url.Values) *http.Request {
	form := url.Values{}
	for name, values := range grant {
		form[name] = values
	}
	basic := c.config.Secret != "" && !c.config.Post
	if !basic {
		form.Set("client_id", c.config.ID)
		if c.config.Secret != "" {
			form.Set("client_secret", c.config.Secret)
		}
	}
	r := newRequest(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		pair := url.QueryEscape(c.config.ID) + ":" + url.QueryEscape(c.config.Secret)
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	return r
}

// newRequest makes a request to a URL that was checked before.
func newRequest(ctx context.Context, method, to string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		r = (&http.Request{Method: method, URL: &url.URL{}, Header: http.Header{}}).WithContext(ctx) // which cannot be sent
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "cardea")
	return r
}

// send sends a request and reads the whole answer.
func (c *Client) send(ctx context.Context, r *http.Request) (status int, body []byte, err error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, nil, c.plain(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return 0, nil, fmt.Errorf("it answers with status %d, and redirects are not followed", resp.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, c.plain(ctx, err)
	}
	if len(body) > maxAnswer {
		return 0, nil, fmt.Errorf("its answer is larger than %d bytes", maxAnswer)
	}
	return resp.StatusCode, body, nil
}

// plain is an error without the URL, which the caller names.
func (c *Client) plain(ctx context.Context, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("there is no answer within %s: %w", c.config.Timeout, context.DeadlineExceeded)
	}
	return err
}

// parseToken reads a successful answer (RFC 6749, section 5.1).
func parseToken(body []byte) (Token, error) {
	var answer struct {
		AccessToken string          `json:"access_token"`
		TokenType   string          `json:"token_type"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Token{}, errors.New("it is not a JSON object as OAuth 2.0 has it")
	}
	switch {
	case answer.AccessToken == "":
		return Token{}, errors.New("it has no access_token")
	case len(answer.AccessToken) > maxToken:
		return Token{}, fmt.Errorf("the access_token is longer than %d bytes", maxToken)
	case strings.ContainsFunc(answer.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }):
		return Token{}, errors.New("the access_token has characters that no token has")
	case answer.TokenType != "" && !strings.EqualFold(answer.TokenType, "Bearer"):
		return Token{}, errors.New("the token_type is not Bearer")
	}
	lifetime, err := parseLifetime(answer.ExpiresIn)
	return Token{Value: answer.AccessToken, Lifetime: lifetime}, err
}

// parseLifetime reads expires_in: a number of seconds, which some servers write as a text.
func parseLifetime(raw json.RawMessage) (time.Duration, error) {
	text := strings.Trim(string(bytes.TrimSpace(raw)), `"`)
	if text == "" || text == "null" {
		return 0, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || seconds != seconds:
		return 0, errors.New("expires_in is not a number")
	case seconds <= 0:
		return 0, errors.New("the token has expired already")
	case seconds > maxLife.Seconds():
		return maxLife, nil
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
