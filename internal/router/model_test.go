package router

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The model is the router as one would write it without a thought for speed: each rule is held against the request,
// and of those that match the first by precedence wins. It shares no code with the table.

// expressions are the regular expressions the model knows, with what precedence must know of them: the literal
// segments they start with, and the length of the text after those.
var expressions = map[string]struct {
	literal []string
	prefix  int
}{
	`~^/a/[ab]+$`:         {[]string{"a"}, 0},
	`~^/a/(?P<x>.*)$`:     {[]string{"a"}, 0},
	`~^/a/b.*$`:           {[]string{"a"}, 1},
	`~/(?P<y>[^/]+)/b`:    {nil, 0},
	`~^/.*$`:              {nil, 0},
	`~^/(?i:A)$`:          {nil, 0},
	`~/a(/(?P<z>[ab]))?`:  {nil, 1},
	`~/ab/v[0-9]/a|/b/.+`: {nil, 0},
}

// modelPath is a pattern as a regular expression and as the numbers that precedence compares.
type modelPath struct {
	re  *regexp.Regexp
	key [][3]int
}

func newModelPath(pattern string) modelPath {
	if pattern == "" {
		pattern = "/**"
	}
	var m modelPath
	if e, ok := expressions[pattern]; ok {
		for range e.literal {
			m.key = append(m.key, [3]int{1, 0, 0})
		}
		m.key = append(m.key, [3]int{3, -e.prefix, -len(pattern)})
		m.re = regexp.MustCompile("^(?:" + pattern[1:] + ")$")
		return m
	}
	re, open := "^", false
	for _, s := range strings.Split(pattern[1:], "/") {
		inner := regexp.MustCompile(`^(.*?)(?:\{(\w+)\}|(\*))(.*)$`).FindStringSubmatch(s)
		switch {
		case s == "**":
			re, open = re+"(?:/.*)?", true
		case strings.HasSuffix(s, "...}"):
			re, open = re+"(?:/(?P<"+s[1:len(s)-4]+">.*))?", true
		case inner == nil:
			re += "/" + regexp.QuoteMeta(s)
			m.key = append(m.key, [3]int{1, 0, 0})
		default:
			group := "(?:"
			if inner[2] != "" {
				group = "(?P<" + inner[2] + ">"
			}
			re += "/" + regexp.QuoteMeta(inner[1]) + group + "(?:[^/%]|%[0-9A-F]{2})+)" + regexp.QuoteMeta(inner[4])
			if text := len(inner[1]) + len(inner[4]); text > 0 {
				m.key = append(m.key, [3]int{2, -text, -len(inner[1])})
			} else {
				m.key = append(m.key, [3]int{4, 0, 0})
			}
		}
	}
	last := [3]int{0, 0, 0}
	if open {
		last[0] = 5
	}
	m.key = append(m.key, last)
	m.re = regexp.MustCompile(re + "$")
	return m
}

// modelRule is a rule and its pattern as text.
type modelRule struct {
	Rule
	pattern string
	path    modelPath
}

// hostKey returns the precedence of the best host of m that matches, or no.
func (m *modelRule) hostKey(host string) (key int, ok bool) {
	if len(m.Hosts) == 0 {
		return 1000, true
	}
	key = 2000
	for _, pattern := range m.Hosts {
		switch {
		case pattern == host:
			key = 0
		case pattern == "*":
			key = min(key, 1000)
		case strings.HasPrefix(pattern, "*.") && strings.HasSuffix(host, pattern[1:]) && host != pattern[1:]:
			key = min(key, 500-len(pattern))
		}
	}
	return key, key < 2000
}

