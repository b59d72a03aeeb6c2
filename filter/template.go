package filter

// Template makes a text of an exchange. What is absent is empty.
type Template func(ex *Exchange) string

// Part is a part of a template: a text, or a value.
type Part struct {
	Text  string // what is written: the text with its braces single, or what stands in the braces of a value
	Value Value  // nil: a text
}

// Parts are the parts of a template in their order. None is an empty text, and no two texts follow each other.
type Parts []Part

// Constant returns the text that the parts always make. It is false when there are values among them.
func (p Parts) Constant() (text string, ok bool) {
	switch {
	case len(p) == 0:
		return "", true
	case len(p) == 1 && p[0].Value == nil:
		return p[0].Text, true
	}
	return "", false
}

// Template puts the parts together. They must not be changed any more.
func (p Parts) Template() Template {
	if text, ok := p.Constant(); ok {
		return func(*Exchange) string { return text }
	}
	if len(p) == 1 {
		value := p[0].Value
		return func(ex *Exchange) string { s, _ := value(ex); return s }
	}
	return p.join
}

// join makes the text of several parts.
func (p Parts) join(ex *Exchange) string {
	var space [256]byte
	out := space[:0]
	for i := range p {
		if p[i].Value == nil {
			out = append(out, p[i].Text...)
			continue
		}
		s, _ := p[i].Value(ex)
		out = append(out, s...)
	}
	return string(out)
}
