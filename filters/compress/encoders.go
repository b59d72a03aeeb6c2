package compress

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"cardea.dev/cardea/filter"
)

// encoder compresses what is written to it. Flush makes all of that readable at the other end.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

// newEncoder makes encoders, by algorithm. It is never written. Windows are kept small: bodies seldom profit from more, and each open stream has one.
var newEncoder = map[string]func(level string) (encoder, error){
	"gzip": func(level string) (encoder, error) {
		return gzip.NewWriterLevel(io.Discard, byLevel(level, 1, 5, 9))
	},
	"br": func(level string) (encoder, error) {
		return brotli.NewWriterOptions(io.Discard, brotli.WriterOptions{Quality: byLevel(level, 1, 4, 9), LGWin: 19}), nil
	},
	"zstd": func(level string) (encoder, error) {
		return zstd.NewWriter(io.Discard,
			zstd.WithEncoderLevel(byLevel(level, zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression)),
			zstd.WithEncoderConcurrency(1), // no goroutines
			zstd.WithWindowSize(512<<10),   // clients need take no more than 8 MiB (RFC 9659)
			zstd.WithLowerEncoderMem(true),
			zstd.WithZeroFrames(true), // an empty body is a frame, too
		)
	},
}

func byLevel[T any](level string, fast, normal, best T) T {
	switch level {
	case "fast":
		return fast
	case "best":
		return best
	}
	return normal
}

// pool holds encoders of one algorithm and level. All routes share it.
type pool struct {
	make  func() (encoder, error)
	parts sync.Pool // of *parts
}

// parts are what a body is encoded with.
type parts struct {
	enc encoder
	in  [16 << 10]byte
	out buffer
}

// buffer takes what the encoder gives, until it is read.
type buffer struct {
	b    []byte
	read int
}

func (b *buffer) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	return len(p), nil
}

// take moves what there is into p.
func (b *buffer) take(p []byte) int {
	n := copy(p, b.b[b.read:])
	b.read += n
	if b.read == len(b.b) {
		b.b, b.read = b.b[:0], 0
	}
	return n
}

func keptPool(env *filter.Env, name, level string) (*pool, error) {
	return filter.Keep(env, "compress:"+name+":"+level, func() (*pool, error) {
		p := &pool{make: func() (encoder, error) { return newEncoder[name](level) }}
		first, err := p.make() // options that do not fit show here, not on a request
		if err != nil {
			return nil, err
		}
		p.parts.Put(&parts{enc: first})
		return p, nil
	})
}

func (p *pool) get() (*parts, error) {
	s, _ := p.parts.Get().(*parts)
	if s == nil {
		enc, err := p.make()
		if err != nil {
			return nil, err
		}
		s = &parts{enc: enc}
	}
	s.enc.Reset(&s.out)
	return s, nil
}

// put gives parts back.
func (p *pool) put(s *parts) {
	s.out = buffer{b: s.out.b[:0]}
	if cap(s.out.b) > 256<<10 {
		s.out.b = nil
	}
	p.parts.Put(s)
}
