package openapi

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cardea.dev/cardea/internal/schema"
)

// FuzzParameters: whatever a query, a path segment, a field and a cookie hold, there is an answer, bounded and without what was sent.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{"filter[age]=5&filter[tags][]=a", "piped=1%7C2&spaced=1+2", "where=%7B%22x%22:1%7D", "size=1&size=2", "flag&either=05&%zz=1", "a=%", ";v=1,2", ".a.b", "R=1,G=2", "R,1,G"} {
		f.Add(seed)
	}
	d := load(f, "odd.yaml")
	f.Fuzz(func(t *testing.T, s string) {
		for _, path := range []string{"search", "simple/", "simple-object/", "label/", "matrix/", "matrix-object/", "files/"} {
			r := httptest.NewRequest("GET", "http://h/", nil)
			r.URL = &url.URL{Path: "/live/" + path, RawQuery: s}
			if strings.HasSuffix(path, "/") {
				r.URL.Path += s
			}
			r.Header["X-Ids"] = []string{s}
			r.Header["Cookie"] = []string{"sid=" + s}
			found := d.Find("GET", r.URL.EscapedPath(), nil)
			if found.Operation == nil {
				continue
			}
			l := List{Most: 5}
			found.Operation.CheckParameters(&Input{Request: r, Values: found.Values, Unknown: true}, &l)
			if len(l.Found) > 5 {
				t.Errorf("%d violations", len(l.Found))
			}
			if _, err := json.Marshal(l.Found); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzBodies: whatever a body holds, there is an answer. What encoding/json refuses is refused here, too.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{`{"name":"Tom"}`, `{"name":"a","name":"b"}`, "name=a&tags=b", "--b\r\nContent-Disposition: form-data; name=file\r\n\r\nx\r\n--b--\r\n", "[[[[", `{"a":1e999}`, "\xff"} {
		f.Add(seed)
	}
	d := load(f, "petstore.yaml")
	pets, err := d.Operation("createPet")
	if err != nil {
		f.Fatal(err)
	}
	photo, err := d.Operation("PUT /pets/{petId}/photo")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for kind, o := range map[string]*Operation{"application/json": pets, "application/x-www-form-urlencoded": pets, "multipart/form-data; boundary=b": photo} {
			c, err := o.Body(kind)
			if err != nil {
				t.Fatal(err)
			}
			l := List{Most: 5}
			c.Check([]byte(s), schema.Bounds{Depth: 20, Values: 1000}, &l)
			if kind == "application/json" && len(l.Found) == 0 && !json.Valid([]byte(s)) {
				t.Errorf("%q passed", s)
			}
		}
	})
}

// TestParametersComeBack: what is written in a style is read as what it was.
func TestParametersComeBack(t *testing.T) {
	texts := rapid.SliceOfN(rapid.StringMatching(`[a-zA-Z0-9 ,;.=&%|/+é-]{1,12}`), 1, 5)
	items := &shape{types: []string{"array"}, items: &shape{types: []string{"string"}}}
	for _, style := range []struct {
		in, style string
		explode   bool
		write     func([]string) []string // as it stands in a request: several are several parameters
	}{
		{"query", "form", true, each(url.QueryEscape)},
		{"query", "form", false, joined(",", url.QueryEscape)},
		{"query", "pipeDelimited", false, joined("|", url.QueryEscape)},
		{"query", "spaceDelimited", false, joined("%20", func(s string) string { return url.PathEscape(strings.ReplaceAll(s, " ", "_")) })},
		{"path", "simple", false, joined(",", escapeAll)},
		{"path", "matrix", false, func(s []string) []string { return []string{";v=" + joined(",", escapeAll)(s)[0]} }},
		{"path", "matrix", true, func(s []string) []string { return []string{";v=" + joined(";v=", escapeAll)(s)[0]} }},
	} {
		p := &parameter{name: "v", in: style.in, style: style.style, explode: style.explode, shape: items}
		rapid.Check(t, func(t *rapid.T) {
			want := texts.Draw(t, "texts")
			for i, s := range want {
				switch style.style {
				case "spaceDelimited":
					want[i] = strings.NewReplacer(" ", "_", "+", "_").Replace(s)
				case "pipeDelimited":
					want[i] = strings.ReplaceAll(s, "|", "_")
				case "matrix":
					want[i] = strings.NewReplacer(";", "_", "=", "_").Replace(s)
				}
			}
			var v any
			var err error
			if raw := style.write(want); style.in == "path" {
				v, err = p.fromPath(raw[0], false)
			} else {
				v, err = p.fromQuery(raw, false)
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, item := range v.([]any) {
				got = append(got, item.(string))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %v:\n%s", style.style, style.explode, diff)
			}
		})
	}
}

// TestNumbersComeBack: the digits of a number stay as they came.
func TestNumbersComeBack(t *testing.T) {
	s := &shape{types: []string{"number"}}
	rapid.Check(t, func(t *rapid.T) {
		text := strconv.FormatFloat(rapid.Float64Range(-1e300, 1e300).Draw(t, "n"), 'g', -1, 64)
		text = strings.Replace(text, "e+", "e+", 1)
		if got, ok := s.scalar(text, false).(json.Number); !ok || string(got) != text {
			t.Errorf("%s became %v", text, s.scalar(text, false))
		}
	})
}

// escapeAll escapes all that has a meaning in a path.
func escapeAll(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

func each(escape func(string) string) func([]string) []string {
	return func(all []string) []string {
		var out []string
		for _, s := range all {
			out = append(out, escape(s))
		}
		return out
	}
}

func joined(by string, escape func(string) string) func([]string) []string {
	return func(all []string) []string { return []string{strings.Join(each(escape)(all), by)} }
}
