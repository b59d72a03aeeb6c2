package jwt

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkRemembered is the cost of a token that was verified before.
func BenchmarkRemembered(b *testing.B) {
	p := newPolicy(b, with(b, ", audience: orders, scopes: [read]"))
	ex := p.exchange("Authorization", "Bearer "+keys()["RS256"].sign(b, claims(nil), nil))
	if err := p.Request(ex); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		ex.Identity = nil
		if err := p.Request(ex); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFresh is the cost of a token that was never seen.
func BenchmarkFresh(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			p := newPolicy(b, with(b, ", audience: orders, scopes: [read], cache_entries: 0"))
			ex := p.exchange("Authorization", "Bearer "+keys()[alg].sign(b, claims(nil), nil))
			b.ReportAllocs()
			for b.Loop() {
				ex.Identity = nil
				if err := p.Request(ex); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkForged is the cost of a token whose signature is wrong.
func BenchmarkForged(b *testing.B) {
	p := newPolicy(b, with(b, ""))
	raw := keys()["ES256"].sign(b, claims(nil), nil)
	dot := strings.LastIndexByte(raw, '.')
	ex := p.exchange("Authorization", "Bearer "+raw[:dot+1]+strings.Repeat("A", 86))
	b.ReportAllocs()
	for b.Loop() {
		ex.Identity = nil
		if p.Request(ex) == nil {
			b.Fatal("it is accepted")
		}
	}
}

func TestRememberedTokensAllocateNothing(t *testing.T) {
	p := newPolicy(t, with(t, ", audience: orders, scopes: [read]"))
	ex := p.exchange("Authorization", "Bearer "+keys()["RS256"].sign(t, claims(nil), nil))
	if n := testing.AllocsPerRun(1000, func() {
		ex.Identity = nil
		if err := p.Request(ex); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkProof is the cost of a DPoP proof, for a token that was verified before.
func BenchmarkProof(b *testing.B) {
	p := newPolicy(b, with(b, ", dpop: required"))
	own := keys()["ES256"]
	raw, c := bound(b, own, nil)
	proofs := make([]string, 512)
	for i := range proofs {
		proofs[i] = prove(b, own, c, map[string]any{"jti": fmt.Sprint(i)}, nil)
	}
	ex := p.exchange("Authorization", "DPoP "+raw)
	ex.Dry = true // so that a proof may be shown again
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ex.Identity = nil
		ex.Request.Header["Dpop"] = proofs[i%len(proofs) : i%len(proofs)+1]
		if err := p.Request(ex); err != nil {
			b.Fatal(err)
		}
	}
}
