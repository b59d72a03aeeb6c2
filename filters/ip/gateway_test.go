package ip_test

import (
	"path/filepath"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/geoip/geoiptest"
)

func TestANewDatabaseIsUsedAfterAReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "country.mmdb")
	loopback := func(country string) {
		geoiptest.Write(t, path, "GeoLite2-Country", map[string]geoiptest.Record{"127.0.0.0/8": {Country: country}})
	}
	loopback("DE")
	config := "ip: {countries: [DE], database: " + path + "}\nroutes: [{match: /**, respond: ok}]"
	g := gatewaytest.New(t, config)
	if resp, _ := g.Get("/"); resp.StatusCode != 200 {
		t.Fatalf("got %d", resp.StatusCode)
	}
	loopback("FR")
	if err := g.SetConfig(config); err != nil {
		t.Fatal(err)
	}
	if resp, body := g.Get("/"); resp.StatusCode != 403 || !strings.Contains(body, "address_denied") || strings.Contains(body, "FR") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	geoiptest.Write(t, path, "GeoIP2-Domain", map[string]geoiptest.Record{"127.0.0.0/8": {}})
	if err := g.SetConfig(config); err == nil || !strings.Contains(err.Error(), "ip.database[0]") || !strings.Contains(err.Error(), "holds neither countries") {
		t.Errorf("a file of another kind: %v", err)
	}
	if resp, _ := g.Get("/"); resp.StatusCode != 403 {
		t.Errorf("got %d from what ran before", resp.StatusCode)
	}
}
