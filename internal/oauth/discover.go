package oauth

import (
	"context"
	"errors"
	"fmt"
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

// tokenEndpoint returns the token endpoint, which the issuer's document names where it is not known.
func (c *Client) tokenEndpoint(ctx context.Context) (string, error) {
	if c.config.TokenURL != "" {
		return c.config.TokenURL, nil
	}
	endpoint, err := c.discover(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot find the token endpoint of %s: %w", c.config.Issuer, err)
	}
	return endpoint, nil
}

// forget has the endpoint looked up again: the issuer may have moved it.
func (c *Client) forget() {
	if c.discovery != nil {
		c.discovery.Doubt(0)
	}
}

// discover asks for the issuer's document.
func (c *Client) discover(ctx context.Context) (string, error) {
	if c.discovery == nil {
		return "", errors.New("it is no issuer that can be discovered")
	}
	document, err := c.discovery.Get(ctx)
	if err != nil {
		return "", err
	}
	if err := CheckURL(document.Token); err != nil {
		return "", fmt.Errorf("its token_endpoint cannot be used: %w", err)
	}
	if strings.HasPrefix(c.config.Issuer, "https:") && !strings.HasPrefix(document.Token, "https:") {
		return "", errors.New("its token_endpoint is not https, as the issuer is")
	}
	return document.Token, nil
}
