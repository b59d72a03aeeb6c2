package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// documentAge is how long a document is used without asking again.
const documentAge = time.Hour

// Document is what an issuer says of itself.
type Document struct {
	Issuer        string `json:"issuer"`
	JWKS          string `json:"jwks_uri"`
	Token         string `json:"token_endpoint"`
	Introspection string `json:"introspection_endpoint"`
}

// Discovery fetches the document of an issuer and keeps it.
type Discovery struct {
	client *Client
	issuer string
	where  []string

	turn chan struct{} // held by the one who fetches, and guards what follows
	last *Document
	at   time.Time
}

// NewDiscovery makes the discovery of an issuer. Where is the document's URL; "" for the well-known ones.
func NewDiscovery(c *Client, issuer, where string) (*Discovery, error) {
	d := &Discovery{client: c, issuer: issuer, where: []string{where}, turn: make(chan struct{}, 1)}
	if where == "" {
		known, err := wellKnown(issuer)
		if err != nil {
			return nil, err
		}
		d.where = known
	}
	return d, nil
}

// wellKnown are the places of a document: that of OpenID Connect Discovery 1.0 (section 4), and that of RFC 8414 (section 3).
func wellKnown(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the issuer %q is not a URL without query and fragment: say where its keys are", issuer)
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	return []string{origin + path + "/.well-known/openid-configuration", origin + "/.well-known/oauth-authorization-server" + path}, nil
}

// Get returns the document. One that is old is fetched again; where that fails, it goes on being used.
func (d *Discovery) Get(ctx context.Context) (*Document, error) {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-d.turn }()
	if d.last != nil && time.Since(d.at) < documentAge {
		return d.last, nil
	}
	fresh, err := d.fetch(ctx)
	switch {
	case err == nil:
		d.last, d.at = fresh, time.Now()
	case d.last == nil:
		return nil, fmt.Errorf("cannot discover %s: %w", d.issuer, err)
	}
	return d.last, nil
}

// Doubt has a document of this age at least fetched again the next time, since what it names does not work.
func (d *Discovery) Doubt(age time.Duration) {
	d.turn <- struct{}{}
	if time.Since(d.at) >= age {
		d.at = time.Time{}
	}
	<-d.turn
}

func (d *Discovery) fetch(ctx context.Context) (*Document, error) {
	var errs []error
	for _, where := range d.where {
		body, err := d.client.Get(ctx, where)
		var status *statusError
		if errors.As(err, &status) && status.status >= http.StatusBadRequest {
			errs = append(errs, err)
			continue // it may be at the other place
		}
		if err != nil {
			return nil, err
		}
		return d.read(body)
	}
	if len(errs) == 2 {
		return nil, fmt.Errorf("%w, %w", errs[0], errs[1])
	}
	return nil, errors.Join(errs...)
}

func (d *Discovery) read(body []byte) (*Document, error) {
	doc := &Document{}
	if err := json.Unmarshal(body, doc); err != nil {
		return nil, fmt.Errorf("the document is not JSON: %w", err)
	}
	// RFC 8414, section 3.3: identical, or an issuer could pass for another.
	if doc.Issuer != d.issuer {
		return nil, fmt.Errorf("the document is of the issuer %q", doc.Issuer)
	}
	return doc, nil
}
