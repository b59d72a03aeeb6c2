package sequence

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// TestHeadsComeBack: what the journal has of a request is what it was, also the types of claims; with another secret, or at another place, it is nothing.
func TestHeadsComeBack(t *testing.T) {
	k := &shared{place: "p:"}
	var err error
	if k.sealer, err = newSealer([]config.Secret{"one", "two"}); err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest("PUT", "http://shop.example/a%2Fb/%FF?q=%20", nil)
	r.ContentLength = 77
	r.Header = http.Header{"X-A": {"caf\xe9", "\x80"}, "Cookie": {"a=b"}}
	claims := map[string]any{"n": int64(9007199254740993), "f": 1.5, "null": nil, "list": []any{int64(1), "x", map[string]any{"deep": true}}}
	ex := &filter.Exchange{
		Request: r, ID: "id", Client: netip.MustParseAddr("2001:db8::1"), Priority: 1, Start: time.Now().Round(0), Params: params{{"user", "\xff"}},
		Identity: &filter.Identity{Subject: "ada", Method: "jwt", Groups: []string{"g"}, Claims: claims, Tags: map[string]string{"a": "b"}}, Original: filter.Original{Host: "h", Path: "/%FF"},
	}
	run := &run{own: ex, base: "base", body: map[string]any{"n": json.Number("1.10")}}
	sealed, err := run.head(k, "x")
	if err != nil {
		t.Fatal(err)
	}
	var h head
	if err := k.unpack(sealed, "y", "h", &h); !errors.Is(err, errSealed) {
		t.Errorf("at another place: %v", err)
	}
	rotated, other := &shared{place: "p:"}, &shared{place: "p:"}
	rotated.sealer, _ = newSealer([]config.Secret{"three", "one"})
	other.sealer, _ = newSealer([]config.Secret{"two"})
	if err := other.unpack(sealed, "x", "h", &h); !errors.Is(err, errSealed) {
		t.Errorf("with another secret: %v", err)
	}
	if err := rotated.unpack(sealed, "x", "h", &h); err != nil {
		t.Fatal(err)
	}
	env := filtertest.NewEnv(t, "r")
	back, body, err := h.exchange(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(body) != fmt.Sprint(run.body) || back.Request.URL.String() != r.URL.String() || back.Request.Method != "PUT" || back.Request.Host != r.Host || back.Request.ContentLength != 77 || h.Base != "base" {
		t.Errorf("got %v %v %v", body, back.Request.URL, h)
	}
	if !reflect.DeepEqual(back.Identity, ex.Identity) || !reflect.DeepEqual(back.Request.Header, r.Header) || !reflect.DeepEqual(back.Params, ex.Params) {
		t.Errorf("got %#v %q %q", back.Identity, back.Request.Header, back.Params)
	}
	if back.Client != ex.Client || back.Priority != 1 || !back.Start.Equal(ex.Start) || back.Original != ex.Original || back.ID != "id" {
		t.Errorf("got %+v", back)
	}
}
