package geoip

import (
	"bytes"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"cardea.dev/cardea/internal/geoip/geoiptest"
)

var (
	countries = map[string]geoiptest.Record{
		"192.0.2.0/24": {Country: "DE", Home: "US"}, "198.51.100.0/24": {Home: "FR"}, "203.0.113.0/24": {}, "2001:db8::/32": {Country: "JP"},
	}
	systems = map[string]geoiptest.Record{"192.0.2.0/24": {System: 3320}, "198.51.100.0/24": {System: 4_200_000_000}}
)

func open(t testing.TB, path string) *Database {
	t.Helper()
	d, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestLookUps(t *testing.T) {
	dir := t.TempDir()
	geoiptest.Write(t, filepath.Join(dir, "c.mmdb"), "GeoLite2-Country", countries)
	geoiptest.Write(t, filepath.Join(dir, "a.mmdb"), "GeoLite2-ASN", systems)
	c, a := open(t, filepath.Join(dir, "c.mmdb")), open(t, filepath.Join(dir, "a.mmdb"))
	if !c.HasCountries() || c.HasSystems() || a.HasCountries() || !a.HasSystems() || a.Type() != "GeoLite2-ASN" {
		t.Error("it is not known what they hold")
	}
	for addr, want := range map[string]struct {
		country string
		system  uint32
	}{
		"192.0.2.1": {"DE", 3320}, "198.51.100.7": {"FR", 4_200_000_000}, "203.0.113.1": {}, "10.0.0.1": {}, "2001:db8:1::1": {"JP", 0}, "2001:db9::": {},
	} {
		code, err := c.Country(netip.MustParseAddr(addr))
		number, err2 := a.System(netip.MustParseAddr(addr))
		if code != want.country || number != want.system || err != nil || err2 != nil {
			t.Errorf("%s: %q, %d, %v, %v", addr, code, number, err, err2)
		}
	}
	if code, err := c.Country(netip.Addr{}); code != "" || err != nil {
		t.Errorf("no address: %q, %v", code, err)
	}
}

func TestIPv4Alone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.mmdb")
	if err := os.WriteFile(path, geoiptest.Bytes(t, "x", true, map[string]geoiptest.Record{"192.0.2.0/24": {Country: "DE"}}), 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t, path)
	for addr, want := range map[string]string{"192.0.2.1": "DE", "2001:db8::1": ""} {
		if code, err := d.Country(netip.MustParseAddr(addr)); code != want || err != nil {
			t.Errorf("%s: %q, %v", addr, code, err)
		}
	}
}

