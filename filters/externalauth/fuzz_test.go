package externalauth

import (
	"net/http"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"golang.org/x/net/http/httpguts"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"cardea.dev/cardea/filter"
)

// FuzzCheckResponse reads any bytes as an answer. What Envoy's own messages understand as a refusal must never be taken for an acceptance,
// and nothing must come of it that is no header.
func FuzzCheckResponse(f *testing.F) {
	claims, _ := structpb.NewStruct(map[string]any{"a": []any{1, "b", map[string]any{"c": nil}}})
	options := []*core.HeaderValueOption{{Header: &core.HeaderValue{Key: "x-user", Value: "ada"}, AppendAction: 2}, {Header: &core.HeaderValue{Key: "a", RawValue: []byte("b")}}}
	for _, r := range []*auth.CheckResponse{
		{},
		{Status: &status.Status{Code: 7, Message: "no"}},
		{DynamicMetadata: claims, HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{
			Headers: options, HeadersToRemove: []string{"b"}, ResponseHeadersToAdd: options,
			QueryParametersToSet: []*core.QueryParameter{{Key: "a", Value: "b"}}, QueryParametersToRemove: []string{"c"},
		}}},
		{Status: &status.Status{Code: 16}, HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: &auth.DeniedHttpResponse{
			Status: &types.HttpStatus{Code: 401}, Headers: options, Body: "no",
		}}},
	} {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	k := &check{whom: "grpc authz", maxBody: 1 << 10, unknown: &filter.Identity{Method: method}}
	f.Fuzz(func(t *testing.T, b []byte) {
		answer, err := decodeCheckResponse(b)
		if err != nil {
			return
		}
		v, err := k.verdict(answer)
		if err != nil {
			return
		}
		var theirs auth.CheckResponse
		if proto.Unmarshal(b, &theirs) == nil && theirs.GetStatus().GetCode() != 0 && v.denied == nil {
			t.Fatalf("a refusal is taken for an acceptance: %v", &theirs)
		}
		if d := v.denied; d != nil && (d.status < 300 || d.status > 599) {
			t.Fatalf("the status is %d", d.status)
		}
		h := http.Header{}
		for _, fields := range [][]field{v.set, v.client} {
			for i := range fields {
				fields[i].change(h)
			}
		}
		if v.denied != nil {
			h = v.denied.header
		}
		for name, values := range h {
			for _, value := range values {
				if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) || ofConnection(name) {
					t.Fatalf("got %q: %q", name, value)
				}
			}
		}
		if v.query != nil {
			v.query.apply("a=1&b=2&%zz")
		}
	})
}

func TestQueryEdit(t *testing.T) {
	e := queryEdit{set: []pair{{"u ser", "a&b=c"}}, remove: []string{"token"}}
	for raw, want := range map[string]string{
		"":                            "u+ser=a%26b%3Dc",
		"a=%20&&token=1&%74oken=2&b":  "a=%20&b&u+ser=a%26b%3Dc",
		"u+ser=eve&u%20ser=eve&%zz=1": "%zz=1&u+ser=a%26b%3Dc",
	} {
		if got := e.apply(raw); got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
}

func fixed() time.Time { return time.Unix(1_800_000_000, 0) }

// TestAnswersExpire looks at an answer just before, and just when, its time is over.
func TestAnswersExpire(t *testing.T) {
	now := fixed()
	c := &cache{half: 10, now: func() time.Time { return now }, young: map[key]entry{}}
	c.put(key{}, entry{&verdict{}, now.Add(time.Second)})
	if now = now.Add(time.Second - 1); c.get(key{}) == nil {
		t.Error("it is forgotten too early")
	}
	if now = now.Add(1); c.get(key{}) != nil || len(c.young) != 0 {
		t.Error("it is still remembered")
	}
}

// TestCacheIsBounded fills the memory of answers, and looks that what is used stays.
func TestCacheIsBounded(t *testing.T) {
	c := &cache{half: 10, ttl: 1 << 40, now: fixed, young: map[key]entry{}}
	used := key{1: 1}
	c.put(used, entry{&verdict{}, fixed().Add(c.ttl)})
	for i := range 1000 {
		c.put(key{byte(i), byte(i >> 8), 7}, entry{&verdict{}, fixed().Add(c.ttl)})
		if c.get(used) == nil || len(c.young)+len(c.old) > 20 {
			t.Fatalf("after %d: %d and %d", i, len(c.young), len(c.old))
		}
	}
}
