package oauth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/internal/porttest"
)

const secret = "s3cr3t & more"

// serve starts a server, and returns a client of its token endpoint /token.
func serve(t testing.TB, change func(*Config), handler http.HandlerFunc) (*httptest.Server, *Client) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	c := Config{TokenURL: s.URL + "/token", ID: "gate:way", Secret: secret, Timeout: 5 * time.Second}
	if change != nil {
		change(&c)
	}
	client := New(c)
	t.Cleanup(client.Close)
	return s, client
}

func answer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

var grant = url.Values{"grant_type": {"client_credentials"}, "scope": {"a b"}}

func TestRequestForAToken(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		user   string
		form   string
	}{
		"basic":     {nil, "gate%3Away:s3cr3t+%26+more", "grant_type=client_credentials&scope=a+b"},
		"post":      {func(c *Config) { c.Post = true }, "", "client_id=gate%3Away&client_secret=s3cr3t+%26+more&grant_type=client_credentials&scope=a+b"},
		"no secret": {func(c *Config) { c.Secret = "" }, "", "client_id=gate%3Away&grant_type=client_credentials&scope=a+b"},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := serve(t, test.change, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				user, password, ok := r.BasicAuth()
				if got := user + ":" + password; ok != (test.user != "") || ok && got != test.user {
					t.Errorf("the user is %q", got)
				}
				if string(body) != test.form || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Method != "POST" {
					t.Errorf("got %s %q", r.Method, body)
				}
				answer(`{"access_token":"abc","token_type":"bearer","expires_in":3600}`)(w, r)
			})
			got, err := c.Fetch(t.Context(), grant)
			if want := (Token{"abc", time.Hour}); got != want || err != nil {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	for body, want := range map[string]string{
		`{"access_token":"a"}`:                                   "0s",
		`{"access_token":"a","expires_in":"60"}`:                 "1m0s",
		`{"access_token":"a","expires_in":1.5}`:                  "1.5s",
		`{"access_token":"a","expires_in":null}`:                 "0s",
		`{"access_token":"a","expires_in":1e300}`:                "720h0m0s",
		`{"access_token":"a","expires_in":0}`:                    "expired already",
		`{"access_token":"a","expires_in":-5}`:                   "expired already",
		`{"access_token":"a","expires_in":"NaN"}`:                "not a number",
		`{"access_token":"a","expires_in":{}}`:                   "not a number",
		`{"access_token":"a","token_type":"DPoP"}`:               "not Bearer",
		`{"access_token":"a b"}`:                                 "characters that no token has",
		`{"access_token":"a\r\nX: y"}`:                           "characters that no token has",
		`{"access_token":"` + strings.Repeat("a", 17<<10) + `"}`: "longer than",
		`{"access_token":7}`:                                     "not a JSON object",
		`{"token":"a"}`:                                          "no access_token",
		`{"error":"x"}`:                                          "no access_token",
		`access_token=a&token_type=bearer`:                       "not a JSON object",
		`<!doctype html>`:                                        "not a JSON object",
		``:                                                       "not a JSON object",
		strings.Repeat("[", 1000):                                "not a JSON object",
		`{"access_token":"a","x":"` + strings.Repeat("x", 2*maxAnswer) + `"}`: "larger than",
	} {
		_, c := serve(t, nil, answer(body))
		got, err := c.Fetch(t.Context(), grant)
		if err == nil && got.Lifetime.String() != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, %v, want %q", body, got.Lifetime, err, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		status     int
		body, want string
	}{
		{401, `{"error":"invalid_client","error_description":"who are you"}`, "it answers with status 401 invalid_client: who are you"},
		{400, `{"error":"invalid_scope"}`, "it answers with status 400 invalid_scope"},
		{503, `<html>` + secret, "it answers with status 503"},
		{400, `{"error":"x","error_description":"not ` + secret + `"}`, "it answers with status 400 x: (a text with a secret in it)"},
		{400, `{"error":"` + url.QueryEscape(secret) + `"}`, "it answers with status 400 (a text with a secret in it)"},
		{400, `{"error":"x\u001b[31m","error_description":"` + strings.Repeat("y", 1000) + `"}`, "it answers with status 400 x[31m: " + strings.Repeat("y", 200) + "…"},
		{204, ``, "it answers with status 204"},
		{302, ``, "redirects are not followed"},
	} {
		hops := 0
		s, c := serve(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			hops++
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, test.body)
		})
		_, err := c.Fetch(t.Context(), grant)
		if err == nil || !strings.HasPrefix(err.Error(), "cannot get a token from "+s.URL+"/token: ") || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("%d %s: got %v", test.status, test.body, err)
		}
		var refused *Error
		if isOne := test.status != 302; errors.As(err, &refused) != isOne || isOne && refused.Status != test.status || hops != 1 {
			t.Errorf("%d: %v after %d requests", test.status, refused, hops)
		}
	}
}

