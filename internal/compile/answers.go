package compile

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine"
)

// answers builds what the configuration changes of the gateway's own answers.
func (c *compiler) answers() *engine.Answers {
	a := &engine.Answers{ByCode: map[filter.Code]engine.Answer{}, ByStatus: map[int]engine.Answer{}, ByClass: map[int]engine.Answer{}}
	for _, key := range slices.Sorted(maps.Keys(c.cfg.Errors)) {
		settings := c.cfg.Errors[key]
		node := c.cfg.Self.Field("errors").Field(key)
		built, err := c.errorAnswer(&settings)
		if err != nil {
			c.errs = append(c.errs, node.Locate(err)...)
			continue
		}
		switch {
		case len(key) == 3 && strings.HasSuffix(key, "xx") && key[0] >= '4' && key[0] <= '5':
			a.ByClass[int(key[0]-'0')] = built
		case isStatus(key):
			status, _ := strconv.Atoi(key)
			a.ByStatus[status] = built
		default:
			c.checkCode(key, c.cfg.Self.Field("errors").Key(key))
			a.ByCode[filter.Code(key)] = built
		}
	}
	return a
}

func isStatus(key string) bool {
	n, err := strconv.Atoi(key)
	return err == nil && n >= 400 && n <= 599
}

// checkCode warns of a code that the gateway itself does not make: a policy may, or it is misspelt.
func (c *compiler) checkCode(key string, node config.Node) {
	var known []string
	for _, info := range filter.Codes() {
		if string(info.Code) == key {
			return
		}
		known = append(known, string(info.Code))
	}
	w := node.Errorf("%q is no error code of the gateway's own", key)
	w.Warning = true
	if near := config.Suggest(key, known); near != "" {
		w.Hint = "did you mean " + strconv.Quote(near) + "?"
	}
	c.warnings = append(c.warnings, w)
}

// errorAnswer builds one answer. Its body is a template over the problem and the request.
func (c *compiler) errorAnswer(s *config.ErrorAnswer) (engine.Answer, error) {
	a := engine.Answer{Status: s.Status, Title: s.Title, Detail: s.Detail, ContentType: s.ContentType}
	if s.Body == "" {
		return a, nil
	}
	bare := a
	body, err := c.expr.Parts(s.Body, func(name string) (filter.Value, error) {
		field := problemField(name)
		if field == nil {
			return nil, nil
		}
		return func(ex *filter.Exchange) (string, bool) { return field(bare.Problem(ex, filter.AsError(ex.Err))), true }, nil
	})
	if err != nil {
		return a, config.FieldErrorf("body", "%w", err)
	}
	a.Body = body.Template()
	if a.ContentType == "" {
		a.ContentType = "text/plain; charset=utf-8"
		if strings.HasPrefix(strings.TrimSpace(s.Body), "<") {
			a.ContentType = "text/html; charset=utf-8"
		}
	}
	return a, nil
}

// problemField is what an error's body may say of the problem, by name; nil for other names.
func problemField(name string) func(engine.Problem) string {
	switch name {
	case "code":
		return func(p engine.Problem) string { return string(p.Code) }
	case "status":
		return func(p engine.Problem) string { return strconv.Itoa(p.Status) }
	case "title":
		return func(p engine.Problem) string { return p.Title }
	case "detail":
		return func(p engine.Problem) string { return p.Detail }
	case "request_id":
		return func(p engine.Problem) string { return p.RequestID }
	}
	return nil
}
