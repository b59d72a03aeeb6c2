package memory_test

import (
	"fmt"
	"net/http"
	"testing"

	"cardea.dev/cardea/internal/cache/memory"
	"cardea.dev/cardea/internal/stored"
)

func response(key string, size int) *stored.Response {
	return &stored.Response{
		Key: key, Method: "GET", Status: 200, Size: int64(size),
		Header: stored.NewFields(http.Header{"Content-Type": {"text/plain"}, "Etag": {`"` + key + `"`}}),
		Body:   memory.NewBody([][]byte{make([]byte, size)}),
	}
}

func TestStore(t *testing.T) {
	s := memory.New(1 << 20)
	a := response("a", 100)
	if !s.Set(a) || s.Get([]byte("a")) != a || s.GetString("a") != a || s.GetString("b") != nil {
		t.Error("what is set is not found")
	}
	one := s.Stats().Bytes
	b := response("a", 5000)
	if !s.Set(b) || s.GetString("a") != b || s.Stats().Objects != 1 {
		t.Error("it is not replaced")
	}
	s.Grow("a", 1000)
	s.Grow("b", 1000)
	if grown := s.Stats().Bytes - one; grown < 5900 {
		t.Errorf("it has grown by %d", grown)
	}
	if s.Set(response("a", 1<<19)) || s.GetString("a") != nil {
		t.Error("what is too large is kept, or what was there before")
	}
	for i := range 1000 {
		s.Set(response(fmt.Sprint(i), 5000))
		if st := s.Stats(); st.Bytes > st.Limit {
			t.Fatalf("%+v", st)
		}
	}
	st := s.Stats()
	if st.Evicted+st.Objects != 1000 || st.Objects < 150 {
		t.Errorf("%+v", st)
	}
	n := int64(0)
	for range s.All() {
		n++
	}
	if n != st.Objects {
		t.Errorf("%d of %d", n, st.Objects)
	}
	s.Resize(1 << 19)
	if now := s.Stats(); now.Bytes > 1<<19 || now.Objects < st.Objects/3 {
		t.Errorf("%+v", now)
	}
	for r := range s.All() {
		s.Delete(r.Key)
	}
	if st := s.Stats(); st.Objects != 0 {
		t.Errorf("%+v", st)
	}
}
