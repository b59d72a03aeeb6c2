package openapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/internal/schema"
)

func load(t testing.TB, name string) *Document {
	t.Helper()
	d, err := Load("testdata", name, Options{Formats: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Compile(nil); err != nil {
		t.Fatal(err)
	}
	return d
}

// check checks a request by a document, and returns the violations, one a line.
func check(d *Document, r *http.Request, body string, unknown bool) string {
	found := d.Find(r.Method, r.URL.EscapedPath(), nil)
	if found.Operation == nil {
		return strings.Join(append([]string{"none"}, found.Allow...), " ")
	}
	l := List{Most: 20}
	found.Operation.CheckParameters(&Input{Request: r, Values: found.Values, Unknown: unknown}, &l)
	if body != "" {
		c, err := found.Operation.Body(r.Header.Get("Content-Type"))
		switch {
		case err != nil:
			return err.Error()
		case c == nil:
			return "unread"
		}
		c.Check([]byte(body), schema.Bounds{Depth: 20, Values: 1000}, &l)
	}
	var lines []string
	for _, v := range l.Found {
		lines = append(lines, v.String())
	}
	return strings.Join(lines, "\n")
}

func TestParameters(t *testing.T) {
	odd, pets := load(t, "odd.yaml"), load(t, "petstore.yaml")
	for _, test := range []struct {
		d            *Document
		target, want string
		fields       []string
	}{
		{pets, "/v1/pets", "", nil},
		{pets, "/v1/pets?limit=5&tags=a,b", "", nil},
		{pets, "/pets", "none", nil},
		{pets, "/v1/pets/", "none", nil},
		{pets, "/v1/pets?limit=0", "query limit: is less than 1", nil},
		{pets, "/v1/pets?limit=101&tags=a,toolong,c", "query limit: is more than 100\nquery tags /1: has 7 characters, more than 5", nil},
		{pets, "/v1/pets?limit=abc", "query limit: expected integer, got string", nil},
		{pets, "/v1/pets?limit=", "query limit: expected integer, got string", nil},
		{pets, "/v1/pets?limit=1e1", "query limit: expected integer, got string", nil},
		{pets, "/v1/pets?limit=1.0", "query limit: expected integer, got string", nil},
		{pets, "/v1/pets?limit=01", "query limit: expected integer, got string", nil},
		{pets, "/v1/pets?limit=1&limit=2", "query limit: is given more than once", nil},
		{pets, "/v1/pets?limit=%31", "", nil},
		{pets, "/v1/pets?limit=%zz", "query limit: is not well escaped", nil},
		{pets, "/v1/pets?%zz=1", "query: the query is not well escaped", nil},
		{pets, "/v1/pets?tags=a%2Cb%2Cc", "", nil}, // one item of five characters
		{pets, "/v1/pets?other=1", "query other: is not known", []string{"unknown: yes"}},
		{pets, "/v1/pets", "header X-Trace: is no valid uuid", []string{"X-Trace: x"}},
		{pets, "/v1/pets", "header X-Trace: is given more than once", []string{"X-Trace: 123e4567-e89b-12d3-a456-426614174000", "X-Trace: 123e4567-e89b-12d3-a456-426614174000"}},
		{pets, "/v1/pets/7", "", nil},
		{pets, "/v1/pets/0", "path petId: is less than 1", nil},
		{pets, "/v1/pets/x", "path petId: expected integer, got string", nil},
		{pets, "/v1/pets/99999999999999999999", "path petId: is no valid int64", nil},
		{pets, "/v1/pets/%37", "", nil},
		{odd, "/live/simple/1,2,3", "", nil},
		{odd, "/test/simple/1,b", "path v /1: expected integer, got string", nil},
		{odd, "/other/simple/1", "none", nil},
		{odd, "/live/simple-object/R=1,G=2", "", nil},
		{odd, "/live/simple-object/R,1", "path v: is no list of names and values", nil},
		{odd, "/live/simple-object/R=300,B=2", "path v: has \"B\", which it must not have\npath v /R: is more than 255", nil},
		{odd, "/live/label/.a.b", "", nil},
		{odd, "/live/label/.a.long", "path v /1: has 4 characters, more than 3", nil},
		{odd, "/live/label/a", "path v: is not written in the style of the parameter", nil},
		{odd, "/live/matrix/;v=1,2", "", nil},
		{odd, "/live/matrix/;w=1", "path v: is not written in the style of the parameter", nil},
		{odd, "/live/matrix/;v=x", "path v /0: expected integer, got string", nil},
		{odd, "/live/matrix-object/;R=1;G=2", "", nil},
		{odd, "/live/matrix-object/;G=2", `path v: lacks "R"`, nil},
		{odd, "/live/files/a.b.txt", "", nil},
		{odd, "/live/files/A.exe", "path name: does not match the pattern ^[a-z.]+$\npath ext: is none of the values that are allowed", nil},
		{odd, "/live/users/7/photos", "", nil},
		{odd, "/live/users/7/x", "", nil},
		{odd, "/live/search", "cookie sid: is missing", nil},
		{odd, "/live/search", "cookie sid: has 3 characters, fewer than 4", []string{"Cookie: sid=abc"}},
		{odd, "/live/search?filter[age]=5&filter[tags]=a&filter[tags]=b&filter[in][lat]=1.5", "", []string{"Cookie: sid=abcd"}},
		{odd, "/live/search?filter[age]=x", "query filter /age: expected integer, got string", []string{"Cookie: sid=abcd"}},
		{odd, "/live/search?filter[who]=x", `query filter: has "who", which it must not have`, []string{"Cookie: sid=abcd"}},
		{odd, "/live/search?filter[in][lat=1", "query filter: has brackets that name no property", []string{"Cookie: sid=abcd"}},
		{odd, "/live/search?filter[age]=1&filter[age]=2", "query filter: has age twice", []string{"Cookie: sid=abcd"}},
		{odd, "/live/search?filter[age]=1&filter[age][x]=2", "query filter: has a property that is a value and an object", []string{"Cookie: sid=abcd"}},
		{odd, "/live/search?filter=x&filter[age]=1", "query filter: is not written in the style of the parameter", []string{"Cookie: sid=abcd"}},
		{odd, "/live/search?size=1&page=x", "query page: is not known", []string{"Cookie: sid=abcd", "unknown: yes"}},
		{odd, "/live/search?piped=1%7C2|3", "", []string{"Cookie: sid=abcd"}},
		{odd, "/live/search?piped=1|2|3|x", "query piped: has 4 items, more than 3\nquery piped /3: expected integer, got string", []string{"Cookie: sid=abcd"}},
		{odd, "/live/search?spaced=1%202+3", "", []string{"Cookie: sid=abcd"}},
		{odd, `/live/search?where=%7B%22x%22:1%7D`, "", []string{"Cookie: sid=abcd"}},
		{odd, `/live/search?where=%7B%7D`, `query where: lacks "x"`, []string{"Cookie: sid=abcd"}},
		{odd, `/live/search?where=x`, `query where: is no JSON`, []string{"Cookie: sid=abcd"}},
		{odd, `/live/search?size=51&offset=3`, `query page /size: is more than 50`, []string{"Cookie: sid=abcd"}},
		{odd, `/live/search?flag`, "", []string{"Cookie: sid=abcd"}},
		{odd, `/live/search?flag=1`, "query flag: expected boolean, got string", []string{"Cookie: sid=abcd"}},
		{odd, `/live/search?either=5`, "query either: is less than 10", []string{"Cookie: sid=abcd"}},
		{odd, `/live/search?either=05`, "", []string{"Cookie: sid=abcd"}},
		{odd, `/live/search?either=50`, "", []string{"Cookie: sid=abcd"}},
		{odd, `/live/search`, "header X-Ids /1: expected integer, got string", []string{"Cookie: sid=abcd", "X-Ids: 1, x", "X-Ids: 3"}},
		{odd, `/live/search?size=1&x=2&filter[age]=1`, "query x: is not known", []string{"Cookie: sid=abcd", "unknown: yes"}},
	} {
		r := httptest.NewRequest("GET", "http://h/", nil)
		u, err := r.URL.Parse(test.target)
		if err != nil {
			u = r.URL
			u.RawPath, u.RawQuery, _ = strings.Cut(test.target, "?")
			u.Path, u.RawPath, _ = strings.Cut(test.target, "?")
			u.RawPath = ""
		}
		r.URL = u
		unknown := false
		for _, f := range test.fields {
			name, value, _ := strings.Cut(f, ": ")
			unknown = unknown || name == "unknown"
			r.Header.Add(name, value)
		}
		if diff := cmp.Diff(test.want, check(test.d, r, "", unknown)); diff != "" {
			t.Errorf("%s %v:\n%s", test.target, test.fields, diff)
		}
	}
}

func TestBodies(t *testing.T) {
	pets, defs := load(t, "petstore.yaml"), load(t, "defs.json")
	const json = "application/json"
	for _, test := range []struct {
		d                              *Document
		method, path, kind, body, want string
	}{
		{pets, "POST", "/v1/pets", json, `{"name":"Tom"}`, ""},
		{pets, "POST", "/v1/pets", json + "; charset=UTF-8", `{"name":"Tom"}`, ""},
		{pets, "POST", "/v1/pets", json + "; charset=latin1", `{"name":"Tom"}`, "the charset is not UTF-8"},
		{pets, "POST", "/v1/pets", "text/plain", `x`, "the Content-Type is text/plain, and not of application/json, application/x-www-form-urlencoded"},
		{pets, "POST", "/v1/pets", "", `x`, "the message has a body and no Content-Type"},
		{pets, "POST", "/v1/pets", json, `{}`, `body: lacks "name"`},
		{pets, "POST", "/v1/pets", json, `{"name":"Tom","id":1}`, `body /id: is read-only, and not for requests`},
		{
			pets, "POST", "/v1/pets", json, `{"name":"","kind":"cow","born":"x","weight":0,"more":1}`,
			"body: has \"more\", which it must not have\nbody /born: is no valid date\nbody /kind: is none of the values that are allowed\nbody /name: has 0 characters, fewer than 1\nbody /weight: is not more than 0",
		},
		{pets, "POST", "/v1/pets", json, `{"name":"Tom","born":null,"owner":null,"secret":"s"}`, ""},
		{pets, "POST", "/v1/pets", json, `{"name":"Tom","owner":{"email":"x"}}`, "body /owner/email: is no valid email"},
		{pets, "POST", "/v1/pets", json, `{"name":"Tom","name":"Tim"}`, "body /name: a name stands twice in an object"},
		{pets, "POST", "/v1/pets", json, "{\"name\":\"\xff\"}", "body: it is not valid UTF-8 (byte 9)"},
		{pets, "POST", "/v1/pets", json, `{"name":`, "body: it ends too early to be JSON"},
		{pets, "POST", "/v1/pets", json, `{"name":"Tom"}{}`, "body: there is more than one JSON value (byte 15)"},
		{pets, "POST", "/v1/pets", json, `<html>`, "body: it is not JSON (byte 0)"},
		{pets, "POST", "/v1/pets", json, strings.Repeat("[", 50), "body /0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0: it is nested more than 20 deep"},
		{pets, "POST", "/v1/pets", json, `{"name":"Tom","weight":1e999999999}`, "body /weight: the number has more than 2000 digits, or an exponent beyond 500"},
		{pets, "POST", "/v1/pets", json, `{"name":"Tom","weight":1e400}`, ""},
		{pets, "POST", "/v1/pets", "application/x-www-form-urlencoded", "name=Tom&age=3&tags=a&tags=b", ""},
		{pets, "POST", "/v1/pets", "application/x-www-form-urlencoded", "age=-1&x=1", "body: lacks \"name\"\nbody: has \"x\", which it must not have\nbody /age: is less than 0"},
		{pets, "POST", "/v1/pets", "application/x-www-form-urlencoded", "name=a&name=b", "body: the field name stands twice"},
		{pets, "PUT", "/v1/pets/1/photo", "image/png", "\x89PNG", "unread"},
		{pets, "PUT", "/v1/pets/1/photo", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=file; filename=x\r\n\r\n\xff\r\n--b\r\nContent-Disposition: form-data; name=meta\r\nContent-Type: application/json\r\n\r\n{\"title\":\"t\"}\r\n--b--\r\n", ""},
		{pets, "PUT", "/v1/pets/1/photo", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=stars\r\n\r\n9\r\n--b--\r\n", "body: lacks \"file\", \"meta\"\nbody /stars: is more than 5"},
		{pets, "PUT", "/v1/pets/1/photo", "multipart/form-data; boundary=b", "--b\r\n", "body: the parts do not come to an end"},
		{pets, "POST", "/v1/shapes", json, `{"kind":"circle","r":1}`, ""},
		{pets, "POST", "/v1/shapes", json, `{"kind":"square","r":1}`, `body: lacks "side"`},
		{pets, "POST", "/v1/shapes", json, `{"kind":"Circle","r":"x"}`, `body /r: expected number, got string`},
		{pets, "POST", "/v1/shapes", json, `{"kind":"oval"}`, `body: the property that says which kind it is, names none that is known (kind)`},
		{pets, "PATCH", "/v1/pets/1", json, `{}`, "none DELETE GET"},
		{defs, "POST", "/orders", json, `{"sku":"a","price":"1.00","lines":[{"count":1,"note":null,"parent":{"count":2}}]}`, ""},
		{
			defs, "POST", "/orders", json, `{"sku":"a","price":"1","lines":[{"count":0,"parent":{"count":"x"}}],"y":1}`,
			"body /y: must not be there\nbody /lines/0/count: is not more than 0\nbody /lines/0/parent/count: expected integer, got string\nbody /price: does not match the pattern ^\\d+\\.\\d{2}$",
		},
		{defs, "POST", "/tuples", json, `{"at":[1,null]}`, ""},
		{defs, "POST", "/tuples", json, `{"at":[1,2,3],"z":1}`, "body /at/2: must not be there\nbody /z: must not be there"},
	} {
		r := httptest.NewRequest(test.method, test.path, nil)
		if test.kind != "" {
			r.Header.Set("Content-Type", test.kind)
		}
		got := strings.Split(check(test.d, r, test.body, false), "\n")
		want := strings.Split(test.want, "\n")
		if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
			t.Errorf("%s %s %.80q:\n%s", test.method, test.path, test.body, diff)
		}
	}
}

func sorted(s []string) []string { slices.Sort(s); return s }

// BenchmarkFind finds the last of a thousand operations.
func BenchmarkFind(b *testing.B) {
	d := &Document{ids: map[string]*Operation{}, names: map[string]*Operation{}, bases: map[string]bool{}}
	for i := range 1000 {
		t, err := parseTemplate(fmt.Sprintf("/things/{id}/part%d/{name}", i))
		if err != nil {
			b.Fatal(err)
		}
		if err := d.add(&Operation{Method: "GET", template: t, bases: []string{"/v1"}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if d.Find("GET", "/v1/things/7/part999/x", nil).Operation == nil {
			b.Fatal("it is not found")
		}
	}
}
