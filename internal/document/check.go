package document

import (
	"errors"
	"io"
)

// Check passes the bytes of a stream through as they come and fails, where io.EOF would stand, with an *Error when they are not exactly
// one document. It may notice late what is wrong, but always before the end. It holds no more than the token that has not ended, and the
// names of the objects that are open.
func Check(r io.Reader, l Limits) io.Reader {
	c := &checker{src: r, size: l.orDefault().Size}
	c.scanner = newScanner(&c.fed, l)
	return c
}

type checker struct {
	src     io.Reader
	fed     feed
	scanner *scanner
	size    int64
	wait    int  // how many bytes to gather before the decoder is asked again
	whole   bool // the value has ended
	err     error
}

func (c *checker) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.src.Read(p)
	c.fed.b = append(c.fed.b, p[:n]...)
	ended := errors.Is(err, io.EOF)
	c.fed.ended = ended
	if err != nil && !ended {
		c.err = err
		return n, err
	}
	if ended || len(c.fed.b) >= c.wait {
		c.err = c.check()
	}
	if ended && c.err == nil {
		c.err = io.EOF
	}
	return n, c.err
}

// check reads the tokens that have come. A token that is not whole is read from its start again when as much again has come, so that
// the work stays in proportion to the length however small the pieces are.
func (c *checker) check() error {
	for !c.whole {
		_, _, err := c.scanner.next()
		if err != nil {
			return c.later(err)
		}
		c.whole = c.scanner.dec.StackDepth() == 0
	}
	return c.later(c.scanner.end())
}

// later says when to go on, where an error is that more must come.
func (c *checker) later(err error) error {
	if !errors.Is(err, errMore) {
		return err
	}
	c.wait = int(c.fed.given - c.scanner.dec.InputOffset())
	return nil
}

var errMore = errors.New("more is to come")

// feed gives a decoder what has come so far.
type feed struct {
	b     []byte
	given int64
	ended bool
}

func (f *feed) Read(p []byte) (int, error) {
	if len(f.b) == 0 {
		if f.ended {
			return 0, io.EOF
		}
		return 0, errMore
	}
	n := copy(p, f.b)
	f.b = f.b[:copy(f.b, f.b[n:])]
	f.given += int64(n)
	return n, nil
}
