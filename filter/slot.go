package filter

// Slot is a policy's own place in each exchange of its route, for what its phases tell each other.
type Slot[T any] struct{ i int }

// NewSlot takes a place, when a policy is built.
func NewSlot[T any](env *Env) Slot[T] {
	env.slots++
	return Slot[T]{env.slots - 1}
}

// Set puts a value into the slot.
func (s Slot[T]) Set(ex *Exchange, v *T) { ex.slots[s.i] = v }

// Get returns the slot's value, or nil.
func (s Slot[T]) Get(ex *Exchange) *T {
	v, _ := ex.slots[s.i].(*T)
	return v
}
