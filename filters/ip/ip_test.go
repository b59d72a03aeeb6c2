package ip

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// newFilter builds the policy from its configuration as a user writes it.
func newFilter(t testing.TB, text string) (*filter.Filter, error) {
	t.Helper()
	return Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text))
}

func TestRequest(t *testing.T) {
	for name, test := range map[string]struct {
		config string
		client string
		want   filter.Verdict
	}{
		"short form":            {"[10.0.0.0/8]", "10.1.2.3", filter.Verdict{Action: filter.Passes, Note: "10.1.2.3 is in allow 10.0.0.0/8"}},
		"single value":          {"10.1.2.3", "10.1.2.3", filter.Verdict{Action: filter.Passes, Note: "10.1.2.3 is in allow 10.1.2.3/32"}},
		"next address":          {"10.1.2.3", "10.1.2.4", filter.Verdict{Action: filter.Rejects, Note: "10.1.2.4 is in no range, and there is an allow list"}},
		"longest is deny":       {"{allow: [10.0.0.0/8], deny: [10.1.0.0/16]}", "10.1.2.3", filter.Verdict{Action: filter.Rejects, Note: "10.1.2.3 is in deny 10.1.0.0/16"}},
		"longest is allow":      {"{allow: [10.1.2.0/24], deny: [10.1.0.0/16]}", "10.1.2.3", filter.Verdict{Action: filter.Passes, Note: "10.1.2.3 is in allow 10.1.2.0/24"}},
		"hole in a hole":        {"{allow: [10.0.0.0/8, 10.1.2.0/24], deny: [10.1.0.0/16, 10.1.2.3]}", "10.1.2.3", filter.Verdict{Action: filter.Rejects, Note: "10.1.2.3 is in deny 10.1.2.3/32"}},
		"equal length":          {"{allow: [10.0.0.0/8], deny: [10.0.0.0/8]}", "10.1.2.3", filter.Verdict{Action: filter.Rejects, Note: "10.1.2.3 is in deny 10.0.0.0/8"}},
		"deny alone":            {"{deny: [10.0.0.0/8]}", "192.0.2.1", filter.Verdict{Action: filter.Passes, Note: "192.0.2.1 is in no range, and there is no allow list"}},
		"everything denied":     {`{deny: [0.0.0.0/0, "::/0"], allow: [192.0.2.0/24]}`, "2001:db8::1", filter.Verdict{Action: filter.Rejects, Note: "2001:db8::1 is in deny ::/0"}},
		"IPv6":                  {"[2001:db8::/32]", "2001:db8:1::1", filter.Verdict{Action: filter.Passes, Note: "2001:db8:1::1 is in allow 2001:db8::/32"}},
		"other family":          {"[0.0.0.0/0]", "2001:db8::1", filter.Verdict{Action: filter.Rejects, Note: "2001:db8::1 is in no range, and there is an allow list"}},
		"IPv4 in IPv6":          {"{deny: [10.0.0.0/8]}", "::ffff:10.1.2.3", filter.Verdict{Action: filter.Rejects, Note: "10.1.2.3 is in deny 10.0.0.0/8"}},
		"IPv4 range in IPv6":    {`{deny: ["::ffff:10.0.0.0/104"]}`, "10.1.2.3", filter.Verdict{Action: filter.Rejects, Note: "10.1.2.3 is in deny 10.0.0.0/8"}},
		"zone":                  {`{deny: ["fe80::/10"]}`, "fe80::1%eth0", filter.Verdict{Action: filter.Rejects, Note: "fe80::1 is in deny fe80::/10"}},
		"no address, allowed":   {"[10.0.0.0/8]", "", filter.Verdict{Action: filter.Rejects, Note: "the client has no address, and there is an allow list"}},
		"no address, denied":    {"{deny: [10.0.0.0/8]}", "", filter.Verdict{Action: filter.Passes, Note: "the client has no address, and there is no allow list"}},
		"no address, any range": {`{deny: [0.0.0.0/0, "::/0"]}`, "", filter.Verdict{Action: filter.Passes, Note: "the client has no address, and there is no allow list"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := newFilter(t, test.config)
			if err != nil {
				t.Fatal(err)
			}
			ex := &filter.Exchange{}
			if test.client != "" {
				ex.Client = netip.MustParseAddr(test.client)
			}
			if diff := cmp.Diff(test.want, f.Explain(ex)); diff != "" {
				t.Errorf("explain (-want +got):\n%s", diff)
			}
			got := f.Request(ex)
			if test.want.Action == filter.Passes {
				if got != nil {
					t.Errorf("refused: %v", got)
				}
				return
			}
			var e *filter.Error
			if !errors.As(got, &e) || e.Code != filter.AddressDenied || e.HTTPStatus() != 403 || e.Detail != "" {
				t.Fatalf("got %v, want address_denied", got)
			}
			if e.Cause.Error() != test.want.Note {
				t.Errorf("cause %q, want %q", e.Cause, test.want.Note)
			}
		})
	}
}

func TestRefusedConfig(t *testing.T) {
	for _, text := range []string{"{}", "{allow: []}", "[]", "[10.0.0.0/33]", "[host.example.com]", "{alow: [10.0.0.0/8]}"} {
		if _, err := newFilter(t, text); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

// many returns a policy with tens of thousands of ranges, and addresses to look up.
func many(t testing.TB) (*filter.Filter, []netip.Addr) {
	random := rand.New(rand.NewPCG(1, 2))
	c := &Config{}
	addrs := make([]netip.Addr, 256)
	next := func() netip.Addr {
		v := random.Uint32()
		return netip.AddrFrom4([4]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)})
	}
	for i := range 50_000 {
		p := config.Prefix{Prefix: netip.PrefixFrom(next(), 8+random.IntN(25)).Masked()}
		if i%2 == 0 {
			c.Deny = append(c.Deny, p)
		} else {
			c.Allow = append(c.Allow, p)
		}
	}
	for i := range addrs {
		addrs[i] = next()
	}
	f, err := build(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range addrs { // against a plain search
		allowed, longest := false, -1
		for _, p := range c.Allow {
			if p.Contains(addr) && p.Bits() > longest {
				allowed, longest = true, p.Bits()
			}
		}
		for _, p := range c.Deny {
			if p.Contains(addr) && p.Bits() >= longest {
				allowed, longest = false, p.Bits()
			}
		}
		if got := f.Request(&filter.Exchange{Client: addr}) == nil; got != allowed {
			t.Fatalf("%s: allowed %v, want %v", addr, got, allowed)
		}
	}
	return f, addrs
}

func TestManyRanges(t *testing.T) {
	f, addrs := many(t)
	for _, addr := range addrs {
		ex := &filter.Exchange{Client: addr}
		if f.Request(ex) != nil {
			continue
		}
		if n := testing.AllocsPerRun(100, func() { _ = f.Request(ex) }); n != 0 {
			t.Fatalf("%v allocations for %s", n, addr)
		}
		return
	}
	t.Fatal("no address passes")
}

func BenchmarkRequest(b *testing.B) {
	f, addrs := many(b)
	var passing []netip.Addr
	for _, addr := range addrs {
		if f.Request(&filter.Exchange{Client: addr}) == nil {
			passing = append(passing, addr)
		}
	}
	ex := &filter.Exchange{}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ex.Client = passing[i%len(passing)]
		if err := f.Request(ex); err != nil {
			b.Fatal(err)
		}
	}
}
