package lang

import (
	"fmt"
	"math"
	"strconv"
)

// decodeAny decodes a node into what encoding/json would give, but whole numbers as int64.
func (d *decoder) decodeAny(n Node) any {
	switch n.Kind() {
	case NodeMap:
		m := make(map[string]any, n.Len())
		for name, item := range n.Fields() {
			m[name] = d.decodeAny(item)
		}
		return m
	case NodeList:
		list := make([]any, 0, n.Len())
		for _, item := range n.Items() {
			list = append(list, d.decodeAny(item))
		}
		return list
	case NodeScalar:
		text, ok := d.text(n)
		if !ok {
			return nil
		}
		return d.anyScalar(n, text)
	}
	return nil
}

// anyScalar gives a plain scalar the type that it looks like, by the core schema of YAML 1.2.
func (d *decoder) anyScalar(n Node, text string) any {
	if n.v.quoted {
		return text
	}
	switch text {
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	case "null", "Null", "NULL", "~", "":
		return nil
	}
	if i, err := strconv.ParseInt(wholeNumber(text)); err == nil {
		return i
	}
	if c := text[len(text)-1]; c < '0' || c > '9' {
		return text // keeps "Infinity", "nan", "0x1p-2"
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(f, 0) {
		return f
	} else if err != nil && f != 0 {
		d.add(n.Errorf("%s", fmt.Sprintf("%s is out of range", quoteText(n))))
	}
	return text
}