func TestServersThatHarm(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"hangs": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}, "no answer within"},
		"hangs in the body": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			_, _ = io.WriteString(w, `{"access_token":`)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}, "no answer within"},
		"sends a gigabyte": {func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat(" ", 1<<20))
			for range 1024 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, "larger than"},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"access_token":"a"}`)
			panic(http.ErrAbortHandler)
		}, "EOF"},
		"redirects to itself": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/token", 307) }, "not followed"},
		"sends a large head":  {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, "exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := serve(t, func(c *Config) { c.Timeout = 300 * time.Millisecond }, test.handler)
			if _, err := c.Fetch(t.Context(), grant); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestServerIsNotThere(t *testing.T) {
	c := New(Config{TokenURL: "http://" + porttest.Address(t) + "/t?key=hidden", ID: "x", Secret: secret, Timeout: time.Second})
	if _, err := c.Fetch(t.Context(), grant); err == nil || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Fetch(ctx, grant); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestDiscovery(t *testing.T) {
	const token = `{"access_token":"abc"}`
	for name, test := range map[string]struct {
		path, at string // of the issuer, and of its metadata
		metadata string // %[1]s: the server
		want     string // "": it works
	}{
		"OpenID Connect":       {"/", "/.well-known/openid-configuration", `{"issuer":"%[1]s/","token_endpoint":"%[1]s/token"}`, ""},
		"OpenID Connect, path": {"/realms/a", "/realms/a/.well-known/openid-configuration", `{"issuer":"%[1]s/realms/a","token_endpoint":"%[1]s/token"}`, ""},
		"RFC 8414":             {"/as", "/.well-known/oauth-authorization-server/as", `{"issuer":"%[1]s/as","token_endpoint":"%[1]s/token"}`, ""},
		"another issuer":       {"/", "/.well-known/openid-configuration", `{"issuer":"https://evil.example/","token_endpoint":"%[1]s/token"}`, `of the issuer "https://evil.example/"`},
		"no slash":             {"/", "/.well-known/openid-configuration", `{"issuer":"%[1]s","token_endpoint":"%[1]s/token"}`, "of the issuer"},
		"no endpoint":          {"/", "/.well-known/openid-configuration", `{"issuer":"%[1]s/"}`, "token_endpoint cannot be used"},
		"endpoint is a file":   {"/", "/.well-known/openid-configuration", `{"issuer":"%[1]s/","token_endpoint":"file:///etc/passwd"}`, "token_endpoint cannot be used"},
		"no JSON":              {"/", "/.well-known/openid-configuration", `nothing`, "not JSON"},
		"nothing":              {"/", "/nowhere", ``, "answered 404"},
	} {
		t.Run(name, func(t *testing.T) {
			var server string
			asked := 0
			s, _ := serve(t, nil, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case test.at:
					asked++
					_, _ = fmt.Fprintf(w, test.metadata, server)
				case "/token":
					_, _ = io.WriteString(w, token)
				default:
					http.NotFound(w, r)
				}
			})
			server = s.URL
			c := New(Config{Issuer: s.URL + test.path, ID: "gateway", Timeout: 5 * time.Second})
			t.Cleanup(c.Close)
			for range 2 {
				got, err := c.Fetch(t.Context(), grant)
				if test.want == "" && (err != nil || got.Value != "abc" || asked != 1) {
					t.Errorf("got %v, %v, asked %d times", got, err, asked)
				}
				if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func TestTokenEndpointOfHTTPSIsNotPlain(t *testing.T) {
	var s *httptest.Server
	s = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":"http://127.0.0.1:1/t"}`, s.URL)
	}))
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c := New(Config{Issuer: s.URL, Roots: roots, Timeout: 5 * time.Second})
	defer c.Close()
	if _, err := c.Fetch(t.Context(), grant); err == nil || !strings.Contains(err.Error(), "not https") {
		t.Errorf("got %v", err)
	}
}

func TestURLs(t *testing.T) {
	for text, good := range map[string]bool{
		"https://idp.example/t": true, "http://10.0.0.1:8080": true, "": false, "idp.example": false, "https:///t": false, "https://a:b@idp.example": false,
		"https://idp.example/#x": false, "ftp://idp.example": false, "https:idp.example": false, "https://[::1": false,
	} {
		if err := CheckURL(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
