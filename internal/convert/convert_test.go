package convert_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"cardea.dev/cardea/internal/convert"
)

func TestLimitsThatCannotBe(t *testing.T) {
	var l convert.Limits
	l.Default()
	if err := l.Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	for name, change := range map[string]func(*convert.Limits){
		"size":        func(l *convert.Limits) { l.Size = -1 },
		"buffer":      func(l *convert.Limits) { l.Buffer = 100 },
		"no depth":    func(l *convert.Limits) { l.Depth = 0 },
		"great depth": func(l *convert.Limits) { l.Depth = 100_000 },
	} {
		wrong := l
		change(&wrong)
		if wrong.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestReaderKeepsBounds(t *testing.T) {
	l := convert.Limits{Size: 1 << 20, Buffer: 4 << 10, Depth: 10}
	in := convert.NewReader(strings.NewReader(strings.Repeat("x", 1<<20)), "text", l)
	buf := make([]byte, 1000)
	for in.Err() == nil {
		in.MarkAll()
		if _, err := in.Read(buf); err == io.EOF {
			break
		}
	}
	if in.Offset() != 1<<20 || in.Err() != nil {
		t.Errorf("of what is within bounds, %d bytes were read: %v", in.Offset(), in.Err())
	}
	for name, c := range map[string]struct {
		length int
		mark   bool
	}{"too long": {1<<20 + 1, true}, "a part too long": {1 << 18, false}} {
		in := convert.NewReader(strings.NewReader(strings.Repeat("x", c.length)), "text", l)
		var err error
		for err == nil {
			if c.mark {
				in.MarkAll()
			}
			_, err = in.Read(buf)
		}
		if e, ok := convert.AsError(err); !ok || e.Kind != convert.TooLarge || !errors.Is(in.Err(), err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, again := in.Read(buf); again != err {
			t.Errorf("%s: after the error comes %v", name, again)
		}
	}
}

func TestJSONIsBounded(t *testing.T) {
	l := convert.Limits{Size: 0, Buffer: 4 << 10, Depth: 3}
	for in, want := range map[string]bool{
		`[[[1]]]`: true, `[[[[1]]]]`: false, `["[[[[[[", "\\\"[[[["]`: true, `{"a":{"b":{"c":{}}}}`: false,
	} {
		_, byValue := convert.NewJSON(strings.NewReader(in), "JSON", l).Value()
		byToken := error(nil)
		for j := convert.NewJSON(strings.NewReader(in), "JSON", l); byToken == nil; {
			_, byToken = j.Token()
		}
		if (byValue == nil) != want || (byToken == io.EOF) != want {
			t.Errorf("%s: %v, %v", in, byValue, byToken)
		}
	}
	j := convert.NewJSON(io.MultiReader(strings.NewReader("["), iotest.ErrReader(io.ErrClosedPipe)), "JSON", l)
	_, err := j.Value()
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the input's own error is lost: %v", err)
	}
}

// What an input chose cannot fill a log.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("ü", 10_000)
	e := &convert.Error{Format: "XML", Line: 1, Offset: -1, Path: "/" + long, Reason: long}
	if n := len(e.Error()); n > 700 {
		t.Errorf("the error has %d bytes", n)
	}
	if !strings.HasPrefix(e.Error(), "XML, line 1, at /üü") {
		t.Error(e.Error())
	}
}
