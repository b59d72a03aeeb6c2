package upstreamauth

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// suiteToken is the session token of AWS's test suite.
const suiteToken = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

// hash is the hash of a body.
func hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// signed signs a request and returns the names of the fields that are signed, and the signature.
func signed(t *testing.T, s *signer, method, path, query, payload string, fields ...string) (names, signature string) {
	t.Helper()
	canonical, err := canonicalQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: method, URL: &url.URL{RawQuery: canonical}, Header: http.Header{}}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		r.Header.Add(name, value)
	}
	s.sign(r, path, payload)
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	names, signature, _ = strings.Cut(rest, ", Signature=")
	return names, signature
}

func at(text string) func() time.Time {
	t, err := time.Parse("20060102T150405Z", text)
	if err != nil {
		panic(err)
	}
	return func() time.Time { return t }
}

// TestSuite compares with AWS's Signature Version 4 test suite (aws-sig-v4-test-suite), whose requests name what is on the wire.
func TestSuite(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for name, test := range map[string]struct {
		method, path, query, body, session string
		fields                             []string
		names, signature                   string
	}{
		"get-vanilla":                      {"GET", "/", "", "", "", nil, "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		"get-vanilla-empty-query-key":      {"GET", "/", "Param1=value1", "", "", nil, "host;x-amz-date", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		"get-vanilla-query-order-key-case": {"GET", "/", "Param2=value2&Param1=value1", "", "", nil, "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		"get-vanilla-utf8-query":           {"GET", "/", "ሴ=bar", "", "", nil, "host;x-amz-date", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		"get-unreserved":                   {"GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "", "", "", nil, "host;x-amz-date", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		"get-utf8":                         {"GET", "/ሴ", "", "", "", nil, "host;x-amz-date", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
		"get-space":                        {"GET", "/example space/", "", "", "", nil, "host;x-amz-date", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
		"post-vanilla":                     {"POST", "/", "", "", "", nil, "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"post-x-www-form-urlencoded":       {"POST", "/", "", "Param1=value1", "", []string{"Content-Type:" + form}, "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		"post-sts-header-before":           {"POST", "/", "", "", suiteToken, nil, "host;x-amz-date;x-amz-security-token", "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSigner(&AWS{Region: "us-east-1", Service: "service", Host: "example.amazonaws.com", AccessKey: "AKIDEXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"})
			s.now, s.session = at("20150830T123600Z"), test.session
			names, signature := signed(t, s, test.method, test.path, test.query, hash(test.body), test.fields...)
			if names != test.names || signature != test.signature {
				t.Errorf("got %s %s, want %s %s", names, signature, test.names, test.signature)
			}
		})
	}
}

// TestStorage compares with the examples in the manual of S3 ("Authenticating Requests: Using the Authorization Header").
func TestStorage(t *testing.T) {
	for name, test := range map[string]struct {
		method, path, query, body string
		fields                    []string
		names, signature          string
	}{
		"GET object": {
			"GET", "/test.txt", "", "",
			[]string{"Range:bytes=0-9"},
			"host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
		},
		"PUT object": {
			"PUT", "/test$file.text", "", "Welcome to Amazon S3.",
			[]string{"Date:Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class:REDUCED_REDUNDANCY"},
			"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
		},
		"PUT object, escaped": {
			"PUT", "/test%24file.text", "", "Welcome to Amazon S3.",
			[]string{"Date:Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class: REDUCED_REDUNDANCY  "},
			"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
		},
		"GET bucket lifecycle": {
			"GET", "/", "lifecycle", "", nil,
			"host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
		},
		"list objects": {
			"GET", "/", "prefix=J&max-keys=2", "", nil,
			"host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSigner(&AWS{Region: "us-east-1", Service: "s3", Host: "examplebucket.s3.amazonaws.com", AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"})
			s.now = at("20130524T000000Z")
			names, signature := signed(t, s, test.method, test.path, test.query, hash(test.body), test.fields...)
			if names != test.names || signature != test.signature {
				t.Errorf("got %s %s, want %s %s", names, signature, test.names, test.signature)
			}
		})
	}
}

func TestPathsAreSignedAsTheyAreRead(t *testing.T) {
	for _, test := range [][3]string{ // as sent, as s3 signs it, as others do
		{"", "/", "/"},
		{"/a b", "/a%20b", "/a%20b"},
		{"/a%20b", "/a%20b", "/a%2520b"},
		{"/a+b!", "/a%2Bb%21", "/a%2Bb%21"},
		{"/a//b", "/a//b", "/a/b"},
		{"/%E1%88%B4/%2F", "/%E1%88%B4/%2F", "/%25E1%2588%25B4/%252F"},
	} {
		s3, other := &signer{storage: true}, &signer{}
		if got := [3]string{test[0], s3.canonicalPath(test[0]), other.canonicalPath(test[0])}; got != test {
			t.Errorf("got %q, want %q", got, test)
		}
	}
}

func TestQueries(t *testing.T) {
	for raw, want := range map[string]string{
		"":                         "",
		"b=2&a=1&a=0":              "a=0&a=1&b=2",
		"a":                        "a=",
		"&&a=1&":                   "a=1",
		"a=x+y&b=x%20y":            "a=x%20y&b=x%20y",
		"a=%2b%2F*~":               "a=%2B%2F%2A~",
		"a-b=1&a=2&a%3D=3":         "a=2&a%3D=3&a-b=1",
		"a;b=1":                    "a%3Bb=1",
		"X-Amz-Signature=x&a=1":    "a=1",
		"x-amz-credential=x&y=1":   "y=1",
		"X-Amz-Security%2DToken=x": "",
	} {
		got, err := canonicalQuery(raw)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q (-want +got, %v):\n%s", raw, err, diff)
		}
	}
	for _, raw := range []string{"%", "a=%zz", "a=%4"} {
		if got, err := canonicalQuery(raw); err == nil {
			t.Errorf("%q: got %q", raw, got)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, raw := range []string{"b=2&a=1", "a=x+y&&b", "%E1%88%B4=%20;", "X-Amz-Date=1&x=2"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		canonical, err := canonicalQuery(raw)
		if err != nil {
			return
		}
		if again, err := canonicalQuery(canonical); err != nil || again != canonical {
			t.Errorf("%q: %q, and then %q, %v", raw, canonical, again, err)
		}
		if strings.ContainsAny(canonical, "+ ;#\r\n\x00") {
			t.Errorf("%q: %q", raw, canonical)
		}
		if _, err := url.ParseQuery(canonical); err != nil {
			t.Errorf("%q: %q cannot be read: %v", raw, canonical, err)
		}
	})
}

func TestTheKeyOfTheDay(t *testing.T) {
	s := newSigner(&AWS{Region: "us-east-1", Service: "iam", SecretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"})
	for range 2 { // the example in "Create a signed AWS API request"
		if got := hex.EncodeToString(s.key("20150830")); got != "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9" {
			t.Errorf("got %s", got)
		}
		if got := hex.EncodeToString(s.key("20150831")); strings.HasPrefix(got, "c4afb1cc") {
			t.Errorf("the next day's is %s", got)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	s := newSigner(&AWS{Region: "us-east-1", Service: "s3", AccessKey: "AKIDEXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"})
	r := &http.Request{Method: "GET", URL: &url.URL{RawQuery: "a=1"}, Header: http.Header{"Content-Type": {"application/json"}}}
	b.ReportAllocs()
	for b.Loop() {
		s.sign(r, "/bucket/object", unsignedPayload)
	}
}
