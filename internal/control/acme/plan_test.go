package acme

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/config"
)

func parsed(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("cardea.yaml", []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

const routes = `
routes:
  - {match: "GET api.example.com/x", respond: x}
  - {match: [{host: [api.example.com, "*.w.example.com", localhost, 10.0.0.1, "[::1]", box, printer.local, x.test]}], respond: x}
  - match: /y
    routes: [{match: inner.example.com/**, respond: y}]
`

func TestNames(t *testing.T) {
	dir := t.TempDir()
	hook := filepath.Join(dir, "hook.sh")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		`acme`:                            {"api.example.com", "inner.example.com"},
		`{acme: {dns: ./hook.sh}}`:        {"*.w.example.com", "api.example.com", "inner.example.com"},
		`{acme: [b.example, a.example]}`:  {"b.example", "a.example"},
		`{acme: {storage: s, email: ""}}`: {"api.example.com", "inner.example.com"},
	} {
		all, err := gather(parsed(t, "listen: {address: ':443', tls: "+text+"}\n"+routes), dir)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, w := range all {
			got = append(got, w.name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", text, diff)
		}
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty.pem": "nothing", "data": "no program"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		`{address: ":443", tls: {acme: {ca_root: none.pem}}}`:                                                   `listen[0].tls.acme.ca_root: cannot read the certificates`,
		`{address: ":443", tls: {acme: {ca_root: empty.pem}}}`:                                                  `empty.pem has no certificate`,
		`{address: ":443", tls: {acme: {dns: no-such-program-anywhere}}}`:                                       `dns.exec: cannot run no-such-program-anywhere: executable file not found`,
		`{address: ":443", tls: {acme: {dns: ./data}}}`:                                                         `cannot run ./data: permission denied`,
		`{address: ":443", tls: {acme: {storage: data}}}`:                                                       `is not a folder`,
		`{address: ":443", tls: {acme: {eab: {key_id: k, hmac_key: "a secret"}}}}`:                              `eab.hmac_key: the key is not in base64url`,
		`{address: ":443", tls: {acme: {challenges: http-01}}}`:                                                 `a listener without TLS, and there is none`,
		`[{address: ":443", tls: {acme: [a.b]}}, {address: ":444", tls: {acme: {domains: a.b, email: x@a.b}}}]`: `listen[1].tls.acme: another listener gets the certificate for "a.b" in another way`,
	} {
		cfg := parsed(t, "listen: "+text+routes)
		err := cfg.Self.Field("listen").Locate(Check(cfg, dir)).Err()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want …%s…", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "a secret") {
			t.Error("the key is in the error")
		}
	}
	cfg := parsed(t, "listen: {address: ':443', tls: acme}\nroutes: [{match: localhost/x, respond: x}]")
	if err := Check(cfg, dir); err == nil || !strings.Contains(err.Error(), "not said for which names") {
		t.Errorf("got %v", err)
	}
	t.Setenv("HOME", "")
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("STATE_DIRECTORY", "")
	if err := Check(parsed(t, "listen: {address: ':443', tls: acme}"+routes), dir); err == nil || !strings.Contains(err.Error(), "name one in `storage`") {
		t.Errorf("got %v", err)
	}
	for name, env := range map[string][2]string{"/var/lib/cardea/acme": {"STATE_DIRECTORY", "/var/lib/cardea:/var/lib/other"}, "/data/cardea/acme": {"XDG_DATA_HOME", "/data"}, "/me/.local/share/cardea/acme": {"HOME", "/me"}} {
		t.Run(env[0], func(t *testing.T) {
			t.Setenv(env[0], env[1])
			if got, err := storageOf(&config.ACME{}, dir); got != name || err != nil {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}
