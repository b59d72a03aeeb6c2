package repeat

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func TestTake(t *testing.T) {
	for name, test := range map[string]struct {
		body    string
		length  int64
		trailer bool
		whole   bool
	}{
		"short": {"text", 4, false, true}, "of no length": {"text", -1, false, true}, "just so long": {"12345678", -1, false, true},
		"too long": {"123456789", 9, false, false}, "too long, of no length": {"123456789", -1, false, false}, "with a trailer": {"text", -1, true, false}, "empty": {"", -1, false, true},
	} {
		r := &http.Request{Body: io.NopCloser(strings.NewReader(test.body)), ContentLength: test.length}
		if test.trailer {
			r.Trailer = http.Header{"X-T": nil}
		}
		body, whole, err := Take(r, 8)
		if whole != test.whole || err != nil || whole && (string(body) != test.body || r.ContentLength != int64(len(test.body))) || !whole && body != nil {
			t.Errorf("%s: %q, %t, %v", name, body, whole, err)
		}
		if left, err := io.ReadAll(r.Body); string(left) != test.body || err != nil {
			t.Errorf("%s: %q is left, %v", name, left, err)
		}
		if !whole {
			continue
		}
		again, _ := r.GetBody()
		if left, _ := io.ReadAll(again); string(left) != test.body {
			t.Errorf("%s: %q the second time", name, left)
		}
	}
	broken := errors.New("broken")
	if _, _, err := Take(&http.Request{Body: io.NopCloser(iotest.ErrReader(broken)), ContentLength: -1}, 8); !errors.Is(err, broken) {
		t.Error(err)
	}
	if body, whole, err := Take(&http.Request{Body: http.NoBody}, 8); body != nil || !whole || err != nil {
		t.Errorf("without a body: %q, %t, %v", body, whole, err)
	}
}

func TestRead(t *testing.T) {
	for _, length := range []int64{-1, 0, 4, 1 << 40} {
		for text, whole := range map[string]bool{"": true, "1234": true, "12345678": true, "123456789": false, "1234567890": false} {
			body := io.NopCloser(strings.NewReader(text))
			got, all, err := Read(body, 8, length)
			if all != whole || err != nil || !strings.HasPrefix(text, string(got)) || len(got) != min(len(text), 9) {
				t.Errorf("%q, %d: %q, %t, %v", text, length, got, all, err)
			}
			if again, err := io.ReadAll(Rejoin(got, all, body)); string(again) != text || err != nil {
				t.Errorf("%q, %d: %q again, %v", text, length, again, err)
			}
		}
	}
}
