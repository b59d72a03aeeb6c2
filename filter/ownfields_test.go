package filter_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
)

func TestOwnFields(t *testing.T) {
	own := filter.NewOwnFields("Client-Cert", "X-User")
	r, _ := http.NewRequest("POST", "/", io.NopCloser(strings.NewReader("body")))
	r.Header = http.Header{"Client-Cert": {"a"}, "Client_cert": {"a"}, "client.cert": {"a"}, "X-User": {"a"}, "X_USER": {"a"}, "X-Users": {"b"}, "Xuser": {"b"}}
	r.Trailer = http.Header{}
	own.Clean(r)
	var left []string
	for name := range r.Header {
		left = append(left, name)
	}
	if slices.Sort(left); !slices.Equal(left, []string{"X-Users", "Xuser"}) {
		t.Errorf("left: %v", left)
	}
	r.Trailer["x_user"], r.Trailer["Digest"] = []string{"root"}, []string{"d"} // they come after the body
	if text, err := io.ReadAll(r.Body); string(text) != "body" || err != nil || len(r.Trailer) != 1 || r.Trailer["Digest"] == nil {
		t.Errorf("%q, %v, trailer %v", text, err, r.Trailer)
	}
	var none filter.OwnFields
	before := r.Body
	none.Clean(r)
	if r.Body != before || len(r.Header) != 2 {
		t.Error("no fields are something")
	}
}
