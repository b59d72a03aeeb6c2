package answer

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
)

// Config says what is answered. The short form is a status, or else Body.
type Config struct {
	// Body is the body, as it is.
	Body string `yaml:"body,short"`

	// Status is the status, from 200 to 599. By default 200, or 204 without a body.
	Status int `yaml:"status" min:"0" max:"599"`

	// Headers are fields of the answer. Their values are templates; one that comes out empty is not sent.
	Headers map[string]string `yaml:"headers"`

	// JSON is any value, sent as JSON in the order in which it is written.
	JSON config.Node `yaml:"json"`

	// File is a file that is read when the configuration is loaded, up to 10 MiB. A relative name starts at the configuration's directory.
	File string `yaml:"file"`

	// Template is a body with values in braces.
	Template string `yaml:"template"`

	// ContentType is the body's media type. By default it follows from the body.
	ContentType string `yaml:"content_type"`

	// Self is the answer as it was written.
	Self config.Node `yaml:",self"`
}

// Validate checks that there is one answer, and gives a short form its meaning.
func (c *Config) Validate() error {
	if s := shortStatus(c.Body); s != 0 && c.Self.Kind() == config.NodeScalar {
		c.Status, c.Body = s, ""
	}
	var errs []error
	if c.Status != 0 && (c.Status < 200 || c.Status > 599) {
		errs = append(errs, config.FieldErrorf("status", "%d is not the status of an answer, which is from 200 to 599", c.Status))
	}
	bodies := c.bodies()
	if len(bodies) > 1 {
		errs = append(errs, config.FieldErrorf(bodies[1], "there is a body already: `%s`", bodies[0]))
	}
	if len(bodies) > 0 && bodiless(c.Status) {
		errs = append(errs, config.FieldErrorf(bodies[0], "an answer with status %d has no body", c.Status))
	}
	if c.ContentType != "" {
		if len(bodies) == 0 {
			errs = append(errs, config.FieldErrorf("content_type", "a content type needs a body"))
		}
		if !httpguts.ValidHeaderFieldValue(c.ContentType) {
			errs = append(errs, config.FieldErrorf("content_type", "%q cannot be the value of a field", c.ContentType))
		}
	}
	return errors.Join(append(errs, c.checkHeaders()...)...)
}

// bodies are the fields that say a body.
func (c *Config) bodies() []string {
	var said []string
	for _, b := range []struct {
		name string
		said bool
	}{{"body", c.Body != ""}, {"json", !c.JSON.IsZero()}, {"file", c.File != ""}, {"template", c.Template != ""}} {
		if b.said {
			said = append(said, b.name)
		}
	}
	return said
}

func (c *Config) checkHeaders() []error {
	var errs []error
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		at := fmt.Sprintf("headers[%q]", name)
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			errs = append(errs, config.FieldErrorf(at, "%q cannot be the name of a field", name))
		case seen[canonical]:
			errs = append(errs, config.FieldErrorf(at, "the field %s stands there twice", canonical))
		case slices.Contains([]string{"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Upgrade"}, canonical):
			errs = append(errs, config.FieldErrorf(at, "the field %s is the gateway's to set", canonical))
		case !strings.Contains(c.Headers[name], "{") && !httpguts.ValidHeaderFieldValue(c.Headers[name]):
			errs = append(errs, config.FieldErrorf(at, "%q cannot be the value of a field", c.Headers[name]))
		case canonical == "Content-Type" && c.ContentType != "":
			errs = append(errs, config.FieldErrorf(at, "there is a content type already: `content_type`"))
		}
		seen[canonical] = true
	}
	return errs
}

// shortStatus reads a status as the short form of an answer; 0: it is a text.
func shortStatus(s string) int {
	if len(s) != 3 || s[0] < '1' || s[0] > '9' || s[1] < '0' || s[1] > '9' || s[2] < '0' || s[2] > '9' {
		return 0
	}
	return int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
}

// bodiless says which answers have no body (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5).
func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusResetContent || status == http.StatusNotModified
}
