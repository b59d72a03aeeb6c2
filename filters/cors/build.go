package cors

import (
	"strconv"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

func build(env *filter.Env, conf *Config) (*filter.Filter, error) {
	c := &cors{
		exact: map[string]*grant{}, credentials: conf.Credentials, privateNetwork: conf.PrivateNetwork, enforce: conf.Enforce,
		methods: newList(upper(conf.Methods), strings.Clone),
		headers: newList(conf.Headers, strings.ToLower),
		maxAge:  []string{strconv.FormatInt(int64(conf.MaxAge.Std().Seconds()), 10)},
		granted: filter.NewSlot[grant](env),
	}
	for i, text := range conf.Origins {
		p, err := parseOrigin(text)
		if err != nil {
			return nil, config.FieldErrorf(index("origins", i), "%w", err)
		}
		switch {
		case p.any:
			c.everyone = &grant{origin: []string{"*"}}
		case p.exact != "":
			c.exact[p.exact] = &grant{origin: []string{p.exact}}
		default:
			c.patterns = append(c.patterns, p)
		}
	}
	if len(conf.Expose) > 0 {
		c.expose = []string{strings.Join(conf.Expose, ", ")}
	}
	requests := env.Metrics.Counter("cors_requests_total", "Requests with an Origin, by route and outcome.", "route", "outcome")
	c.preflights = requests.WithLabelValues(env.Route.Name, "preflight")
	c.allowed = requests.WithLabelValues(env.Route.Name, "allowed")
	c.refused = requests.WithLabelValues(env.Route.Name, "rejected")
	return &filter.Filter{Request: c.request, Response: c.response, Explain: c.explain}, nil
}

// newList makes a list of what is configured. Nothing configured, or "*", is everything; an empty list is nothing.
func newList(names []string, normal func(string) string) list {
	if names == nil || len(names) == 1 && names[0] == "*" {
		return list{all: true}
	}
	l := list{names: map[string]bool{}}
	if len(names) > 0 {
		l.text = []string{strings.Join(names, ", ")}
	}
	for _, name := range names {
		l.names[normal(name)] = true
	}
	return l
}