// matches reports whether m matches r in all but the host.
func (m *modelRule) matches(r *Request, method string) bool {
	if !m.path.re.MatchString(r.Path) {
		return false
	}
	if len(m.Methods) > 0 && !slices.Contains(m.Methods, method) && !(method == "HEAD" && slices.Contains(m.Methods, "GET")) {
		return false
	}
	query := modelQuery(r.RawQuery)
	cookies := map[string][]string{}
	for _, c := range (&http.Request{Header: r.Header}).Cookies() {
		cookies[c.Name] = append(cookies[c.Name], c.Value)
	}
	for _, v := range m.Headers {
		if !modelHolds(v, r.Header.Values(v.Name)) {
			return false
		}
	}
	for _, v := range m.Queries {
		if !modelHolds(v, query[v.Name]) {
			return false
		}
	}
	for _, v := range m.Cookies {
		if !modelHolds(v, cookies[v.Name]) {
			return false
		}
	}
	inside := len(m.Addresses) == 0
	for _, prefix := range m.Addresses {
		inside = inside || prefix.Contains(r.Client)
	}
	return inside && (m.When == nil || m.When(r))
}

// modelQuery parses a query as package url does, but that a malformed value is there without being equal to anything.
func modelQuery(raw string) url.Values {
	values := url.Values{}
	for _, pair := range strings.Split(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if pair == "" || err != nil {
			continue
		}
		if value, err = url.QueryUnescape(value); err != nil {
			value = "malformed"
		}
		values.Add(name, value)
	}
	return values
}

// distinctRules drops conditions that are given twice, since they count once.
func distinctRules(list []ValueRule) (out []ValueRule) {
	for _, v := range list {
		if !slices.ContainsFunc(out, func(o ValueRule) bool {
			return o.Name == v.Name && o.Present == v.Present && o.Is == v.Is && (o.Matches == nil) == (v.Matches == nil)
		}) {
			out = append(out, v)
		}
	}
	return out
}

func modelHolds(v ValueRule, values []string) bool {
	switch {
	case v.Present != 0:
		return (len(values) > 0) == (v.Present == 1)
	case v.Matches != nil:
		return slices.ContainsFunc(values, v.Matches.MatchString)
	}
	return slices.Contains(values, v.Is)
}

// key returns what precedence compares once m matches: smaller numbers first.
func (m *modelRule) keyFor(r *Request) (keys [][3]int, name string) {
	host, _ := m.hostKey(r.Host)
	headers, queries, cookies := distinctRules(m.Headers), distinctRules(m.Queries), distinctRules(m.Cookies)
	method := -2
	if len(m.Methods) == 0 {
		method = 0
	} else if r.Method == "HEAD" && !slices.Contains(m.Methods, "HEAD") {
		method = -1
	}
	address := 1
	for _, prefix := range m.Addresses {
		if bits := -prefix.Bits(); address == 1 || bits > address {
			address = bits
		}
	}
	when, exact := 0, 0
	if m.When != nil {
		when = -1
	}
	for _, v := range slices.Concat(headers, queries, cookies) {
		if v.Present == 0 && v.Matches == nil {
			exact--
		}
	}
	keys = append([][3]int{{host, 0, 0}}, m.path.key...)
	// A path's key ends where the paths differ or are equal, so what follows lines up.
	return append(keys, [3]int{method, -len(headers), -len(queries)}, [3]int{-len(cookies), address, when}, [3]int{exact, 0, 0}), m.Name
}

// find returns the index of the rule that wins r, or -1.
func find(rules []modelRule, r *Request) int {
	best := -1
	for i := range rules {
		if _, ok := rules[i].hostKey(r.Host); !ok || !rules[i].matches(r, r.Method) {
			continue
		}
		if best < 0 || before(&rules[i], &rules[best], r) {
			best = i
		}
	}
	return best
}

func before(a, b *modelRule, r *Request) bool {
	keyA, nameA := a.keyFor(r)
	keyB, nameB := b.keyFor(r)
	order := slices.CompareFunc(keyA, keyB, func(x, y [3]int) int { return slices.Compare(x[:], y[:]) })
	return order < 0 || order == 0 && nameA < nameB
}

// params returns the parameters of r's path by the pattern's expression.
func (m *modelRule) params(r *Request) map[string]string {
	params := map[string]string{}
	found := m.path.re.FindStringSubmatch(r.Path)
	for i, name := range m.path.re.SubexpNames() {
		if name != "" {
			params[name], _ = url.PathUnescape(found[i])
		}
	}
	return params
}

var texts = rapid.SampledFrom([]string{"a", "b", "ab", "v1", "v1.b", "a%2Fb", "caf%C3%A9"})

