package gatewaytest_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/crypto/bcrypt"

	"cardea.dev/cardea/gatewaytest"
)

// personal is a service whose answers are one caller's own, and numbered.
func personal(t *testing.T) string {
	t.Helper()
	var asked atomic.Int64
	return upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=3600")
		fmt.Fprint(w, asked.Add(1))
	}).URL
}

// signed makes a token.
func signed(t *testing.T, secret, subject, id string, more map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(jwt.Claims{Issuer: "idp", Subject: subject, ID: id, Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour))}).Claims(more).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: Bearer " + token
}

// hashed is the hash of a password, as a text of YAML.
func hashed(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return "'" + string(hash) + "'"
}

// TestEachCallersAnswersAreHisOwn whatever he is known by.
func TestEachCallersAnswersAreHisOwn(t *testing.T) {
	const secret = "a-secret-of-thirty-two-characters"
	basic := func(user string) string {
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, user+"-0123456789")
		return "Authorization: " + r.Header.Get("Authorization")
	}
	const ada, bob = "X-Api-Key: ada-0123456789abcdef", "X-Api-Key: bob-0123456789abcdef"
	for name, c := range map[string]struct {
		policy string
		asks   [][]string // fields
		want   string     // the numbers of the answers
	}{
		"keys":                     {"api_key: {}", [][]string{{ada}, {bob}, {ada}, {bob}}, "1 2 1 2"},
		"keys in the query":        {"api_key: {in: [query.key]}", [][]string{{"?key=ada-0123456789abcdef"}, {"?key=bob-0123456789abcdef"}, {"?key=ada-0123456789abcdef"}}, "1 2 1"},
		"keys, with users' tokens": {"api_key: {}", [][]string{{ada, "Authorization: Bearer x"}, {ada, "Authorization: Bearer y"}, {ada}, {ada, "Authorization: Bearer x"}}, "1 2 3 1"},
		"passwords":                {"basic: {}", [][]string{{basic("ada")}, {basic("bob")}, {basic("ada")}}, "1 2 1"},
		"tokens": {
			"jwt: {issuer: idp, secret: " + secret + "}",
			[][]string{
				{signed(t, secret, "ada", "1", nil)},
				{signed(t, secret, "bob", "1", nil)},
				{signed(t, secret, "ada", "2", nil)},
				{signed(t, secret, "ada", "2", map[string]any{"tenant": "t"})},
			},
			"1 2 1 3",
		},
		"tokens and keys": {
			"jwt: {issuer: idp, secret: " + secret + "}, api_key: {}",
			[][]string{{ada, signed(t, secret, "x", "1", nil)}, {bob, signed(t, secret, "x", "1", nil)}, {ada, signed(t, secret, "y", "1", nil)}, {ada, signed(t, secret, "x", "1", nil)}},
			"1 2 3 1",
		},
		"one or the other": {
			"authenticate: {require: any}, api_key: {}, basic: {}",
			[][]string{{ada}, {basic("ada")}, {bob}, {ada}},
			"1 2 3 1",
		},
		"nobody known": {
			"timeout: 1m",
			[][]string{{"Authorization: a"}, {"Authorization: b"}, {"Cookie: sid=a"}, {"Cookie: sid=b"}, {"Authorization: a"}, {"Cookie: sid=a"}},
			"1 2 3 4 1 3",
		},
		"nobody": {"timeout: 1m", [][]string{{}, {}}, "1 2"},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, `
upstreams: {u: `+personal(t)+`}
consumers:
  ada: {keys: [ada-0123456789abcdef], password: `+hashed(t, "ada-0123456789")+`}
  bob: {keys: [bob-0123456789abcdef], password: `+hashed(t, "bob-0123456789")+`}
routes: [{match: /**, to: u, `+c.policy+`, cache: {per: identity}}]`)
			var got []string
			for _, fields := range c.asks {
				path := "/x"
				if len(fields) > 0 && strings.HasPrefix(fields[0], "?") {
					path, fields = path+fields[0], nil
				}
				_, body := g.Get(path, fields...)
				got = append(got, body)
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("got %s, wanted %s", text, c.want)
			}
		})
	}
	t.Run("certificates", func(t *testing.T) {
		alice, bob := selfSigned(t, "alice.example.com"), selfSigned(t, "bob.example.com")
		g := gatewaytest.New(t, `
listen: {address: "127.0.0.1:0", tls: {cert: `+inFile(t, selfSigned(t, "server"))+`, client_certificate: optional}}
upstreams: {u: `+personal(t)+`}
routes: [{match: /**, to: u, mtls: {ca: [`+inFile(t, alice)+`, `+inFile(t, bob)+`]}, cache: {per: identity}}]`)
		for i, c := range []struct {
			cert tls.Certificate
			want string
		}{{alice, "1"}, {bob, "2"}, {alice, "1"}, {bob, "2"}} {
			tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{c.cert}}}
			g.Client.Transport = tr
			if _, got := g.Get("/x"); got != c.want {
				t.Errorf("%d: got %s, wanted %s", i, got, c.want)
			}
			tr.CloseIdleConnections()
		}
	})
}

