package document

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits bound a document. Zero means the default.
type Limits struct {
	Size  int64 // bytes, 10 MiB by default
	Depth int   // how deep objects and lists may nest, 512 by default and at most 10,000
	Held  int64 // bytes of one text or number, and of the names of all objects that are open, Size by default: what is held of a stream

	// Spend is told by Read of about so many bytes which the values take in memory that it makes. An error from it ends the reading. Nil: nobody is told.
	Spend func(bytes int64) error
}

// maxDepth is what jsontext can do.
const maxDepth = 10_000

// Default returns the limits that hold where nothing is said.
func Default() Limits { return Limits{Size: 10 << 20, Depth: 512} }

func (l Limits) orDefault() Limits {
	d := Default()
	if l.Size <= 0 {
		l.Size = d.Size
	}
	if l.Depth <= 0 {
		l.Depth = d.Depth
	}
	l.Depth = min(l.Depth, maxDepth)
	if l.Held <= 0 {
		l.Held = l.Size
	}
	return l
}

// bounded reads no more than a size.
type bounded struct {
	r    io.Reader
	size int64
	n    int64
	err  error // what the source failed with, io.EOF apart
	held int64
	dec  *jsontext.Decoder
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.err != nil && !errors.Is(b.err, errMore) {
		return 0, b.err // jsontext may try again
	}
	// What came since the last token is held, and what the decoder reads ahead with it.
	if b.n-b.dec.InputOffset() > b.held {
		b.err = &Error{Offset: b.n, Reason: fmt.Sprintf("a text or number is longer than %d bytes", b.held), Kind: TooLarge}
		return 0, b.err
	}
	// One byte more than allowed is asked for, to tell a document of just that size from a longer one.
	if room := b.size - b.n + 1; int64(len(p)) > room {
		p = p[:room]
	}
	n, err := b.r.Read(p)
	b.n += int64(n)
	if b.n > b.size {
		err = &Error{Offset: b.size, Reason: tooLong(b.size), Kind: TooLarge}
		n = 0
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// scanner reads the tokens of one document within limits.
type scanner struct {
	src   bounded
	dec   *jsontext.Decoder
	depth int
	names int64      // bytes of the names of all open objects
	open  []int64    // the same, by depth
	known [16]string // names that were read, see name
	spender
}

func newScanner(r io.Reader, l Limits) *scanner {
	l = l.orDefault()
	s := &scanner{src: bounded{r: r, size: l.Size, held: l.Held}, depth: l.Depth, spender: spender{spend: l.Spend}}
	s.dec = jsontext.NewDecoder(&s.src)
	s.src.dec = s.dec
	return s
}

// next returns the kind of the next token and, for names, texts and numbers, its raw form, which is good until the next call.
func (s *scanner) next() (jsontext.Kind, []byte, error) {
	switch k := s.dec.PeekKind(); k {
	case '"', '0', 'n', 't', 'f':
		raw, err := s.dec.ReadValue()
		if k == '"' && err == nil {
			err = s.count(len(raw))
		}
		return k, raw, s.wrap(err)
	default:
		_, err := s.dec.ReadToken()
		if err == nil && s.dec.StackDepth() > s.depth {
			err = s.tooDeep()
		}
		s.forget(k)
		return k, nil, s.wrap(err)
	}
}

// count counts a text that is a name. The decoder holds the names of open objects, to find those that stand twice.
func (s *scanner) count(n int) error {
	depth := s.dec.StackDepth()
	if k, i := s.dec.StackIndex(depth); k != '{' || i%2 == 0 {
		return nil
	}
	const each = 32 // what a name takes beside its text
	for len(s.open) <= depth {
		s.open = append(s.open, 0)
	}
	s.open[depth] += int64(n) + each
	if s.names += int64(n) + each; s.names-each > s.src.held {
		return &Error{Offset: s.dec.InputOffset(), Reason: fmt.Sprintf("the names in open objects take more than %d bytes", s.src.held), Kind: TooLarge}
	}
	return nil
}

// forget takes the names of an object that has ended off.
func (s *scanner) forget(k jsontext.Kind) {
	if depth := s.dec.StackDepth() + 1; k == '}' && depth < len(s.open) {
		s.names -= s.open[depth]
		s.open[depth] = 0
	}
}

func (s *scanner) tooDeep() error {
	return &Error{Offset: s.dec.InputOffset() - 1, Pointer: shortPointer(s.dec.StackPointer()), Reason: tooDeep(s.depth), Kind: TooDeep}
}

// end makes sure that nothing follows the document.
func (s *scanner) end() error {
	offset := s.dec.InputOffset()
	_, err := s.dec.ReadToken()
	if err == io.EOF {
		return nil
	}
	if e := (*Error)(nil); errors.As(err, &e) || s.src.err != nil && errors.Is(err, s.src.err) {
		return s.wrap(err)
	}
	return &Error{Offset: offset, Reason: "something follows the end of the document", Kind: Invalid}
}

func (s *scanner) wrap(err error) error {
	if err == nil {
		return nil
	}
	return wrap(err, s.src.err)
}
