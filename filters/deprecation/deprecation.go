package deprecation

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Config says since when a route is deprecated, and what becomes of it. The short form is Since.
type Config struct {
	// Since is when the route became or will become deprecated: a day ("2026-01-01", from midnight UTC) or a time
	// ("2026-01-01T12:00:00+02:00"). It is required.
	Since config.Date `yaml:"since,short,required"`

	// Sunset is when the route will end, like Since. It cannot be before it. By default it is not said.
	Sunset config.Date `yaml:"sunset"`

	// Link is the URL of a page about the deprecation. By default none.
	Link string `yaml:"link"`

	// Policy is the URL of a page about the sunset: what happens then, and what to do. By default none.
	Policy string `yaml:"policy"`

	// Successor is the URL of what to use instead. By default none.
	Successor string `yaml:"successor"`

	// Gone refuses requests from the sunset on with status 410. By default they go on being served.
	Gone bool `yaml:"gone"`
}

// Validate checks that the times are in order and the links are links.
func (c *Config) Validate() error {
	var errs []error
	if !c.Sunset.IsZero() && c.Sunset.Before(c.Since.Time) { // RFC 9745, section 4
		errs = append(errs, config.FieldErrorf("sunset", "the sunset, %s, is before the deprecation, %s", c.Sunset, c.Since))
	}
	if c.Gone && c.Sunset.IsZero() {
		errs = append(errs, config.FieldErrorf("gone", "`gone` needs a `sunset`, from which on requests are refused"))
	}
	for _, l := range c.links() {
		if err := checkLink(l.url); err != nil {
			errs = append(errs, config.FieldErrorf(l.field, "%q %w", l.url, err))
		}
	}
	return errors.Join(errs...)
}

// link is a URL of the configuration and what it is for.
type link struct{ field, url, relation string }

// links are the links that are configured.
func (c *Config) links() []link {
	all := []link{{"link", c.Link, "deprecation"}, {"policy", c.Policy, "sunset"}, {"successor", c.Successor, "successor-version"}}
	return slices.DeleteFunc(all, func(l link) bool { return l.url == "" })
}

// checkLink says what is wrong with a link as the target of a Link field (RFC 8288, section 3).
func checkLink(text string) error {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`<>"\^{}|`+"`", c) >= 0 {
			return fmt.Errorf("is not a URL: the character %q must be escaped", text[i:i+1])
		}
	}
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("is not a URL")
	}
	switch {
	case u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return nil
	case (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		return nil
	}
	return errors.New("is neither an http or https URL nor a path")
}

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("deprecation", filter.Guard, build) }

// deprecation is the policy, with its fields ready to be set.
type deprecation struct {
	since, sunset time.Time
	gone          bool
	detail        string // for clients that are refused
	note          string // for operators

	deprecationField, sunsetField, linkField []string

	requests prometheus.Counter
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	d := deprecation{since: c.Since.Time, sunset: c.Sunset.Time, gone: c.Gone}
	d.deprecationField = []string{"@" + strconv.FormatInt(c.Since.Unix(), 10)}
	d.note = "deprecated since " + c.Since.String()
	if !c.Sunset.IsZero() {
		d.sunsetField = []string{c.Sunset.UTC().Format(http.TimeFormat)}
		d.note += ", sunset " + c.Sunset.String()
		d.detail = fmt.Sprintf("This came to its end at %s.", c.Sunset)
	}
	if c.Successor != "" {
		d.detail += fmt.Sprintf(" Use %s instead.", c.Successor)
	}
	for _, l := range c.links() {
		d.linkField = append(d.linkField, fmt.Sprintf("<%s>; rel=%q", l.url, l.relation))
	}
	d.linkField = slices.Clip(d.linkField) // shared by responses: who appends to it must get a copy
	d.requests = env.Metrics.Counter("deprecated_requests_total", "Requests for routes that are deprecated, by route.", "route").
		WithLabelValues(env.Route.Name)
	return &filter.Filter{Request: d.request, Response: d.response, Explain: d.explain}, nil
}

func (d *deprecation) request(ex *filter.Exchange) error {
	if !ex.Start.Before(d.since) {
		d.requests.Inc()
	}
	if d.refuses(ex) {
		return filter.Reject(filter.Gone, d.detail)
	}
	return nil
}

// refuses says whether the route has ended for a request.
func (d *deprecation) refuses(ex *filter.Exchange) bool {
	return d.gone && !ex.Start.Before(d.sunset)
}

func (d *deprecation) response(ex *filter.Exchange) error {
	h := ex.Response.Header
	h["Deprecation"] = d.deprecationField
	if d.sunsetField != nil {
		h["Sunset"] = d.sunsetField
	}
	if own := h["Link"]; own != nil {
		h["Link"] = append(own[:len(own):len(own)], d.linkField...)
	} else if d.linkField != nil {
		h["Link"] = d.linkField
	}
	return nil
}

func (d *deprecation) explain(ex *filter.Exchange) filter.Verdict {
	if d.refuses(ex) {
		return filter.Verdict{Action: filter.Rejects, Note: d.note + ", and gone since"}
	}
	return filter.Verdict{Action: filter.Passes, Note: d.note}
}