func drawPattern(t *rapid.T) string {
	if rapid.IntRange(0, 6).Draw(t, "regex") == 0 {
		return rapid.SampledFrom(slices.Sorted(keys(expressions))).Draw(t, "expression")
	}
	pattern := ""
	for i := range rapid.IntRange(0, 3).Draw(t, "segments") {
		name := string(rune('p' + i))
		pattern += "/" + rapid.OneOf(texts, rapid.SampledFrom([]string{
			"*", "{" + name + "}", "v{" + name + "}", "{" + name + "}.b", "v{" + name + "}.b", "*b", "{" + name + "}A9", "{" + name + "}9", "a{" + name + "}",
		})).Draw(t, "segment")
	}
	end := []string{"/", "/**", "/{rest...}"}
	if pattern != "" {
		end = append(end, "")
	}
	return pattern + rapid.SampledFrom(end).Draw(t, "end")
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}

func drawValues(t *rapid.T, label string) []ValueRule {
	if rapid.IntRange(0, 2).Draw(t, label) > 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ValueRule {
		v := ValueRule{Name: rapid.SampledFrom([]string{"X-A", "X-B"}).Draw(t, "name")}
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			v.Present = rapid.SampledFrom([]int8{-1, 1}).Draw(t, "present")
		case 1:
			v.Matches = regexp.MustCompile("^[01 ]+$")
		default:
			v.Is = rapid.SampledFrom([]string{"0", "1", "2 3", ""}).Draw(t, "is")
		}
		return v
	}), 1, 2).Draw(t, label)
}

func drawHosts(t *rapid.T) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"a.b.c", "b.c", "*.b.c", "*.c", "*.a.b.c", "*"}), 0, 2).Draw(t, "hosts")
}

// drawRule draws a rule. Narrow ones all have the same host and path, and so meet in one leaf.
func drawRule(t *rapid.T, narrow bool) modelRule {
	m := modelRule{pattern: "/a"}
	if !narrow {
		m.pattern = drawPattern(t)
	}
	m.Path, _ = ParsePath(m.pattern)
	m.path = newModelPath(m.pattern)
	m.Name = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name")
	if !narrow && rapid.Bool().Draw(t, "plain") {
		return m
	}
	if !narrow {
		m.Hosts = drawHosts(t)
	}
	m.Methods = rapid.SliceOfN(rapid.SampledFrom([]string{"GET", "HEAD", "POST", "X"}), 0, 2).Draw(t, "methods")
	m.Headers, m.Queries, m.Cookies = drawValues(t, "headers"), drawValues(t, "queries"), drawValues(t, "cookies")
	m.Addresses = rapid.SliceOfN(rapid.SampledFrom([]netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.1.2.3/32"),
	}), 0, rapid.IntRange(0, 2).Draw(t, "networks")).Draw(t, "addresses")
	if n := rapid.IntRange(0, 7).Draw(t, "when"); n < 2 {
		m.When = func(r *Request) bool { return (len(r.RawQuery)+len(r.Path))%2 == n }
		m.WhenText = string(rune('0' + n))
	}
	return m
}

func drawRequest(t *rapid.T, narrow bool) *Request {
	r := &Request{
		Method: rapid.SampledFrom([]string{"GET", "HEAD", "POST", "X", "Y"}).Draw(t, "method"),
		Host:   rapid.SampledFrom([]string{"a.b.c", "b.c", "c", "x.a.b.c", "x.b.c", "d", "", ".b.c"}).Draw(t, "host"),
		Path:   "/" + strings.Join(rapid.SliceOfN(rapid.OneOf(texts, rapid.Just("")), 0, 4).Draw(t, "path"), "/"),
		Header: http.Header{}, Params: &Params{},
		Client: netip.MustParseAddr(rapid.SampledFrom([]string{"10.1.2.3", "10.1.2.4", "10.2.0.1", "11.0.0.1"}).Draw(t, "client")),
	}
	if narrow {
		r.Path = "/a"
	}
	value := rapid.SampledFrom([]string{"0", "1", "2 3", ""})
	name := rapid.SampledFrom([]string{"X-A", "X-B"})
	r.RawQuery = strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"X-A=1", "X-A=2+3", "X-%41=0", "X-B=%31", "X-B", "X-B=%zz", "", "y"}), 0, 3).Draw(t, "query"), "&")
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		r.Header.Add(name.Draw(t, "name"), value.Draw(t, "value"))
	}
	for range rapid.IntRange(0, 2).Draw(t, "cookies") {
		r.Header.Add("Cookie", name.Draw(t, "name")+"="+value.Draw(t, "value")+"; "+name.Draw(t, "name")+`="1"`)
	}
	return r
}

