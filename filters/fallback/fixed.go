package fallback

import (
	"net/http"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/answer"
	"cardea.dev/cardea/internal/cache/rules"
	"cardea.dev/cardea/internal/cacheable"
)

// fixed is a fixed answer.
type fixed struct {
	*answer.Answer
	name string
}

func newFixed(env *filter.Env, c *Content, at string) (*fixed, error) {
	a, err := answer.New(env, c.fixed())
	if err != nil {
		return nil, below(at, err)
	}
	name := "status"
	if kinds := c.kinds(); len(kinds) > 0 {
		name = kinds[0]
	}
	return &fixed{a.Untagged(), name}, nil
}

// below places an error of a field below another place.
func below(at string, err error) error {
	if at == "" {
		return err
	}
	return config.FieldErrorf(at, "%w", err)
}

func (f *fixed) kind() string { return f.name }

// answer answers. The answer is not kept by anyone, unless it says so itself.
func (f *fixed) answer(ex *filter.Exchange, _ *state) (*http.Response, error) {
	resp, err := f.Serve(ex)
	if err != nil {
		return nil, err
	}
	if resp.Header["Cache-Control"] == nil {
		resp.Header["Cache-Control"] = []string{"no-store"}
		ex.Fallback.Common = f.Constant()
	}
	return resp, nil
}

func (f *fixed) explain(ex *filter.Exchange) string { return f.name + ", " + f.Answer.Explain(ex) }

// unkept has an answer not kept by anyone. Those who ask for the same at once may have it together, if it did not say otherwise.
func unkept(ex *filter.Exchange, h http.Header) {
	control := rules.ParseControl(h["Cache-Control"])
	ex.Fallback.Common = !control.Has(rules.Private | rules.NoStore)
	cacheable.NoStore(h)
}
