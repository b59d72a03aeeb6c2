// Package geoiptest writes databases of addresses, with the fields of GeoLite2, for tests. It may be imported by tests alone.
package geoiptest

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// Record is what a database knows of a range of addresses.
type Record struct {
	Country string // ISO 3166 code; "": none
	Home    string // registered country; "": none
	System  uint32 // number of the autonomous system; 0: none
}

// Bytes returns a database of a type with records by range: "192.0.2.0/24". With IPv4 alone it cannot hold ranges of IPv6.
func Bytes(t testing.TB, kind string, ipv4 bool, records map[string]Record) []byte {
	t.Helper()
	version := 6
	if ipv4 {
		version = 4
	}
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: kind, RecordSize: 24, IPVersion: version, IncludeReservedNetworks: true, DisableIPv4Aliasing: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, r := range records {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		fields := mmdbtype.Map{}
		if r.Country != "" {
			fields["country"] = mmdbtype.Map{"iso_code": mmdbtype.String(r.Country), "geoname_id": mmdbtype.Uint32(1)}
		}
		if r.Home != "" {
			fields["registered_country"] = mmdbtype.Map{"iso_code": mmdbtype.String(r.Home)}
		}
		if r.System != 0 {
			fields["autonomous_system_number"] = mmdbtype.Uint32(r.System)
			fields["autonomous_system_organization"] = mmdbtype.String("An organization")
		}
		if err := tree.Insert(network, fields); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Write writes a database to a file, in place of what was there.
func Write(t testing.TB, path, kind string, records map[string]Record) {
	t.Helper()
	fresh := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	if err := os.WriteFile(fresh, Bytes(t, kind, false, records), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, path); err != nil {
		t.Fatal(err)
	}
}
