package filtertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"cardea.dev/cardea/filter"
)

// kept says whether it was closed.
type kept struct{ closed bool }

func (k *kept) Close() error { k.closed = true; return nil }

func TestKeeper(t *testing.T) {
	env := NewEnv(t, "orders")
	a, _ := filter.Keep(env, "a", func() (*kept, error) { return &kept{}, nil })
	b, _ := filter.Keep(env, "a", func() (*kept, error) { return &kept{}, nil })
	if a != b {
		t.Error("it was made twice")
	}
	if env.Keeper.(Keeper).Close(t); !a.closed || len(env.Keeper.(Keeper)) != 0 {
		t.Error("it was not closed")
	}
}

func TestServer(t *testing.T) {
	env := NewEnv(t, "orders", Server(t, "a", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) }))
	if _, err := env.Upstream("b"); err == nil || err.Error() != `there is no upstream "b"` {
		t.Error(err)
	}
	up, err := env.Upstream("a")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := up.Do(&filter.Exchange{}, httptest.NewRequest("GET", "/x", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "/x" {
		t.Errorf("got %q", body)
	}
}

func TestExamples(t *testing.T) {
	const comment = "//\n// Short:\n//\n//\tx: 1\n//\n// Long, x: no example:\n//\n//\tx:\n//\t  a: b\n//\n//\t  c: d\n//\tx: {}  # x: 2\n//\n// End.\n//\n//\ty: 3\n"
	want := []string{"x: 1\n", "x:\n  a: b\n  c: d\n", "x: {}  # x: 2\n"}
	if got := examples(comment, "x"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