// agree is the property: for any rules and requests the table does what the model does.
func agree(t *rapid.T, rulesMin, requestsMin int) {
	narrow := rapid.IntRange(0, 3).Draw(t, "narrow") == 3
	model := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) modelRule { return drawRule(t, narrow) }), rulesMin, 40).Draw(t, "rules")
	rules := make([]Rule, len(model))
	for i := range model {
		model[i].Value = i
		rules[i] = model[i].Rule
	}
	table, conflicts := New(rules)
	for _, r := range rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *Request { return drawRequest(t, narrow) }), requestsMin, 40).Draw(t, "requests") {
		checkMatch(t, table, model, r)
		checkMethods(t, table, model, r)
		checkExplain(t, table, model, r)
		for _, c := range conflicts {
			if find(model, r) == c.B {
				t.Fatalf("%s %s %s is won by rule %d, which is reported never to win: %s", r.Method, r.Host, r.Path, c.B, c.Reason)
			}
		}
	}
}

func checkMatch(t *rapid.T, table *Table, model []modelRule, r *Request) {
	want := find(model, r)
	got, ok := table.Match(r)
	if !ok {
		got = -1
	}
	if got != want {
		t.Fatalf("%s %s %s?%s: got rule %d, want %d", r.Method, r.Host, r.Path, r.RawQuery, got, want)
	}
	params := map[string]string{}
	if want >= 0 {
		params = model[want].params(r)
	}
	if r.Params.Len() != len(params) {
		t.Fatalf("%s on %s: %d params, want %v", model[want].pattern, r.Path, r.Params.Len(), params)
	}
	for name, value := range params {
		if got, ok := r.Params.Get(name); !ok || got != value {
			t.Fatalf("%s on %s: param %s is %q, want %q", model[want].pattern, r.Path, name, got, value)
		}
	}
}

func checkMethods(t *rapid.T, table *Table, model []modelRule, r *Request) {
	allowed := table.Methods(r)
	for _, method := range []string{"GET", "HEAD", "POST", "X"} {
		other := *r
		other.Method = method
		found := find(model, &other) >= 0
		if method == "X" && found { // rules for any method do not list it
			continue
		}
		if slices.Contains(allowed, method) != found {
			t.Fatalf("%s %s: methods %v, but a route for %s is %v", r.Host, r.Path, allowed, method, found)
		}
	}
}

func checkExplain(t *rapid.T, table *Table, model []modelRule, r *Request) {
	e := table.Explain(r, 1000)
	want := find(model, r)
	if e.Matched != (want >= 0) || e.Matched && e.Winner.Rule != want {
		t.Fatalf("%s %s %s: explained as %+v, want rule %d", r.Method, r.Host, r.Path, e.Winner, want)
	}
	for _, c := range e.Nearer {
		m := &model[c.Rule]
		if _, ok := m.hostKey(r.Host); ok && m.matches(r, r.Method) || c.Failed.Kind == "" {
			t.Fatalf("%s %s %s: rule %d matches, but is explained as failed by %+v", r.Method, r.Host, r.Path, c.Rule, c.Failed)
		}
	}
}

func TestTableAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { agree(t, 15, 20) })
}

// FuzzMatch is the property under fuzzing. Run it with -fuzzminimizetime 5x: the order of maps makes coverage vary, on
// which the engine would otherwise spend all its time.
func FuzzMatch(f *testing.F) {
	for seed := range 16 {
		data := make([]byte, 2048)
		state := uint32(seed + 1)
		for i := range data {
			state = state*1664525 + 1013904223
			data[i] = byte(state >> 24)
		}
		f.Add(data)
	}
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { agree(t, 1, 1) }))
}
