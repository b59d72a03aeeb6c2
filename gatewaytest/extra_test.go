package gatewaytest_test

import (
	"strings"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/gatewaytest"
)

// teapotConfig is the configuration of a policy that does not come with the gateway. It is the manual's example.
type teapotConfig struct {
	// Paths are the paths that get tea. Required.
	Paths []string `yaml:"paths,short,required"`
}

// Validate checks the paths.
func (c *teapotConfig) Validate() error {
	for _, p := range c.Paths {
		if !strings.HasPrefix(p, "/") {
			return config.FieldErrorf("paths", "%q is no path: it does not begin with a slash", p)
		}
	}
	return nil
}

func teapot() filter.Kind {
	return filter.Define("teapot", filter.Guard, func(env *filter.Env, c *teapotConfig) (*filter.Filter, error) {
		served := env.Metrics.Counter("teapot_requests_total", "Requests that got tea, by route.", "route").WithLabelValues(env.Route.Name)
		return &filter.Filter{Request: func(ex *filter.Exchange) error {
			for _, p := range c.Paths {
				if ex.Original.Path == p {
					served.Inc()
					return &filter.Error{Code: "teapot", Status: 418, Detail: "Short and stout."}
				}
			}
			return nil
		}}, nil
	})
}

func TestForeignPolicies(t *testing.T) {
	g := gatewaytest.New(t, "teapot: /tea\nroutes: [{match: /**, respond: coffee}, {match: /off/**, respond: water, teapot: off}]", teapot())
	for path, want := range map[string]string{"/tea": `"title":"I'm a teapot","status":418,"detail":"Short and stout.","code":"teapot"`, "/x": "coffee", "/off/tea": "water"} {
		if _, body := g.Get(path); !strings.Contains(body, want) {
			t.Errorf("%s: got %s", path, body)
		}
	}
	_, err := gatewaytest.Start(t, "teapot: tea\nroutes: [{match: /, respond: x}]", teapot())
	if err == nil || !strings.Contains(err.Error(), `cardea.yaml:1:9: teapot.paths: "tea" is no path`) {
		t.Errorf("got %v", err)
	}
}
