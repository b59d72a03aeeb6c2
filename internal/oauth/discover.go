package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// CheckURL says why a text cannot be the URL of an issuer or token endpoint.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "":
		return errors.New("it is not a URL with http or https and a host")
	case u.User != nil:
		return errors.New("it must not hold a user or password")
	case u.Fragment != "":
		return errors.New("it must not have a fragment")
	}
	return nil
}

// tokenEndpoint returns the token endpoint, which it looks up where it is not known.
func (c *Client) tokenEndpoint(ctx context.Context) (string, error) {
	c.mu.Lock()
	endpoint := c.endpoint
	c.mu.Unlock()
	if endpoint != "" {
		return endpoint, nil
	}
	endpoint, err := c.discover(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot find the token endpoint of %s: %w", c.config.Issuer, err)
	}
	c.mu.Lock()
	c.endpoint = endpoint
	c.mu.Unlock()
	return endpoint, nil
}

// forget has the endpoint looked up again: the issuer may have moved it.
func (c *Client) forget() {
	c.mu.Lock()
	c.endpoint = c.config.TokenURL
	c.mu.Unlock()
}

// discover asks for the issuer's metadata: of OpenID Connect Discovery 1.0, or else of RFC 8414.
func (c *Client) discover(ctx context.Context) (string, error) {
	issuer, err := url.Parse(c.config.Issuer)
	if err != nil {
		return "", err
	}
	path := strings.TrimSuffix(issuer.Path, "/")
	for _, at := range []string{path + "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server" + path} {
		place := url.URL{Scheme: issuer.Scheme, Host: issuer.Host, Path: at}
		status, body, err := c.send(ctx, newRequest(ctx, http.MethodGet, place.String(), http.NoBody))
		switch {
		case err != nil:
			return "", err
		case status == http.StatusNotFound:
			continue
		case status != http.StatusOK:
			return "", fmt.Errorf("%s answers with status %d", at, status)
		}
		return c.readMetadata(issuer, body)
	}
	return "", errors.New("it has no metadata: all that was asked for answers with status 404")
}

// readMetadata takes the token endpoint from metadata, which must be the issuer's own (RFC 8414, section 3.3).
func (c *Client) readMetadata(issuer *url.URL, body []byte) (string, error) {
	var metadata struct {
		Issuer        string `json:"issuer"`
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err := json.Unmarshal(body, &metadata); err != nil {
		return "", errors.New("its metadata is not a JSON object")
	}
	if metadata.Issuer != c.config.Issuer {
		return "", fmt.Errorf("its metadata is of another issuer, %q", printable(metadata.Issuer, nil))
	}
	if err := CheckURL(metadata.TokenEndpoint); err != nil {
		return "", fmt.Errorf("its token_endpoint cannot be used: %w", err)
	}
	if issuer.Scheme == "https" && !strings.HasPrefix(metadata.TokenEndpoint, "https:") {
		return "", errors.New("its token_endpoint is not https, as the issuer is")
	}
	return metadata.TokenEndpoint, nil
}
