package call_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
)

func encoded(t *testing.T, open func(io.Writer) io.WriteCloser, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := open(&out)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestBodiesOfClientsInCodings: what is sent in gzip or deflate is read without it, within the same bound, and what is in another coding is not taken for JSON.
func TestBodiesOfClientsInCodings(t *testing.T) {
	zipped := func(text string) string {
		return encoded(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, text)
	}
	deflated := encoded(t, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, `{"a":"b"}`)
	long := `"` + strings.Repeat("a", 1<<20) + `"`
	for name, test := range map[string]struct {
		coding, body string
		code         filter.Code // "": it is read
		detail       string
	}{
		"none":                 {"", `{"a":"b"}`, "", ""},
		"identity":             {"identity", `{"a":"b"}`, "", ""},
		"gzip":                 {"gzip", zipped(`{"a":"b"}`), "", ""},
		"GZIP":                 {"GZIP", zipped(`{"a":"b"}`), "", ""},
		"deflate":              {"deflate", deflated, "", ""},
		"gzip, and it is not":  {"gzip", `{"a":"b"}`, filter.BadRequest, "The body is not gzip, as its Content-Encoding says."},
		"gzip, cut":            {"gzip", zipped(`{"a":"b"}`)[:15], filter.BadRequest, "The body is not gzip, as its Content-Encoding says."},
		"gzip, damaged":        {"gzip", zipped(`{"a":"b"}`)[:20] + "xxxxxxxx", filter.BadRequest, "The body is not gzip, as its Content-Encoding says."},
		"gzip of what is none": {"gzip", zipped(`{`), filter.BadRequest, "The body is not JSON: the document ends too early, at byte 1."},
		"a bomb":               {"gzip", zipped(long), filter.BodyTooLarge, ""},
		"br":                   {"br", `{"a":"b"}`, filter.MediaTypeUnsupported, `The content coding of the body, "br", is not known; gzip and deflate are.`},
		"several":              {"gzip, gzip", zipped(zipped(`{"a":"b"}`)), filter.MediaTypeUnsupported, `The content coding of the body, "gzip, gzip", is not known; gzip and deflate are.`},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(test.body))
			if test.coding != "" {
				r.Header.Set("Content-Encoding", test.coding)
			}
			v, err := call.ReadBody(r, document.Limits{Size: 64 << 10})
			if test.code == "" {
				if err != nil || !reflect.DeepEqual(v, map[string]any{"a": "b"}) {
					t.Fatalf("got %v, %v", v, err)
				}
				return
			}
			var e *filter.Error
			if !errors.As(err, &e) || e.Code != test.code || e.Detail != test.detail {
				t.Errorf("got %v: %+v", v, err)
			}
		})
	}
}

// TestBodiesThatBreakOff: what reading failed with is no fault of the body's.
func TestBodiesThatBreakOff(t *testing.T) {
	gone := errors.New("the client left")
	for _, coding := range []string{"", "gzip"} {
		text := `{"a":`
		if coding != "" {
			text = encoded(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, text)[:12]
		}
		r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(text), &failing{gone}))
		r.Header.Set("Content-Encoding", coding)
		if _, err := call.ReadBody(r, document.Limits{}); !errors.Is(err, gone) {
			t.Errorf("%q: got %v", coding, err)
		}
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }
