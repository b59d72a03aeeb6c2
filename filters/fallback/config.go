package fallback

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/answer"
)

// Config says what a client gets when the service fails. The short form is one answer or a list of them. An object may say the one answer beside the
// other settings: `{json: {items: []}, on: [timeout]}`.
type Config struct {
	// Try are the answers that are tried, in their order, until one is to be had. By default the one that stands beside it.
	Try []Answer `yaml:"try,short"`

	Content `yaml:",inline"`

	// On says what counts as failed: statuses (503), ranges of them (5xx), codes of the gateway's errors (upstream_connect_failed), `upstream` for all errors
	// that the gateway makes since the service cannot be reached or does not answer, `timeout` for upstream_timeout. Statuses are those of answers, whoever made
	// them. By default [upstream, 502, 503, 504].
	On []Cause `yaml:"on"`

	// After is how long the service may take until its answer begins, counted from the head of the request; then it counts as upstream_timeout, and the answer here is given.
	// By default, and with 0, as long as the route's `timeout` and the upstream's allow.
	After config.Duration `yaml:"after"`

	// Header is the field that marks answers that stand in for others; "off" sends none. By default Cardea-Fallback.
	Header string `yaml:"header"`
}

// Answer is one answer. The short form is Use.
type Answer struct {
	// Use is "last_good", or the name of an upstream.
	Use string `yaml:"use,short"`

	Content `yaml:",inline"`
}

// Content says what one answer is: another upstream's, the last good one, or a fixed one.
type Content struct {
	// To is another upstream that is asked.
	To *To `yaml:"to"`

	// LastGood answers with the last good answer that there was to the same request.
	LastGood *LastGood `yaml:"last_good"`

	// Status is the status of a fixed answer, from 200 to 599. By default 200, or 204 without a body.
	Status int `yaml:"status" min:"0" max:"599"`

	// Headers are fields of a fixed answer. Their values are templates; one that comes out empty is not sent.
	Headers map[string]string `yaml:"headers"`

	// JSON is any value, sent as JSON in the order in which it is written.
	JSON config.Node `yaml:"json"`

	// Body is a body, as it is.
	Body string `yaml:"body"`

	// File is a file that is read when the configuration is loaded, up to 10 MiB. A relative name starts at the configuration's directory.
	File string `yaml:"file"`

	// Template is a body with values in braces.
	Template string `yaml:"template"`

	// ContentType is the body's media type. By default it follows from the body.
	ContentType string `yaml:"content_type"`
}

// To is another upstream. The short form is Upstream.
type To struct {
	// Upstream is its name.
	Upstream string `yaml:"upstream,short,required"`

	// Path is a template of the path, and of the query if it has a "?", that is asked for: "/later{path}". Values stay in their segment, but for `path`. By default the path and the query that the service would have got.
	Path string `yaml:"path"`

	// Methods are methods that are sent to it beside those that may be repeated without harm (GET, HEAD, OPTIONS, TRACE, PUT, DELETE): the service may have done already what
	// the request asks for. By default none.
	Methods []string `yaml:"methods"`

	// MaxBody is the longest body of a request that is kept so that it can be sent again; it is read before the request goes to the service. Requests with a
	// longer body are not sent here. By default 0: only requests without a body are.
	MaxBody config.Size `yaml:"max_body" max:"16MiB"`

	// Timeout is how long its answer may take to begin. So much of the route's `timeout`, but at most half of it, is kept for it. By default 1s.
	Timeout config.Duration `yaml:"timeout" min:"1ms"`

	// Cacheable leaves the answer's Cache-Control as it is. By default the answer gets no-store, so that nobody keeps it for longer than the failure lasts.
	Cacheable bool `yaml:"cacheable"`
}

// Default sets a timeout of 1s.
func (t *To) Default() { t.Timeout = config.Duration(time.Second) }

// LastGood says which last good answers there are. The short form is MaxAge.
type LastGood struct {
	// MaxAge is how old an answer may be. By default 1h.
	MaxAge config.Duration `yaml:"max_age,short" min:"1s"`

	// Cache is the cache that answers are kept in, one of `caches`. By default "default", which is there without being named: 128MiB of memory.
	Cache string `yaml:"cache"`

	// MaxObject is the longest body that is kept. By default 1MiB. While it comes it is in memory, beside the cache.
	MaxObject config.Size `yaml:"max_object" min:"1" max:"64MiB"`

	// Shared has callers get each other's answers. By default an answer to a request with credentials or cookies is for the same caller alone, unless it says that it is
	// public.
	Shared bool `yaml:"shared"`

	// Force keeps answers, too, that say no-cache or must-revalidate, and so may not be used without asking the service. No-store always holds.
	Force bool `yaml:"force"`
}

// Default sets an hour, and bodies of up to 1MiB in the cache "default".
func (l *LastGood) Default() {
	l.MaxAge, l.Cache, l.MaxObject = config.Duration(time.Hour), "default", 1<<20
}

