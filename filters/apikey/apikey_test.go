package apikey

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/consumers"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "api_key", 4) }

const (
	acmeKey = "acme-key-0123456789"
	oldKey  = "acme-old-0123456789"
	hashed  = "globex-key-0123456789"
)

// newPolicy builds the policy for a few consumers.
func newPolicy(t testing.TB, text string) *filter.Filter {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	env.Consumers = filtertest.Consumers(t, fmt.Sprintf(`
acme:
  groups: [partners]
  keys: [%s, {key: %s, expires: 2020-01-01, label: old}]
globex: {keys: ["sha256:%x"]}`, acmeKey, oldKey, sha256.Sum256([]byte(hashed))))
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// ask makes a request with these fields, and prepares its exchange.
func ask(target string, fields ...string) *filter.Exchange {
	r := httptest.NewRequest("GET", target, nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	ex := &filter.Exchange{Request: r}
	ex.Prepare(1)
	return ex
}

func TestKeys(t *testing.T) {
	const in = "{in: [header.x-api-key, query.key, cookie.k, header.authorization], scheme: ApiKey}"
	for name, test := range map[string]struct {
		config string
		ex     *filter.Exchange
		want   string // the consumer, or the code
		left   string // of the request: target and fields
	}{
		"header":           {"{}", ask("/", "X-API-Key: "+acmeKey), "acme", "/"},
		"hash":             {"{}", ask("/", "X-API-Key: "+hashed), "globex", "/"},
		"none":             {"{}", ask("/"), "credentials_missing", "/"},
		"empty":            {"{}", ask("/", "X-API-Key: "), "credentials_missing", "/ X-Api-Key"},
		"unknown":          {"{}", ask("/", "X-API-Key: nobody-has-this-key"), "api_key_invalid", "/"},
		"the hash itself":  {"{}", ask("/", fmt.Sprintf("X-API-Key: sha256:%x", sha256.Sum256([]byte(hashed)))), "api_key_invalid", "/"},
		"expired":          {"{}", ask("/", "X-API-Key: "+oldKey), "api_key_invalid", "/"},
		"prefix":           {"{}", ask("/", "X-API-Key: "+acmeKey[:18]), "api_key_invalid", "/"},
		"other case":       {"{}", ask("/", "X-API-Key: "+strings.ToUpper(acmeKey)), "api_key_invalid", "/"},
		"two":              {"{}", ask("/", "X-API-Key: "+acmeKey, "X-API-Key: "+hashed), "api_key_invalid", "/ X-Api-Key"},
		"megabytes":        {"{}", ask("/", "X-API-Key: "+strings.Repeat("k", 1<<20)), "api_key_invalid", "/"},
		"forwarded":        {"{forward: true}", ask("/", "X-API-Key: "+acmeKey), "acme", "/ X-Api-Key"},
		"query":            {in, ask("/x?a=1&key=" + acmeKey + "&b=2"), "acme", "/x?a=1&b=2"},
		"query, escaped":   {in, ask("/x?%6bey=" + strings.ReplaceAll(acmeKey, "-", "%2D")), "acme", "/x"},
		"query, twice":     {in, ask("/x?key=" + acmeKey + "&key=" + hashed), "api_key_invalid", "/x?key=" + acmeKey + "&key=" + hashed},
		"cookie":           {in, ask("/", "Cookie: a=1; k="+acmeKey+"; b=2"), "acme", "/ Cookie"},
		"only cookie":      {in, ask("/", "Cookie: k="+acmeKey), "acme", "/"},
		"scheme":           {in, ask("/", "Authorization: apikey "+acmeKey), "acme", "/"},
		"other scheme":     {in, ask("/", "Authorization: Bearer "+acmeKey), "credentials_missing", "/ Authorization"},
		"several places":   {in, ask("/?key="+hashed, "X-API-Key: "+acmeKey), "acme", "/"},
		"first place only": {in, ask("/?key="+acmeKey, "X-API-Key: nobody-has-this-key"), "api_key_invalid", "/"},
	} {
		t.Run(name, func(t *testing.T) {
			err := newPolicy(t, test.config).Request(test.ex)
			got := ""
			if err != nil {
				got = string(filter.AsError(err).Code)
				if filter.AsError(err).Header.Get("Www-Authenticate") == "" {
					t.Error("there is no challenge")
				}
			} else {
				got = test.ex.Identity.Consumer
			}
			left := test.ex.Request.URL.String()
			for name := range test.ex.Request.Header {
				left += " " + name
			}
			if got != test.want || left != test.left {
				t.Errorf("got %s with %q left, want %s with %q", got, left, test.want, test.left)
			}
			for _, secret := range []string{acmeKey, oldKey, hashed} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows a key: %v", err)
				}
			}
		})
	}
}

func TestWhatACookieLeaves(t *testing.T) {
	ex := ask("/", "Cookie: a=1; k="+acmeKey+"; b=2")
	if err := newPolicy(t, "cookie.k").Request(ex); err != nil || ex.Request.Header.Get("Cookie") != "a=1; b=2" {
		t.Errorf("%v, left %q", err, ex.Request.Header.Get("Cookie"))
	}
}

func TestExplain(t *testing.T) {
	for key, want := range map[string]filter.Verdict{
		acmeKey: {Action: filter.Passes, Note: "accepted: subject acme, consumer acme, groups partners"},
		oldKey:  {Action: filter.Rejects, Note: "api_key_invalid: key old of consumer acme expired at 2020-01-01T00:00:00Z"},
		"x":     {Action: filter.Rejects, Note: "api_key_invalid: no consumer has this key"},
	} {
		if got := newPolicy(t, "{}").Explain(ask("/", "X-API-Key: "+key)); got != want {
			t.Errorf("%s: %+v", key, got)
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	for _, text := range []string{"x-api-key", "header.", "body.key", "[header.x, 'query.a b']", "{inn: header.x}"} {
		if _, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
	var e *config.Error
	_, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, "{in: [header.a, body.b]}"))
	if !errors.As(err, &e) && !strings.Contains(fmt.Sprint(err), "1:17") {
		t.Errorf("the error has no place: %v", err)
	}
}

// million is a policy that knows a million consumers.
func million(tb testing.TB, n int) *filter.Filter {
	tb.Helper()
	settings := make(map[string]config.Consumer, n)
	for i := range n {
		settings[fmt.Sprintf("consumer-%d", i)] = config.Consumer{Keys: []config.ConsumerKey{{Key: config.Secret(fmt.Sprintf("key-of-consumer-%d", i))}}}
	}
	known, errs := consumers.New(settings, config.Node{})
	if err := errs.Err(); err != nil {
		tb.Fatal(err)
	}
	env := filtertest.NewEnv(tb, "r")
	env.Consumers = known
	f, err := Kind().Build(env, filtertest.Parse(tb, "{forward: true}"))
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func TestNoAllocation(t *testing.T) {
	f := million(t, 1000)
	ex := &filter.Exchange{Request: &http.Request{Header: http.Header{"X-Api-Key": {"key-of-consumer-500"}}}}
	ex.Prepare(1)
	if n := testing.AllocsPerRun(100, func() {
		ex.Identity = nil
		if err := f.Request(ex); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMillionConsumers(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := million(b, n)
			exs := make([]*filter.Exchange, 256)
			for i := range exs {
				exs[i] = &filter.Exchange{Request: &http.Request{Header: http.Header{"X-Api-Key": {fmt.Sprintf("key-of-consumer-%d", i*n/256)}}}}
				exs[i].Prepare(1)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ex := exs[i%256]
				ex.Identity = nil
				if err := f.Request(ex); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
