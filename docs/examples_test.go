package docs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/engine/listen"
	"cardea.dev/cardea/internal/geoip/geoiptest"
	"cardea.dev/cardea/internal/keep"
	"cardea.dev/cardea/observe"
)

// TestExamplesAreRight compiles each YAML block of the manual. Whole configurations must compile without a warning. Fragments, which
// a comment marks, are put into a whole one: <!-- fragment: root -->, route, routes or upstream. Those marked <!-- wrong --> must be
// refused, and those marked <!-- warned --> have warnings. <!-- file: name --> marks a file that others name.
func TestExamplesAreRight(t *testing.T) {
	dir := folder(t)
	for _, d := range manual(t) {
		for _, b := range d.blocks {
			if b.language != "yaml" || strings.HasPrefix(b.mark, "file: ") {
				continue
			}
			where := fmt.Sprintf("%s:%d", d.path, b.line)
			text, err := whole(b)
			if err != nil {
				t.Errorf("%s: %v", where, err)
				continue
			}
			warnings, err := check(inside(dir, text), dir)
			switch {
			case b.mark == "wrong" && err == nil:
				t.Errorf("%s: the example is meant to be wrong, and is right", where)
			case b.mark != "wrong" && err != nil:
				t.Errorf("%s: the example is wrong:\n%v\n\n%s", where, err, text)
			case b.mark == "" && len(warnings) > 0:
				t.Errorf("%s: the example has warnings:\n%v", where, warnings)
			case b.mark == "warned" && len(warnings) == 0:
				t.Errorf("%s: the example is meant to have a warning, and has none", where)
			}
		}
	}
}

// whole makes a whole configuration of a block.
func whole(b block) (string, error) {
	const (
		upstreams = "upstreams: {orders: 'http://orders:8080', orders-next: 'http://orders-next:8080', users: 'http://users:8080'}\n"
		routes    = "routes: [{match: /**, respond: ok}]\n"
	)
	has := func(keys string) bool { return regexp.MustCompile(`(?m)^(` + keys + `):`).MatchString(b.text) }
	indented := func(by string) string { return by + strings.ReplaceAll(b.text, "\n", "\n"+by) + "\n" }
	switch b.mark {
	case "", "wrong", "warned":
		if !has("routes") {
			return "", fmt.Errorf("the block has no routes; mark it as a fragment")
		}
		return b.text, nil
	case "fragment: root":
		text := b.text + "\n"
		if !has("upstreams") {
			text += upstreams
		}
		if !has("routes") {
			text += routes
		}
		return text, nil
	case "fragment: routes":
		return upstreams + "routes:\n" + indented("  "), nil
	case "fragment: route":
		text := upstreams + "routes:\n  -\n" + indented("    ")
		if !has("match") {
			text += "    match: /**\n"
		}
		if !has("to|aggregate|respond|redirect|static") {
			text += "    to: orders\n"
		}
		return text, nil
	case "fragment: upstream":
		return "upstreams:\n  orders:\n" + indented("    ") + "routes: [{match: /**, to: orders}]\n", nil
	}
	return "", fmt.Errorf("the mark %q is not known", b.mark)
}

// check does what `cardea check` does.
func check(text, dir string) (config.Errors, error) {
	cfg, err := config.Parse("cardea.yaml", []byte(text), options(dir))
	if err != nil {
		return nil, err
	}
	s, warnings, err := compile.Build(cfg, compile.Options{
		Kinds: compile.Builtin(), Keeper: keep.New(), Metrics: observe.NewMetrics(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Version: "test", Dir: dir, Offline: true,
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Discard() }()
	return warnings, listen.Check(cfg.Listen, dir)
}

// options let examples find the environment and the secrets that they name.
func options(dir string) config.Options {
	return config.Options{
		Dir: dir,
		Env: func(string) (string, bool) { return "", false },
	}
}

// inside moves the folders of a real machine that examples name into the test's own.
func inside(dir, text string) string {
	for _, path := range []string{"/var/log/cardea", "/var/lib/cardea", "/run/secrets", "/run/cardea"} {
		text = strings.ReplaceAll(text, path, dir+path)
	}
	return text
}

// folder makes a folder with all the files that examples name.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	certificate, key := certificate(t)
	files := map[string]string{
		"public/index.html":       "<h1>It works.</h1>\n",
		"public/hello.txt":        "Hello from a file.\n",
		"internal.pem":            key,
		"orders.cedar":            "permit(principal, action, resource);\n",
		"entities.json":           "[]\n",
		"order.schema.json":       `{"type": "object"}`,
		"petstore.yaml":           "{openapi: 3.0.3, paths: {/pets: {get: {operationId: listPets}}, '/pets/{petId}': {get: {operationId: getPet}}}}\n",
		"robots.txt":              "User-agent: *\n",
		"clients-ca.pem":          certificate,
		"keys/partner.pem":        certificate,
		"users.htpasswd":          "bob:$2y$05$WWEDI/Abpd4SaOLyLcgMHe10PO8GtCE19CBwaCmAs9tgMHaQBjZyO\n",
		"secrets/admin-token":     "0123456789abcdef0123\n",
		"run/secrets/admin-token": "0123456789abcdef0123\n",
		"run/secrets/oidc-client": "the-secret-of-the-client\n",
		"consumers.jsonl":         `{"name": "globex", "keys": [{"key": "an-api-key-of-globex-0123456789"}]}`,
		"run/secrets/acme-key":    "an-api-key-of-acme-0123456789\n",
		"certs/api.pem":           certificate + key,
		"certs/ca.pem":            certificate,
		"var/log/cardea/README":   "",
		"var/lib/cardea/README":   "",
		"run/cardea/README":       "",
	}
	for _, name := range []string{"redis", "oidc-cookie", "oidc-cookie-next", "sequences"} {
		files["run/secrets/"+name] = "0123456789abcdef0123456789abcdef\n"
	}
	for _, name := range []string{"example", "gateway"} {
		files["certs/"+name+".pem"], files["certs/"+name+".key"] = certificate, key
	}
	for _, name := range []string{"GeoLite2-Country", "GeoLite2-ASN"} {
		geoiptest.Write(t, filepath.Join(dir, name+".mmdb"), name, map[string]geoiptest.Record{
			"127.0.0.0/8": {Country: "DE", System: 64500}, "192.0.2.0/24": {Country: "FR", System: 64501},
		})
	}
	for _, d := range manual(t) {
		for _, b := range d.blocks {
			if name, is := strings.CutPrefix(b.mark, "file: "); is {
				files[name] = b.text + "\n"
			}
		}
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// certificate makes a certificate and its key, in PEM.
func certificate(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", bytes)
}
