package aggregate

import (
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/shape"
)

// knowShapes lets expressions know what is known of the calls' answers.
func (p *planner) knowShapes() {
	p.shapes, p.wrong = map[string]*shape.Shape{}, make([][]error, len(p.calls))
	for i, d := range p.calls {
		var s *shape.Shape
		s, p.wrong[i] = call.Answer(p.env, &d.Call.Config, &d.Call.Edits)
		var standsIn []*shape.Shape
		var v any
		if !d.Call.Default.IsZero() && d.Call.Default.Decode(&v) == nil {
			standsIn = append(standsIn, shape.Of(v))
		}
		s = shape.Either(s, standsIn...)
		if d.Call.Each != nil {
			s = shape.Either(shape.List(s), standsIn...) // in the place of one of the answers, or of all
		}
		p.shapes[d.Name] = s
	}
	p.env.Expr = p.env.Expr.Known(call.Shapes(p.shapes))
}

// inLoop lets expressions know what is known of the elements that a call loops over, until after is called. Loops may call their elements alike.
func (p *planner) inLoop(c *Each) (after func()) {
	all := p.env
	after = func() { p.env = all }
	if c == nil {
		return after
	}
	element, err := call.Loops(p.env, c.In)
	if err != nil || element == nil {
		return after // what is wrong is said of the loop
	}
	own := *p.env
	own.Expr = own.Expr.Known(map[string]filter.Shape{c.As: element})
	p.env = &own
	return after
}
