package xml

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"cardea.dev/cardea/internal/convert"
)

// source is a document in UTF-8, whatever it came in.
type source struct {
	io.ByteReader
	io.Reader
	charset string // what it came in, when known from elsewhere than its declaration
}

// decoded finds out what a document is written in: by its byte order mark, by the charset that came with it, or by how it begins (XML 1.0,
// appendix F; RFC 7303, section 3).
func decoded(in *bufio.Reader, charset string) (*source, error) {
	begin, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(begin, []byte{0xEF, 0xBB, 0xBF}):
		_, err := in.Discard(3)
		return plain(in, "utf-8"), err
	case bytes.HasPrefix(begin, []byte{0xFE, 0xFF}):
		_, err := in.Discard(2)
		return wide(in, binary.BigEndian), err
	case bytes.HasPrefix(begin, []byte{0xFF, 0xFE}):
		_, err := in.Discard(2)
		return wide(in, binary.LittleEndian), err
	}
	switch name := strings.ToLower(charset); name {
	case "", "utf-16":
		if bytes.HasPrefix(begin, []byte{'<', 0}) {
			return wide(in, binary.LittleEndian), nil
		}
		if name != "" || bytes.HasPrefix(begin, []byte{0, '<'}) {
			return wide(in, binary.BigEndian), nil
		}
		return plain(in, ""), nil
	case "utf-16be":
		return wide(in, binary.BigEndian), nil
	case "utf-16le":
		return wide(in, binary.LittleEndian), nil
	case "utf-8", "us-ascii":
		return plain(in, "utf-8"), nil
	case "iso-8859-1", "latin1":
		return plain(bufio.NewReader(latin1(in)), "iso-8859-1"), nil
	}
	return nil, unknown(charset)
}

func latin1(r io.Reader) io.Reader { return charmap.ISO8859_1.NewDecoder().Reader(r) }

func plain(in *bufio.Reader, charset string) *source { return &source{in, in, charset} }

func wide(in io.Reader, order binary.ByteOrder) *source {
	r := bufio.NewReader(&utf16Reader{in: in, order: order})
	return &source{r, r, "utf-16"}
}

// Read reads bytes of UTF-8.
func (s *source) Read(p []byte) (int, error) { return s.Reader.Read(p) }

// declared is asked for a reader where a document declares another encoding than UTF-8.
func (s *source) declared(name string, in io.Reader) (io.Reader, error) {
	switch lower := strings.ToLower(name); {
	case s.charset == "utf-8" && strings.HasPrefix(lower, "utf-16"), s.charset == "" && strings.HasPrefix(lower, "utf-16"):
		return nil, &convert.Error{Format: "XML", Offset: -1, Reason: "the document says that it is in " + name + ", and is not"}
	case s.charset != "": // RFC 7303, section 3: what came with it goes before what it declares
		return in, nil
	case lower == "iso-8859-1" || lower == "latin1":
		return latin1(in), nil
	case lower == "us-ascii":
		return in, nil
	}
	return nil, unknown(name)
}

func unknown(charset string) error {
	return &convert.Error{
		Format: "XML", Kind: convert.Unsupported, Offset: -1, Reason: "the charset " + charset + " is not known; UTF-8, UTF-16 and ISO-8859-1 are",
	}
}

// utf16Reader makes UTF-8 of UTF-16, and refuses halves of characters.
type utf16Reader struct {
	in    io.Reader
	order binary.ByteOrder
	out   []byte
	rest  []byte
	err   error
}

// Read reads bytes of UTF-8.
func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 && u.err == nil {
		u.fill()
	}
	if len(u.out) == 0 {
		return 0, u.err
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

func (u *utf16Reader) fill() {
	buf := make([]byte, 2048)
	n, err := u.in.Read(buf[copy(buf, u.rest):])
	buf = buf[:len(u.rest)+n]
	u.out, u.err = nil, err
	for len(buf) >= 2 {
		r, size := rune(u.order.Uint16(buf)), 2
		if utf16.IsSurrogate(r) {
			if len(buf) < 4 {
				break
			}
			r, size = utf16.DecodeRune(r, rune(u.order.Uint16(buf[2:]))), 4
			if r == utf8.RuneError {
				u.err = halfCharacter()
				return
			}
		}
		u.out = utf8.AppendRune(u.out, r)
		buf = buf[size:]
	}
	u.rest = bytes.Clone(buf)
	if u.err == io.EOF && len(u.rest) > 0 {
		u.err = halfCharacter()
	}
}

func halfCharacter() error {
	return &convert.Error{Format: "XML", Offset: -1, Reason: "the document has half a character of UTF-16"}
}
