package document

// What values take in memory, as Go's allocator and maps have it.
const (
	item     = 16 // an `any`
	textHead = 16 // of a text or number, to which an `any` points
	listHead = 24
	mapHead  = 48
	place    = 36 // of a field in a map, with its part of what the map takes beside
	group    = 8  // how many places a map begins with
)

// spender counts what values take that are made.
type spender struct {
	spend func(int64) error // nil: nobody counts
	owed  int64             // was not told yet
}

// atOnce is how much is told at once.
const atOnce = 4 << 10

// add counts so much.
func (s *spender) add(n int) error {
	if s.spend == nil {
		return nil
	}
	if s.owed += int64(n); s.owed < atOnce {
		return nil
	}
	return s.settle()
}

// settle tells what was not told yet.
func (s *spender) settle() error {
	if s.spend == nil {
		return nil
	}
	n := s.owed
	s.owed = 0
	return s.spend(n)
}

// textSize is what a text takes, apart from its head.
func textSize(n int) int { return (n + 7) &^ 7 }

// scalarSize is what a value takes beside the `any` that it is.
func scalarSize(v any, length int) int {
	switch v.(type) {
	case nil, bool:
		return 0
	}
	return textHead + textSize(length)
}

// growth is what a map takes more when it gets its n-th field: it has one group of places, then twice as many whenever seven of eight are taken.
func growth(n int) int {
	const table = 64 // what a map has besides, once it has more than one group
	switch {
	case n == 1:
		return group * place
	case n == group+1:
		return group*place + table
	}
	if k := (n - 1) / 14; n > group && (n-1)%14 == 0 && k&(k-1) == 0 {
		return 16 * k * place
	}
	return 0
}
