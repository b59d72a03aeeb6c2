package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxYAML is how many values a YAML document may have once its aliases are followed.
const maxYAML = 4_000_000

// decodeYAML reads a YAML document as what it would be in JSON. Numbers keep their digits.
func decodeYAML(text []byte) (any, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read the YAML: %w", err)
	}
	docs := slices.DeleteFunc(file.Docs, func(d *ast.DocumentNode) bool {
		_, directive := d.Body.(*ast.DirectiveNode) // the library takes "%YAML 1.2" for a document
		return directive || d.Body == nil
	})
	if len(docs) != 1 {
		return nil, fmt.Errorf("expected one YAML document, and found %d", len(docs))
	}
	y := yamlReader{anchors: map[string]ast.Node{}, left: maxYAML}
	return y.value(docs[0].Body, 0)
}

// yamlReader makes values of nodes.
type yamlReader struct {
	anchors map[string]ast.Node
	left    int
}

var errTooLarge = errors.New("the YAML is too large or too deep, perhaps by its aliases")

func (y *yamlReader) value(n ast.Node, depth int) (any, error) {
	if y.left--; y.left < 0 || depth > 200 {
		return nil, errTooLarge
	}
	switch n := n.(type) {
	case nil:
		return nil, nil
	case *ast.MappingNode:
		return y.mapping(n.Values, depth)
	case *ast.MappingValueNode:
		return y.mapping([]*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, item := range n.Values {
			v, err := y.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	case *ast.AnchorNode:
		y.anchors[n.Name.GetToken().Value] = n.Value
		return y.value(n.Value, depth+1)
	case *ast.AliasNode:
		to, ok := y.anchors[n.Value.GetToken().Value]
		if !ok {
			return nil, y.errorf(n, "there is no anchor %q", n.Value.GetToken().Value)
		}
		return y.value(to, depth+1)
	case *ast.TagNode:
		if n.Start.Value == "!!str" {
			return n.Value.GetToken().Value, nil
		}
		return y.value(n.Value, depth+1)
	}
	return y.scalar(n)
}

func (y *yamlReader) mapping(values []*ast.MappingValueNode, depth int) (any, error) {
	o := make(map[string]any, len(values))
	var merged []map[string]any
	for _, pair := range values {
		v, err := y.value(pair.Value, depth+1)
		if err != nil {
			return nil, err
		}
		if _, merge := pair.Key.(*ast.MergeKeyNode); merge {
			from, ok := mergeable(v)
			if !ok {
				return nil, y.errorf(pair, "what `<<` takes keys from is no mapping, and no list of mappings")
			}
			merged = append(merged, from...)
			continue
		}
		key := pair.Key.GetToken().Value
		if _, twice := o[key]; twice {
			return nil, y.errorf(pair, "the key %q stands twice", key)
		}
		o[key] = v
	}
	for _, from := range merged {
		for key, v := range from {
			if _, own := o[key]; !own {
				o[key] = v
			}
		}
	}
	return o, nil
}

// mergeable are the mappings that a merge key takes keys from, the first of which go first.
func mergeable(v any) (all []map[string]any, ok bool) {
	list, is := v.([]any)
	if !is {
		list = []any{v}
	}
	for _, one := range list {
		from, is := one.(map[string]any)
		if !is {
			return nil, false
		}
		all = append(all, from)
	}
	return all, true
}

func (y *yamlReader) scalar(n ast.Node) (any, error) {
	switch n := n.(type) {
	case *ast.NullNode:
		return nil, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode:
		text := n.GetToken().Value
		if json.Valid([]byte(text)) && computable(text) {
			return json.Number(text), nil
		}
		return y.number(n)
	}
	return nil, y.errorf(n, "%q cannot be written in JSON", n.String())
}

// number is for numbers that are written as JSON does not: 0x1F, 1_000, +1, .5.
func (y *yamlReader) number(n ast.Node) (any, error) {
	text := strings.ReplaceAll(n.GetToken().Value, "_", "")
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return json.Number(strconv.FormatInt(i, 10)), nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, y.errorf(n, "%q is no number that JSON has", n.GetToken().Value)
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
}

func (*yamlReader) errorf(n ast.Node, format string, args ...any) error {
	at := n.GetToken().Position
	return fmt.Errorf("line %d, column %d: %s", at.Line, at.Column, fmt.Sprintf(format, args...))
}