// Default sets the name of the field.
func (c *Config) Default() { c.Header = "Cardea-Fallback" }

// Validate checks that there is an answer.
func (c *Config) Validate() error {
	var errs []error
	said := len(c.kinds()) > 0 || c.Status != 0 || c.Headers != nil || c.ContentType != ""
	switch {
	case said && len(c.Try) > 0:
		errs = append(errs, config.FieldErrorf("try", "there is an answer beside the list already; put it into the list"))
	case said:
		errs = append(errs, c.check()...)
	case len(c.Try) == 0:
		errs = append(errs, errors.New("nothing says what the answer is: write `json`, `body`, `file`, `template`, `status`, `to`, `last_good`, or a list"))
	}
	for i := range c.Try {
		if c.Try[i].certain() && i < len(c.Try)-1 {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("try[%d]", i+1), "this is never tried: the answer before it is always to be had"))
			break
		}
	}
	return errors.Join(errs...)
}

// Validate checks that there is one answer.
func (a *Answer) Validate() error {
	if a.Use == "" {
		return errors.Join(a.check()...)
	}
	if len(a.kinds()) > 0 || a.Status != 0 {
		return config.FieldErrorf("use", "there is another answer beside it")
	}
	return nil
}

// kinds are the keys that say what the answer is.
func (c *Content) kinds() []string {
	var said []string
	for _, k := range []struct {
		name string
		said bool
	}{
		{"to", c.To != nil},
		{"last_good", c.LastGood != nil},
		{"json", !c.JSON.IsZero()},
		{"body", c.Body != ""},
		{"file", c.File != ""},
		{"template", c.Template != ""},
	} {
		if k.said {
			said = append(said, k.name)
		}
	}
	return said
}

// certain says whether the answer is always to be had.
func (a *Answer) certain() bool { return a.Use == "" && a.To == nil && a.LastGood == nil }

// check checks that there is one answer.
func (c *Content) check() []error {
	kinds := c.kinds()
	if len(kinds) > 1 {
		return []error{config.FieldErrorf(kinds[1], "there is an answer already: `%s`; write a list of what is tried in order", kinds[0])}
	}
	if c.To == nil && c.LastGood == nil {
		if len(kinds) == 0 && c.Status == 0 {
			return []error{errors.New("nothing says what the answer is: write `json`, `body`, `file`, `template`, `status`, `to` or `last_good`")}
		}
		return []error{c.fixed().Validate()}
	}
	if c.Status != 0 || c.Headers != nil || c.ContentType != "" {
		return []error{config.FieldErrorf(kinds[0], "`status`, `headers` and `content_type` are of fixed answers")}
	}
	return nil
}

// fixed is the fixed answer.
func (c *Content) fixed() *answer.Config {
	return &answer.Config{Body: c.Body, Status: c.Status, Headers: c.Headers, JSON: c.JSON, File: c.File, Template: c.Template, ContentType: c.ContentType}
}

// Cause is what counts as failed: a status, a range of statuses, or a code.
type Cause struct {
	first, last int         // of statuses
	code        filter.Code // of an error
	upstream    bool        // all errors that are the upstream's
	text        string
}

// Expected says what may be written.
func (Cause) Expected() string {
	return "a status (503), a range of them (5xx), the code of an error (upstream_connect_failed), `upstream` or `timeout`"
}

// MarshalText writes the cause as it was written.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.text), nil }

// UnmarshalText reads a cause.
func (c *Cause) UnmarshalText(text []byte) error {
	s := string(text)
	*c = Cause{text: s}
	switch {
	case s == "upstream":
		c.upstream = true
		return nil
	case s == "timeout":
		c.code = filter.UpstreamTimeout
		return nil
	case len(s) == 3 && s[0] >= '4' && s[0] <= '5' && strings.EqualFold(s[1:], "xx"):
		c.first = int(s[0]-'0') * 100
		c.last = c.first + 99
		return nil
	case len(s) == 3 && s[0] >= '4' && s[0] <= '5' && s[1] >= '0' && s[1] <= '9' && s[2] >= '0' && s[2] <= '9':
		c.first = int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
		c.last = c.first
		return nil
	}
	code := filter.Code(s)
	if code == filter.ClientClosed || code == filter.RequestTimeout {
		return fmt.Errorf("%s is the client's doing: nobody waits for an answer", s)
	}
	if !known(code) {
		return fmt.Errorf("%q is neither a status from 400 to 599, nor a range of them, nor the code of an error", s)
	}
	c.code = code
	return nil
}

func known(code filter.Code) bool {
	for _, info := range filter.Codes() {
		if info.Code == code {
			return true
		}
	}
	return false
}

// byDefault is what counts as failed where nothing else is said.
func byDefault() []Cause {
	causes := []Cause{{upstream: true, text: "upstream"}}
	for _, s := range []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		causes = append(causes, Cause{first: s, last: s, text: fmt.Sprint(s)})
	}
	return causes
}