// TestKeysShowNoSecrets to operators who look into a cache.
func TestKeysShowNoSecrets(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.Header().Set("Vary", "Cookie, Authorization, X-Session, Accept-Language")
		_, _ = io.WriteString(w, r.Header.Get("Cookie"))
	})
	g := gatewaytest.New(t, `
admin: 127.0.0.1:0
upstreams: {u: `+up.URL+`}
consumers: {ada: {keys: [hidden-0123456789abcdef]}}
routes: [{match: /**, to: u, api_key: {in: [query.api_key], forward: true}, cache: {key: {headers: [x-auth], cookies: [sid], add: ['header.x-add']}}}]`)
	ask := func(cookie, want string) {
		t.Helper()
		resp, body := g.Get("/x?a=1&%61pi_key=hidden-0123456789abcdef&b=2", cookie, "Authorization: hidden", "X-Session: hidden", "X-Auth: hidden", "X-Add: hidden", "Accept-Language: de")
		if status := resp.Header.Get("Cache-Status"); body != strings.TrimPrefix(cookie, "Cookie: ") || !strings.HasPrefix(status, "Cardea; "+want) {
			t.Errorf("%s: got %q, %s, wanted %s", cookie, body, status, want)
		}
	}
	ask("Cookie: sid=hidden; a=1", "fwd=uri-miss")
	ask("Cookie: sid=hidden; a=1", "hit")
	ask("Cookie: sid=hidden; a=2", "fwd=vary-miss")
	for _, path := range []string{"/caches/objects?prefix=" + g.URL, "/caches/look?url=" + g.URL + "/x", "/caches"} {
		_, body := adminCall(t, g, "GET", path, "")
		if strings.Contains(body, "hidden") {
			t.Errorf("%s shows %s", path, body)
		}
		if strings.Contains(path, "prefix") && (strings.Count(body, `"key"`) != 2 || !strings.Contains(body, "Accept-Language=de")) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

// says is an upstream that answers each request with the same bytes, and then ends the connection.
func says(t *testing.T, text string) (address string, asked *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked = &atomic.Int64{}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				head := make([]byte, 0, 4096)
				for !strings.Contains(string(head), "\r\n\r\n") {
					n, err := c.Read(head[len(head):cap(head)])
					if err != nil {
						return
					}
					head = head[:len(head)+n]
				}
				asked.Add(1)
				_, _ = io.WriteString(c, text)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return l.Addr().String(), asked
}

// TestHostileAnswersAreNotKept for others, nor break what is kept.
func TestHostileAnswersAreNotKept(t *testing.T) {
	const ok, hour = "HTTP/1.1 200 OK\r\nConnection: close\r\n", "Cache-Control: max-age=3600\r\n"
	const four = "Content-Length: 4\r\n\r\ntext"
	for name, c := range map[string]struct {
		says string
		kept bool
	}{
		"a usual one":                {ok + hour + four, true},
		"no length":                  {ok + hour + "\r\ntext", true},
		"in chunks":                  {ok + hour + "Transfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n\r\n", true},
		"shorter than it says":       {ok + hour + "Content-Length: 40\r\n\r\ntext", false},
		"longer than it says":        {ok + hour + "Content-Length: 4\r\n\r\ntextHTTP/1.1 200 OK\r\n\r\nevil", true},
		"chunks cut short":           {ok + hour + "Transfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n", false},
		"a chunk cut short":          {ok + hour + "Transfer-Encoding: chunked\r\n\r\n40\r\ntext", false},
		"a chunk of nonsense":        {ok + hour + "Transfer-Encoding: chunked\r\n\r\n4\r\ntext\r\nzz\r\n", false},
		"trailers cut short":         {ok + hour + "Transfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\nX-A: ", false},
		"two lengths":                {ok + hour + "Content-Length: 5\r\n" + four, false},
		"both lengths":               {ok + hour + "Transfer-Encoding: chunked\r\n" + four, false},
		"a negative length":          {ok + hour + "Content-Length: -4\r\n\r\ntext", false},
		"a line break in a field":    {ok + hour + "X-A: b\rSet-Cookie: evil\r\n" + four, false},
		"a part nobody asked for":    {"HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Range: bytes 0-3/9\r\n" + hour + four, false},
		"a whole with a range":       {ok + "Content-Range: bytes 0-3/9\r\n" + hour + four, false},
		"304 to no condition":        {"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n" + hour + "\r\n", false},
		"max-age below 0":            {ok + "Cache-Control: max-age=-1\r\n" + four, false},
		"max-age of nonsense":        {ok + "Cache-Control: max-age=3600x\r\n" + four, false},
		"max-age twice":              {ok + hour + "Cache-Control: max-age=0\r\n" + four, false},
		"a huge max-age":             {ok + "Cache-Control: max-age=99999999999999999999999999\r\n" + four, true},
		"contradictions":             {ok + "Cache-Control: public, max-age=3600, immutable, no-store\r\n" + four, false},
		"private in quotes":          {ok + `Cache-Control: max-age=3600, private="` + "\r\n" + four, false},
		"Age of nonsense":            {ok + hour + "Age: -7, x\r\n" + four, true},
		"a huge Age":                 {ok + hour + "Age: 99999999999999999999999999\r\n" + four, false},
		"Date in the future":         {ok + hour + "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n" + four, true},
		"Date long ago":              {ok + hour + "Date: Mon, 01 Jan 0001 00:00:00 GMT\r\n" + four, false},
		"Date and Expires far away":  {ok + "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\nExpires: Mon, 01 Jan 0001 00:00:00 GMT\r\n" + four, false},
		"Expires of nonsense":        {ok + "Expires: 0\r\n" + four, false},
		"Expires twice":              {ok + "Expires: Fri, 31 Dec 9999 23:59:59 GMT\r\nExpires: -1\r\n" + four, false},
		"Vary: *":                    {ok + hour + "Vary: Accept\r\nVary: x, *\r\n" + four, false},
		"Vary of nonsense":           {ok + hour + "Vary: a b, \"c\"\r\n" + four, false},
		"a huge Vary":                {ok + hour + "Vary: " + strings.Repeat("X-A, ", 2000) + "Cookie\r\n" + four, true},
		"a Vary of many names":       {ok + hour + "Vary: " + manyNames(500) + "\r\n" + four, true},
		"a cookie":                   {ok + hour + "Set-Cookie: a=b\r\n" + four, false},
		"a cookie in a trailer":      {ok + hour + "Trailer: Set-Cookie\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\nSet-Cookie: a=b\r\n\r\n", true},
		"a field that a trailer has": {ok + hour + "X-A: 1\r\nTrailer: X-A, Content-Type, Cache-Control\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\nX-A: 2\r\nContent-Type: evil/x\r\nCache-Control: no-store\r\n\r\n", true},
		"no-store in a trailer":      {ok + hour + "Transfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\nCache-Control: no-store\r\n\r\n", true},
		"a huge head":                {ok + hour + "X-A: " + strings.Repeat("a", 2<<20) + "\r\n" + four, false},
		"a Cache-Status of its own":  {ok + hour + "Cache-Status: evil; hit\r\n" + four, true},
	} {
		t.Run(name, func(t *testing.T) {
			up, asked := says(t, c.says)
			g := gatewaytest.New(t, "upstreams: {u: {endpoints: 'http://"+up+"', retry: off}}\nroutes: [{match: /**, to: u, cache: {grace: 0}}]")
			const request = "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
			first, second := answered(t, g, request), int64(0)
			second = asked.Load()
			again := answered(t, g, request)
			if kept := asked.Load() == second; kept != c.kept {
				t.Errorf("kept: %t, and it gets\n%s", kept, again)
			}
			if c.kept && (!strings.HasPrefix(again, "HTTP/1.1 200 ") || !strings.Contains(again, "text") || strings.Contains(again, "evil") && !strings.Contains(name, "Cache-Status")) {
				t.Errorf("first\n%s\nthen\n%s", first, again)
			}
			if strings.Contains(again, "Set-Cookie") && c.kept {
				t.Errorf("the cookie is given to others:\n%s", again)
			}
		})
	}
}

// manyNames are n names of fields.
func manyNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("X-%d", i)
	}
	return strings.Join(names, ", ")
}

// answered sends a request and returns all that comes back.
func answered(t *testing.T, g *gatewaytest.Gateway, request string) string {
	t.Helper()
	conn, r := dial(t, g)
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(r) // what is cut is cut by a reset
	return string(text)
}
