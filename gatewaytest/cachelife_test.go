package gatewaytest_test

import (
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// TestADirectoryIsForOneGateway alone; a second one does not start with it, nor reload to it, and says where it is written.
func TestADirectoryIsForOneGateway(t *testing.T) {
	dir := t.TempDir()
	text := "upstreams: {shop: 'http://127.0.0.1:1'}\ncaches: {pages: {disk: '" + dir + "'}}\nroutes: [{match: /a, to: shop, cache: {use: pages}}, {match: /b, to: shop, cache: {use: pages}}]"
	const want = "cardea.yaml:2:24: caches.pages.disk: cannot use the directory "
	first := gatewaytest.New(t, text)
	if _, err := gatewaytest.Start(t, text); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), "cannot use") != 1 {
		t.Errorf("a second gateway says %v", err)
	}
	second := gatewaytest.New(t, strings.Replace(text, dir, dir+"-2", 1))
	if err := second.SetConfig(text); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("a reload says %v", err)
	}
	if err := first.SetConfig("routes: [{match: /, respond: ok}]"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return second.SetConfig(text) == nil }) // once the first has let go of it
	for _, spelled := range []string{dir + "/", strings.Replace(dir, "/", "//", 1), dir + "/x/.."} {
		if err := second.SetConfig(strings.Replace(text, dir, spelled, 1)); err != nil {
			t.Errorf("spelled %s, it is its own: %v", spelled, err)
		}
	}
}
