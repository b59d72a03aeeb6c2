package ip

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/geoip/geoiptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// databases writes databases of countries and of autonomous systems into a folder.
func databases(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	geoiptest.Write(t, filepath.Join(dir, "country.mmdb"), "GeoLite2-Country", map[string]geoiptest.Record{
		"192.0.2.0/24": {Country: "DE"}, "198.51.100.0/24": {Country: "FR"}, "203.0.113.0/24": {Country: "NO"}, "2001:db8::/32": {Country: "JP"},
	})
	geoiptest.Write(t, filepath.Join(dir, "asn.mmdb"), "GeoLite2-ASN", map[string]geoiptest.Record{
		"192.0.2.0/25": {System: 3320}, "198.51.100.0/24": {System: 64500}, "100.64.0.0/10": {System: 64501},
	})
	return dir
}

func newPlaced(t testing.TB, dir, text string) (*filter.Filter, error) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	env.Dir = dir
	return Kind().Build(env, filtertest.Parse(t, text))
}

func TestPlaces(t *testing.T) {
	dir := databases(t)
	for name, test := range map[string]struct {
		config, client string
		passes         bool
		note           string
	}{
		"in the country":       {"countries: DE, database: country.mmdb", "192.0.2.1", true, "192.0.2.1 is in DE, which is in countries.allow"},
		"in lower case":        {"countries: [fr, de], database: country.mmdb", "192.0.2.1", true, "192.0.2.1 is in DE, which is in countries.allow"},
		"in another":           {"countries: [DE, FR], database: country.mmdb", "203.0.113.1", false, "203.0.113.1 is in NO, which no list names, and there is an allow list"},
		"in none":              {"countries: [DE], database: country.mmdb", "10.0.0.1", false, "10.0.0.1 is not in the databases, which no list names, and there is an allow list"},
		"denied":               {"countries: {deny: [FR, NO]}, database: country.mmdb", "203.0.113.1", false, "203.0.113.1 is in NO, which is in countries.deny"},
		"not denied":           {"countries: {deny: [NO]}, database: country.mmdb", "192.0.2.1", true, "192.0.2.1 is in DE, which no list names, and there is no allow list"},
		"none is denied":       {"countries: {deny: [NO]}, database: country.mmdb", "10.0.0.1", true, "10.0.0.1 is not in the databases, which no list names, and there is no allow list"},
		"unknown is denied":    {"countries: {deny: [NO]}, database: country.mmdb, unknown: deny", "10.0.0.1", false, "10.0.0.1 is not in the databases, which `unknown` refuses"},
		"unknown is allowed":   {"countries: [NO], database: country.mmdb, unknown: allow", "10.0.0.1", true, "10.0.0.1 is not in the databases, which `unknown` lets in"},
		"unknown is another":   {"countries: [NO], database: country.mmdb, unknown: allow", "192.0.2.1", false, "192.0.2.1 is in DE, which no list names, and there is an allow list"},
		"IPv6":                 {"countries: JP, database: country.mmdb", "2001:db8::7", true, "2001:db8::7 is in JP, which is in countries.allow"},
		"IPv4 in IPv6":         {"countries: DE, database: country.mmdb", "::ffff:192.0.2.1", true, "192.0.2.1 is in DE, which is in countries.allow"},
		"no address":           {"countries: {deny: [DE]}, database: country.mmdb", "", true, "the client has no address, and there is no allow list"},
		"no address is denied": {"countries: {deny: [DE]}, database: country.mmdb, unknown: deny", "", false, "the client is not in the databases, which `unknown` refuses"},
		"system":               {"asns: [AS3320], database: asn.mmdb", "192.0.2.1", true, "192.0.2.1 is of AS3320, which is in asns.allow"},
		"other system":         {"asns: [3320], database: asn.mmdb", "198.51.100.1", false, "198.51.100.1 is of AS64500, which no list names, and there is an allow list"},
		"system denied":        {"asns: {deny: [as64500]}, database: asn.mmdb", "198.51.100.1", false, "198.51.100.1 is of AS64500, which is in asns.deny"},
		"either lets in":       {"asns: 64500, countries: DE, database: [asn.mmdb, country.mmdb]", "198.51.100.1", true, "198.51.100.1 is in FR of AS64500, which is in asns.allow"},
		"either lets in, 2":    {"asns: 64500, countries: DE, database: [asn.mmdb, country.mmdb]", "192.0.2.200", true, "192.0.2.200 is in DE, which is in countries.allow"},
		"deny first":           {"asns: {deny: 3320}, countries: DE, database: [asn.mmdb, country.mmdb]", "192.0.2.1", false, "192.0.2.1 is in DE of AS3320, which is in asns.deny"},
		"one is known":         {"asns: 1, countries: {deny: [DE]}, database: [asn.mmdb, country.mmdb], unknown: deny, default: allow", "100.64.0.1", true, "100.64.0.1 is of AS64501, which no list names, and `default` lets in the rest"},
		"range before country": {"countries: {deny: FR}, database: country.mmdb, allow: [198.51.100.7], default: allow", "198.51.100.7", true, "198.51.100.7 is in allow 198.51.100.7/32"},
		"beside that range":    {"countries: {deny: FR}, database: country.mmdb, allow: [198.51.100.7], default: allow", "198.51.100.8", false, "198.51.100.8 is in FR, which is in countries.deny"},
		"elsewhere":            {"countries: {deny: FR}, database: country.mmdb, allow: [198.51.100.7], default: allow", "192.0.2.1", true, "192.0.2.1 is in DE, which no list names, and `default` lets in the rest"},
		"denied range":         {"countries: DE, database: country.mmdb, deny: [192.0.2.0/28]", "192.0.2.1", false, "192.0.2.1 is in deny 192.0.2.0/28"},
		"default denies":       {"countries: {deny: FR}, database: country.mmdb, default: deny", "192.0.2.1", false, "192.0.2.1 is in DE, which no list names, and `default` refuses the rest"},
		"default without any":  {"deny: [10.0.0.0/8], default: deny", "192.0.2.1", false, "192.0.2.1 is in no range, and `default` refuses the rest"},
		"default as it would":  {"allow: [10.0.0.0/8], default: deny", "192.0.2.1", false, "192.0.2.1 is in no range, and there is an allow list"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := newPlaced(t, dir, "{"+test.config+"}")
			if err != nil {
				t.Fatal(err)
			}
			ex := &filter.Exchange{}
			if test.client != "" {
				ex.Client = netip.MustParseAddr(test.client)
			}
			want := filter.Verdict{Action: filter.Rejects, Note: test.note}
			if test.passes {
				want.Action = filter.Passes
			}
			if diff := cmp.Diff(want, f.Explain(ex)); diff != "" {
				t.Errorf("explain (-want +got):\n%s", diff)
			}
			if err := f.Request(ex); (err == nil) != test.passes {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRefusedPlaces(t *testing.T) {
	dir := databases(t)
	for text, want := range map[string]string{
		"{countries: [DE]}":                                              "need a `database`",
		"{allow: [10.0.0.0/8], database: country.mmdb}":                  "nothing is looked up in it",
		"{allow: [10.0.0.0/8], unknown: deny}":                           "nothing is looked up",
		"{countries: [DE], database: nowhere.mmdb}":                      "no such file",
		"{countries: [DE], database: asn.mmdb}":                          "no database holds countries: asn.mmdb is a GeoLite2-ASN",
		"{asns: [1], database: [country.mmdb]}":                          "no database holds autonomous systems: country.mmdb is a GeoLite2-Country",
		"{countries: [UK], database: country.mmdb}":                      "the code of the United Kingdom is GB",
		"{countries: [Germany], database: country.mmdb}":                 `"Germany" is not the code of a country`,
		"{countries: {deny: [QQ]}, database: country.mmdb}":              `"QQ" is not the code`,
		"{countries: {allow: [DE], deny: [de]}, database: country.mmdb}": "DE is in `allow`, too",
		"{asns: {allow: [1], deny: [AS1]}, database: asn.mmdb}":          "1 is in `allow`, too",
		"{asns: [AS0], database: asn.mmdb}":                              "not the number",
		"{asns: [Telekom], database: asn.mmdb}":                          "not the number",
		"{asns: [4294967296], database: asn.mmdb}":                       "not the number",
		"{countries: [DE], database: country.mmdb, unknown: maybe}":      "not possible",
	} {
		if _, err := newPlaced(t, dir, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

func TestPlacesDoNotAllocate(t *testing.T) {
	f, ex := placed(t)
	if n := testing.AllocsPerRun(100, func() { _ = f.Request(ex) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// placed is a policy with both databases, and a request that passes.
func placed(t testing.TB) (*filter.Filter, *filter.Exchange) {
	f, err := newPlaced(t, databases(t), "{countries: [DE, FR], asns: {deny: [64500]}, database: [country.mmdb, asn.mmdb], allow: [10.0.0.0/8]}")
	if err != nil {
		t.Fatal(err)
	}
	return f, &filter.Exchange{Client: netip.MustParseAddr("192.0.2.1")}
}

func BenchmarkPlaces(b *testing.B) {
	f, ex := placed(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Request(ex); err != nil {
			b.Fatal(err)
		}
	}
}
