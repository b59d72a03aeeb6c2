package aggregate

import (
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/shape"
)

// knowShapes lets expressions know what is known of the calls' answers, and of the elements of loops.
func (p *planner) knowShapes() {
	p.shapes, p.wrong = map[string]*shape.Shape{}, make([][]error, len(p.calls))
	for i, d := range p.calls {
		var s *shape.Shape
		s, p.wrong[i] = call.Answer(p.env, &d.call.Config, &d.call.Edits)
		var standsIn []*shape.Shape
		var v any
		if !d.call.Default.IsZero() && d.call.Default.Decode(&v) == nil {
			standsIn = append(standsIn, shape.Of(v))
		}
		s = shape.Either(s, standsIn...)
		if d.call.Each != nil {
			s = shape.Either(shape.List(s), standsIn...) // in the place of one of the answers, or of all
		}
		p.shapes[d.name] = s
	}
	shapes := call.Shapes(p.shapes)
	p.env.Expr = p.env.Expr.Known(shapes)
	elements := map[string]filter.Shape{}
	for _, d := range p.calls {
		if d.call.Each == nil {
			continue
		}
		if s, err := call.Loops(p.env, d.call.Each.In); err == nil && s != nil {
			elements[d.call.Each.As] = s
		}
	}
	if len(elements) > 0 {
		p.env.Expr = p.env.Expr.Known(elements)
	}
}
