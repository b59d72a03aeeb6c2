package filter

// Shape is what is known beforehand of a value as of JSON, such as the answer of a service that has told of it in a document. A nil Shape knows nothing.
// Errors say what is wrong of the value, to follow its name: `has no member "x"`.
type Shape interface {
	// Member is the shape of a member of an object. There may be an error only where it is sure that no value has it.
	Member(name string) (Shape, error)

	// Element is the shape of the elements of a list.
	Element() (Shape, error)
}