// oddTypes is a database whose fields have other types.
func oddTypes(t *testing.T, fields mmdbtype.Map) []byte {
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "odd", RecordSize: 24})
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.InsertRange([]byte{8, 0, 0, 0}, []byte{8, 0, 0, 255}, fields); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// circles is a database in whose tree both branches of each node lead to the next one, so that it seems to have 16 million leaves.
func circles(t *testing.T) []byte {
	data := geoiptest.Bytes(t, "x", true, map[string]geoiptest.Record{"192.0.2.0/24": {Country: "DE"}})
	for node := range 24 {
		data[6*node+2], data[6*node+5] = byte(node+1), byte(node+1)
		data[6*node+1], data[6*node+4] = 0, 0
	}
	return data
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	good := geoiptest.Bytes(t, "GeoLite2-Country", false, countries)
	damaged := bytes.ReplaceAll(good, []byte("\x42DE"), []byte("\xff\xff\xff"))
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":    {nil, "not in the MaxMind DB format"},
		"text":     {[]byte("192.0.2.0/24 DE\n"), "not in the MaxMind DB format"},
		"short":    {good[:len(good)/2], "not in the MaxMind DB format"},
		"tail":     {good[len(good)-80:], "not"},
		"damaged":  {damaged, "at 192.0.2.0/24"},
		"anything": {geoiptest.Bytes(t, "GeoIP2-Domain", false, map[string]geoiptest.Record{"192.0.2.0/24": {}}), `is a "GeoIP2-Domain", and holds neither`},
		"circles":  {circles(t), "goes in circles"},
		"flat":     {oddTypes(t, mmdbtype.Map{"country": mmdbtype.String("DE")}), "does not hold countries as GeoLite2 does"},
		"numbers":  {oddTypes(t, mmdbtype.Map{"autonomous_system_number": mmdbtype.String("AS1")}), "does not hold autonomous systems"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, test.data, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(path, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q in it", name, err, test.want)
		}
		if d != nil {
			_ = d.Close()
		}
	}
	for path, want := range map[string]string{dir: "is not a file", filepath.Join(dir, "nowhere"): "no such file"} {
		if _, err := Open(path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// buffer is a log that a database writes to while the test reads it.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Reset()
}

func TestFollowsItsFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.mmdb")
	synctest.Test(t, func(t *testing.T) {
		var log buffer
		geoiptest.Write(t, path, "GeoLite2-Country", countries)
		d, err := Open(path, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		// later passes the time until the file was looked at, and returns what is said of an address.
		later := func() string {
			time.Sleep(look + time.Second) // of the bubble's clock
			synctest.Wait()
			code, err := d.Country(netip.MustParseAddr("192.0.2.1"))
			if err != nil {
				t.Fatal(err)
			}
			return code
		}
		if got := later(); got != "DE" || log.String() != "" {
			t.Errorf("unchanged: %q, %s", got, &log)
		}
		geoiptest.Write(t, path, "GeoLite2-Country", map[string]geoiptest.Record{"192.0.2.0/24": {Country: "AT"}})
		if got := later(); got != "AT" || !strings.Contains(log.String(), "read again") {
			t.Errorf("changed: %q, %s", got, &log)
		}
		for name, spoil := range map[string]func(){
			"not in the MaxMind DB format": func() { _ = os.WriteFile(path, []byte("half of it"), 0o600) },
			"has become a GeoLite2-ASN":    func() { geoiptest.Write(t, path, "GeoLite2-ASN", systems) },
			"no such file":                 func() { _ = os.Remove(path) },
		} {
			log.Reset()
			spoil()
			if got := later(); got != "AT" || strings.Count(log.String(), name) != 1 {
				t.Errorf("%s: %q, %s", name, got, &log)
			}
			if later(); strings.Count(log.String(), "cannot be used") != 1 {
				t.Errorf("it is told again: %s", &log)
			}
			if err := d.Refresh(); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: a reload is told %v", name, err)
			}
		}
		geoiptest.Write(t, path, "GeoLite2-Country", countries)
		if got := later(); got != "DE" || d.Refresh() != nil {
			t.Errorf("mended: %q", got)
		}
	})
}

func TestLookUpsWhileTheFileChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.mmdb")
	geoiptest.Write(t, path, "GeoLite2-Country", countries)
	d := open(t, path)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				if code, err := d.Country(netip.MustParseAddr("192.0.2.1")); code != "DE" || err != nil {
					t.Errorf("%q, %v", code, err)
					return
				}
			}
		})
	}
	for range 20 {
		geoiptest.Write(t, path, "GeoLite2-Country", countries)
		if err := d.Refresh(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func FuzzParse(f *testing.F) {
	f.Add(geoiptest.Bytes(f, "GeoLite2-Country", false, countries))
	f.Add(geoiptest.Bytes(f, "GeoLite2-ASN", true, map[string]geoiptest.Record{"192.0.2.0/24": {System: 1}}))
	f.Fuzz(func(_ *testing.T, data []byte) {
		c, err := parse("x", data)
		if err != nil {
			return
		}
		d := &Database{path: "x", log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		d.current.Store(c)
		for _, addr := range []string{"192.0.2.1", "8.8.8.8", "2001:db8::1", "::1"} {
			_, _ = d.Country(netip.MustParseAddr(addr))
			_, _ = d.System(netip.MustParseAddr(addr))
		}
	})
}

func BenchmarkCountry(b *testing.B) {
	path := filepath.Join(b.TempDir(), "c.mmdb")
	geoiptest.Write(b, path, "GeoLite2-Country", countries)
	d, addr := open(b, path), netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Country(addr); err != nil {
			b.Fatal(err)
		}
	}
}
