package cache

import (
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/stored"
)

func TestSelected(t *testing.T) {
	names := []string{"Accept-Language", "Cookie", "X-A"}
	of := func(h http.Header) *stored.Response {
		return &stored.Response{Key: string(AppendVariant([]byte("GET http://h/x\nroute=r"), names, h)), Vary: selecting(names, h)}
	}
	requests := []http.Header{
		{},
		{"Accept-Language": {"de"}},
		{"Accept-Language": {""}},
		{"X-A": {"1"}},
		{"X-A": {"1&Cookie=2"}},
		{"X-A": {"1\nvary=Cookie"}},
		{"Cookie": {"a=1"}},
		{"Cookie": {"a=2"}},
	}
	for i, a := range requests {
		for k, b := range requests {
			if got := Selected(of(a), b); got != (i == k) {
				t.Errorf("%v for %v: %t", of(a).Key, b, got)
			}
			if got := Suits(of(a), names, b); got != (i == k) {
				t.Errorf("%v suits %v: %t", of(a).Key, b, got)
			}
		}
	}
	if !Selected(&stored.Response{Key: "GET http://h/x\nroute=r"}, requests[1]) {
		t.Error("what differs by nothing is not selected")
	}
}

func TestSecretFields(t *testing.T) {
	for _, name := range strings.Fields("Authorization Proxy-Authorization Cookie X-Api-Key X-Auth-Token X-SESSION-ID X-Client-Secret Apikey X-Csrf-Token X-Goog-Iap-Jwt-Assertion X-Amzn-Oidc-Identity") {
		if !SecretField(name) {
			t.Errorf("%s is shown", name)
		}
	}
	for _, name := range strings.Fields("Accept Accept-Encoding Accept-Language User-Agent Origin X-Tenant K Tok") {
		if SecretField(name) {
			t.Errorf("%s is hidden", name)
		}
	}
	if n := testing.AllocsPerRun(100, func() { SecretField("Accept-Encoding") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
