package deprecation

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/observe"
)

// newFilter builds the policy from its configuration as a user writes it.
func newFilter(t testing.TB, text string) (*filter.Filter, *observe.Metrics, error) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	return f, env.Metrics, err
}

// count is how many requests were counted.
func count(t *testing.T, metrics *observe.Metrics) float64 {
	t.Helper()
	var m dto.Metric
	counter := metrics.Counter("deprecated_requests_total", "Requests for routes that are deprecated, by route.", "route").WithLabelValues("r")
	if err := counter.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

const full = `
since: 2026-01-01
sunset: 2026-12-31T13:00:00+01:00
link: https://example.com/docs/v1
policy: /sunset
successor: https://api.example.com/v2?a=b
`

// result is what became of a request.
type result struct {
	Header http.Header
	Error  *filter.Error
	Count  float64
	Note   filter.Verdict
}

func TestExchange(t *testing.T) {
	fields := http.Header{
		"Deprecation": {"@1767225600"},
		"Sunset":      {"Thu, 31 Dec 2026 12:00:00 GMT"},
		"Link": {
			`<https://example.com/docs/v1>; rel="deprecation"`, `</sunset>; rel="sunset"`,
			`<https://api.example.com/v2?a=b>; rel="successor-version"`,
		},
	}
	with := func(name string, values ...string) http.Header {
		h := fields.Clone()
		h[name] = values
		return h
	}
	const note = "deprecated since 2026-01-01, sunset 2026-12-31T13:00:00+01:00"
	for name, test := range map[string]struct {
		config string
		now    string
		header http.Header
		want   result
	}{
		"short": {"2026-01-01", "2026-06-01T00:00:00Z", nil, result{
			http.Header{"Deprecation": {"@1767225600"}}, nil, 1, filter.Verdict{Action: filter.Passes, Note: "deprecated since 2026-01-01"},
		}},
		"short with links of the upstream": {"2026-01-01", "2026-06-01T00:00:00Z", http.Header{"Link": {"</a>"}}, result{
			http.Header{"Deprecation": {"@1767225600"}, "Link": {"</a>"}}, nil, 1, filter.Verdict{Action: filter.Passes, Note: "deprecated since 2026-01-01"},
		}},
		"full":      {full, "2026-06-01T00:00:00Z", nil, result{fields, nil, 1, filter.Verdict{Action: filter.Passes, Note: note}}},
		"announced": {full, "2025-06-01T00:00:00Z", nil, result{fields, nil, 0, filter.Verdict{Action: filter.Passes, Note: note}}},
		"past the sunset, served": {full, "2027-06-01T00:00:00Z", nil, result{
			fields, nil, 1, filter.Verdict{Action: filter.Passes, Note: note},
		}},
		"the upstream's own": {full, "2026-06-01T00:00:00Z", http.Header{"Deprecation": {"true"}, "Sunset": {"soon"}, "Link": {"</a>"}}, result{
			with("Link", append([]string{"</a>"}, fields["Link"]...)...), nil, 1, filter.Verdict{Action: filter.Passes, Note: note},
		}},
		"gone": {full + "gone: true", "2026-12-31T12:00:00Z", nil, result{
			fields,
			&filter.Error{Code: filter.Gone, Detail: "This came to its end at 2026-12-31T13:00:00+01:00. Use https://api.example.com/v2?a=b instead."},
			1,
			filter.Verdict{Action: filter.Rejects, Note: note + ", and gone since"},
		}},
		"not yet gone": {full + "gone: true", "2026-12-31T11:59:59.999Z", nil, result{
			fields, nil, 1, filter.Verdict{Action: filter.Passes, Note: note},
		}},
		"gone, without a successor": {"{since: 2026-01-01, sunset: 2026-01-02, gone: true}", "2026-12-31T12:00:00Z", nil, result{
			http.Header{"Deprecation": {"@1767225600"}, "Sunset": {"Fri, 02 Jan 2026 00:00:00 GMT"}},
			&filter.Error{Code: filter.Gone, Detail: "This came to its end at 2026-01-02."},
			1,
			filter.Verdict{Action: filter.Rejects, Note: "deprecated since 2026-01-01, sunset 2026-01-02, and gone since"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f, metrics, err := newFilter(t, test.config)
			if err != nil {
				t.Fatal(err)
			}
			now, err := time.Parse(time.RFC3339, test.now)
			if err != nil {
				t.Fatal(err)
			}
			ex := &filter.Exchange{Start: now, Response: &http.Response{Header: test.header.Clone()}}
			if ex.Response.Header == nil {
				ex.Response.Header = http.Header{}
			}
			got := result{Note: f.Explain(ex)}
			if err := f.Request(ex); err != nil {
				got.Error = filter.AsError(err)
			}
			if err := f.Response(ex); err != nil {
				t.Fatal(err)
			}
			got.Header = ex.Response.Header
			got.Count = count(t, metrics)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Who appends to a field of one answer must not change another's.
func TestAnswersShareNothing(t *testing.T) {
	f, _, _ := newFilter(t, full)
	first, second := http.Header{}, http.Header{}
	_ = f.Response(&filter.Exchange{Response: &http.Response{Header: first}})
	first.Add("Link", "</first>")
	_ = f.Response(&filter.Exchange{Response: &http.Response{Header: second}})
	second.Add("Link", "</second>")
	if got := first["Link"][3]; got != "</first>" {
		t.Errorf("the first answer has %s", got)
	}
	own := make([]string, 1, 8)
	own[0] = "</own>"
	third := http.Header{"Link": own}
	_ = f.Response(&filter.Exchange{Response: &http.Response{Header: third}})
	if got := own[:2][1]; got != "" {
		t.Errorf("%q was written into what the upstream's answer may share", got)
	}
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                   "since",
		"{sunset: 2026-01-01}": "since",
		"soon":                 "neither a day nor a time",
		"1969-01-01":           "before 1970",
		"2026-13-01":           "neither a day nor a time",
		"2026-01-01T12:00:00":  "neither a day nor a time",
		"{since: 2026-01-02, sunset: 2026-01-01}":            "before the deprecation",
		"{since: 2026-01-02, gone: true}":                    "needs a `sunset`",
		`{since: 2026-01-02, link: "a b"}`:                   "must be escaped",
		`{since: 2026-01-02, link: "/a>; rel=\"x\", <b"}`:    "must be escaped",
		`{since: 2026-01-02, link: "/a\r\nb: c"}`:            "must be escaped",
		`{since: 2026-01-02, policy: "javascript:alert(1)"}`: "neither an http or https URL nor a path",
		`{since: 2026-01-02, successor: "//evil.com/x"}`:     "neither an http or https URL nor a path",
		`{since: 2026-01-02, successor: "https:///x"}`:       "neither an http or https URL nor a path",
	} {
		_, _, err := newFilter(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want … %s …", text, err, want)
		}
		var errs config.Errors
		if err != nil && !errors.As(err, &errs) {
			t.Errorf("%s: the error has no place: %v", text, err)
		}
	}
}

func TestAllocations(t *testing.T) {
	f, _, _ := newFilter(t, full)
	h := http.Header{}
	ex := &filter.Exchange{Start: time.Now(), Response: &http.Response{Header: h}}
	if n := testing.AllocsPerRun(100, func() { clear(h); _, _ = f.Request(ex), f.Response(ex) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkExchange(b *testing.B) {
	f, _, _ := newFilter(b, full)
	h := http.Header{}
	ex := &filter.Exchange{Start: time.Now(), Response: &http.Response{Header: h}}
	b.ReportAllocs()
	for b.Loop() {
		clear(h)
		_, _ = f.Request(ex), f.Response(ex)
	}
}
