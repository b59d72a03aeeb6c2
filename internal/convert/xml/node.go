package xml

import "strings"

// Node is an element as it was read.
type Node struct {
	Name     string // as it is written: with its prefix
	Space    string // its namespace
	Local    string // its name without prefix
	Attrs    []NodeAttr
	Text     string // all of it, where it counts
	Children []*Node
}

// NodeAttr is an attribute as it was read.
type NodeAttr struct{ Name, Space, Local, Value string }

// Attr is the value of an attribute by its namespace and name.
func (n *Node) Attr(space, local string) (string, bool) {
	for _, a := range n.Attrs {
		if a.Space == space && a.Local == local {
			return a.Value, true
		}
	}
	return "", false
}

// Child is the first child of that namespace and name, or nil.
func (n *Node) Child(space, local string) *Node {
	for _, c := range n.Children {
		if c.Space == space && c.Local == local {
			return c
		}
	}
	return nil
}

// Declares are the namespaces that the element itself declares, by prefix; "" is the default one.
func (n *Node) Declares() map[string]string {
	all := map[string]string{}
	for _, a := range n.Attrs {
		if a.Space == xmlnsSpace {
			all[strings.TrimPrefix(strings.TrimPrefix(a.Name, "xmlns"), ":")] = a.Value
		}
	}
	return all
}

// IsDeclaration says whether the attribute declares a namespace.
func (a *NodeAttr) IsDeclaration() bool { return a.Space == xmlnsSpace }
