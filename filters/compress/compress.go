package compress

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cacheable"
)

// Config says what is encoded, and how. The short form is Algorithms.
type Config struct {
	// Algorithms are the encodings offered, in order of preference among those that the client likes equally. By default zstd,
	// br, gzip.
	Algorithms []string `yaml:"algorithms,short"`

	// Level is how hard the encoders try: "fast", "default" or "best". By default "default".
	Level string `yaml:"level" enum:"fast,default,best"`

	// Min is the size from which on bodies are encoded. By default 1KiB; 0 encodes all. Bodies of unknown length are encoded in any
	// case.
	Min config.Size `yaml:"min"`

	// Types are the media types that are encoded. "*" stands for any part: "text/*", "application/*+json". By default texts, JSON,
	// XML, JavaScript, WebAssembly, SVG and uncompressed fonts.
	Types []string `yaml:"types"`
}

// Default sets what suits web pages and APIs.
func (c *Config) Default() {
	c.Algorithms = []string{"zstd", "br", "gzip"}
	c.Level = "default"
	c.Min = 1 << 10
	c.Types = []string{
		"text/*", "application/json", "application/*+json", "application/x-ndjson", "application/xml", "application/*+xml",
		"application/javascript", "application/x-javascript", "application/yaml", "application/wasm", "application/graphql",
		"image/svg+xml", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon", "font/ttf", "font/otf", "application/vnd.ms-fontobject",
	}
}

// Validate checks algorithms and types.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Algorithms) == 0 {
		errs = append(errs, config.FieldErrorf("algorithms", "no algorithm is left; write `compress: off` for none"))
	}
	for i, name := range c.Algorithms {
		at := fmt.Sprintf("algorithms[%d]", i)
		if newEncoder[name] == nil {
			errs = append(errs, &config.FieldError{Path: at, Err: fmt.Errorf("%q is no algorithm", name), Expected: "one of zstd, br, gzip"})
		} else if slices.Index(c.Algorithms, name) != i {
			errs = append(errs, config.FieldErrorf(at, "%s stands there twice", name))
		}
	}
	if len(c.Types) == 0 {
		errs = append(errs, config.FieldErrorf("types", "no type is left; write `compress: off` for none"))
	}
	for i, t := range c.Types {
		if _, err := newTypePattern(t); err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("types[%d]", i), "%w", err))
		}
	}
	return errors.Join(errs...)
}

// Kind is the policy `compress`.
func Kind() filter.Kind { return filter.Define("compress", filter.Cache, build) }

// compressor is one configured policy on one route.
type compressor struct {
	codings []*coding // in order of preference
	chosen  filter.Slot[coding]
	min     int64
	types   []typePattern
}

// coding is one algorithm on one route.
type coding struct {
	name    string
	pool    *pool
	encoded prometheus.Counter
	kept    prometheus.Counter
	in, out prometheus.Counter
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	f := &compressor{chosen: filter.NewSlot[coding](env), min: int64(c.Min)}
	encoded := env.Metrics.Counter("compress_responses_total", "Responses that were sent encoded.", "route", "encoding")
	kept := env.Metrics.Counter("compress_kept_total", "Responses whose encoded form was kept by the cache, so that nothing had to be encoded.", "route", "encoding")
	bytes := env.Metrics.Counter("compress_bytes_total", "Bytes of bodies before (in) and after (out) encoding.", "route", "direction")
	for _, name := range c.Algorithms {
		p, err := keptPool(env, name, c.Level)
		if err != nil {
			return nil, err
		}
		f.codings = append(f.codings, &coding{
			name: name, pool: p, encoded: encoded.WithLabelValues(env.Route.Name, name), kept: kept.WithLabelValues(env.Route.Name, name),
			in: bytes.WithLabelValues(env.Route.Name, "in"), out: bytes.WithLabelValues(env.Route.Name, "out"),
		})
	}
	for _, t := range c.Types {
		p, err := newTypePattern(t)
		if err != nil {
			return nil, err
		}
		f.types = append(f.types, p)
	}
	return &filter.Filter{Request: f.request, Response: f.response, Explain: f.explain}, nil
}

// request chooses the encoding that a response would get.
func (f *compressor) request(ex *filter.Exchange) error {
	f.chosen.Set(ex, f.choose(ex.Request.Header["Accept-Encoding"]))
	return nil
}

// response encodes the response, if it should be.
func (f *compressor) response(ex *filter.Exchange) error {
	resp, chosen := ex.Response, f.chosen.Get(ex)
	if resp.StatusCode == http.StatusNotModified {
		f.notModified(ex, chosen)
		return nil
	}
	if !f.qualifies(resp) {
		return nil
	}
	cacheable.Vary(resp.Header, "Accept-Encoding")
	if chosen == nil {
		return nil
	}
	resp.Header["Content-Encoding"] = []string{chosen.name}
	forgetBytes(resp.Header)
	weaken(resp.Header)
	resp.Uncompressed = false
	chosen.encoded.Inc()
	if resp.Body == nil || resp.Body == http.NoBody || ex.Original.Method == http.MethodHead {
		resp.ContentLength = -1
		return nil
	}
	if !chosen.takeKept(resp) {
		resp.Body = newBody(resp.Body, chosen, resp.ContentLength >= 0, newForm(resp, chosen.name))
		resp.ContentLength = -1
	}
	return nil
}

// notModified gives the answer to a conditional request the validator that the client knows, and the Vary that the whole would have (RFC 9110, section 15.4.5).
func (f *compressor) notModified(ex *filter.Exchange, chosen *coding) {
	if f.mayQualify(ex) {
		cacheable.Vary(ex.Response.Header, "Accept-Encoding")
	}
	if chosen == nil {
		return
	}
	h := ex.Response.Header
	if tag := first(h["Etag"]); tag != "" && names(ex.Request.Header["If-None-Match"], "W/"+tag) {
		weaken(h)
	}
}

// explain says what a response that qualifies would get.
func (f *compressor) explain(ex *filter.Exchange) filter.Verdict {
	c := f.choose(ex.Request.Header["Accept-Encoding"])
	f.chosen.Set(ex, c)
	if c == nil {
		return filter.Verdict{Action: filter.Passes, Note: "the client accepts no encoding that is offered"}
	}
	return filter.Verdict{Action: filter.Passes, Note: "a response of a suitable type would be encoded as " + c.name}
}
