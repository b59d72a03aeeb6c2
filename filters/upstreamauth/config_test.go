package upstreamauth

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// newFilter builds the policy from its configuration as a user writes it.
func newFilter(t testing.TB, text string) (*filter.Filter, *filter.Env, error) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(env.Dir, "empty.pem"), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	return f, env, err
}

func TestConfigErrors(t *testing.T) {
	const hidden = "hidden-secret"
	cc := func(more string) string {
		return "{client_credentials: {client_id: x, client_secret: " + hidden + ", " + more + "}}"
	}
	aws := func(more string) string {
		return "{aws: {region: r, service: s3, access_key: A, secret_key: " + hidden + ", " + more + "}}"
	}
	for text, want := range map[string]string{
		"{}": "nothing is named",
		"{basic: {username: a, password: b}, bearer: c}":                                  "there is `basic` already",
		"{basic: {username: a}}":                                                          `the key "password" is missing`,
		"{basic: {username: 'a:b', password: c}}":                                         "holds a colon",
		`{basic: {username: a, password: "` + hidden + `\n"}}`:                            "control character",
		`{bearer: "` + hidden + ` x"}`:                                                    "characters that no token has",
		`{header: {X-Key: "` + hidden + `\r\nX: y"}}`:                                     "control character",
		`{header: {X-Key: ""}}`:                                                           "is empty",
		`{header: {"a b": c}}`:                                                            "cannot be the name",
		`{header: {Host: c}}`:                                                             "no field for credentials",
		`{header: {authorization: c}, bearer: d}`:                                         "Authorization is set already",
		cc("scopes: []"):                                                                  "nothing says where tokens come from",
		cc("token_url: 'http://a', issuer: 'http://a'"):                                   "one of them is enough",
		cc("token_url: a.example"):                                                        "not a URL",
		cc("issuer: 'https://u:" + hidden + "@a.example'"):                                "must not hold a user",
		cc("token_url: 'http://a', scopes: ['a b']"):                                      "cannot be a scope",
		cc("token_url: 'http://a', auth_style: x"):                                        "not possible",
		cc("token_url: 'http://a', timeout: 0s"):                                          "timeout",
		cc("token_url: 'http://a', ca: nowhere.pem"):                                      "no such file",
		cc("token_url: 'http://a', ca: empty.pem"):                                        "there is no certificate in empty.pem",
		"{client_credentials: {client_id: x, token_url: 'http://a'}}":                     "cannot prove who it is",
		"{client_credentials: {token_url: 'http://a', client_secret: x}}":                 `the key "client_id" is missing`,
		"{token_exchange: {client_id: x, token_url: 'http://a', cache: 0}}":               "cache",
		"{token_exchange: {client_id: x, token_url: 'http://a', subject_token_type: ''}}": "the type is empty",
		aws("host: 'a/b'"):                                                                "is not a host",
		aws("payload: maybe"):                                                             "not possible",
		aws("payload: signed, max_body: 0"):                                               "no body could be signed",
		"{aws: {region: 'a/b', service: s3, access_key: A, secret_key: b}}":               "other characters than",
		"{aws: {region: a, service: s3, access_key: A}}":                                  `the key "secret_key" is missing`,
		aws("session_token: 'a b'"):                                                       "characters that no token has",
	} {
		_, _, err := newFilter(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: a secret is shown:\n%v", text, err)
		}
	}
}

func TestErrorsHaveTheirPlace(t *testing.T) {
	_, _, err := newFilter(t, "{client_credentials: {client_id: x, client_secret: y, token_url: 'http://a', ca: nowhere.pem}}")
	if err == nil || !strings.Contains(err.Error(), "client_credentials.ca: cannot use the certificates") {
		t.Errorf("got %v", err)
	}
}

func TestFixedCredentialsReplaceTheClients(t *testing.T) {
	for text, want := range map[string]http.Header{
		"{basic: {username: gateway, password: 'pass:word'}}": {"Authorization": {"Basic Z2F0ZXdheTpwYXNzOndvcmQ="}},
		"{bearer: abc}": {"Authorization": {"Bearer abc"}},
		"{header: {x-api-key: abc, x-other: d}, bearer: e}": {"Authorization": {"Bearer e"}, "X-Api-Key": {"abc"}, "X-Other": {"d"}},
		"{header: {Authorization: Key abc}}":                {"Authorization": {"Key abc"}},
	} {
		f, env, err := newFilter(t, text)
		if err != nil {
			t.Fatal(err)
		}
		ex := &filter.Exchange{Request: &http.Request{Header: http.Header{"Authorization": {"Bearer client", "x"}, "X-Api-Key": {"client"}}}}
		ex.Prepare(env.Slots())
		if err := f.Request(ex); err != nil {
			t.Fatal(err)
		}
		for name, values := range want {
			if got := ex.Request.Header[name]; fmt.Sprint(got) != fmt.Sprint(values) {
				t.Errorf("%s: %s is %q, want %q", text, name, got, values)
			}
		}
		v := f.Explain(ex)
		if v.Action != filter.Changes || strings.Contains(v.Note, "abc") || strings.Contains(v.Note, "pass") {
			t.Errorf("%s: explained as %+v", text, v)
		}
		if n := testing.AllocsPerRun(100, func() { _ = f.Request(ex) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func TestExplainSendsNothing(t *testing.T) {
	for text, want := range map[string]filter.Verdict{
		"{client_credentials: {client_id: gate, client_secret: y, token_url: 'http://127.0.0.1:1/t'}}": {
			Action: filter.Changes, Note: "Authorization is a token of the client gate; none is held, so that one would be asked for at 127.0.0.1:1",
		},
		"{token_exchange: {client_id: gate, client_secret: y, token_url: 'http://127.0.0.1:1/t'}}": {
			Action: filter.Rejects, Note: "there is no bearer token in Authorization to exchange",
		},
		"{aws: {region: eu-central-1, service: s3, access_key: A, secret_key: b}, header: {X-A: b}}": {
			Action: filter.Changes, Note: "the request is signed for s3 in eu-central-1, with the Host s3.eu-central-1.amazonaws.com, and X-A set",
		},
	} {
		f, _, err := newFilter(t, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Explain(&filter.Exchange{Dry: true, Request: &http.Request{Header: http.Header{}}}); got != want {
			t.Errorf("%s: got %+v", text, got)
		}
	}
}

// held is a policy that has a token already.
func held(t testing.TB) (*filter.Filter, *filter.Exchange) {
	s := newTokenServer(t)
	f, env, err := newFilter(t, "{client_credentials: {client_id: gate, client_secret: y, token_url: '"+s.URL+"'}}")
	if err != nil {
		t.Fatal(err)
	}
	ex := &filter.Exchange{Request: (&http.Request{Header: http.Header{}}).WithContext(t.Context()), Start: time.Now()}
	ex.Prepare(env.Slots())
	if err := f.Request(ex); err != nil {
		t.Fatal(err)
	}
	return f, ex
}

func TestAHeldTokenAllocatesNextToNothing(t *testing.T) {
	f, ex := held(t)
	if n := testing.AllocsPerRun(100, func() { _ = f.Request(ex) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	f, ex := held(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = f.Request(ex)
	}
}
