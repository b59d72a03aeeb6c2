package expr

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
)

// longHeader returns an exchange whose field x is long.
func longHeader(ctx context.Context, n int) *filter.Exchange {
	r := &http.Request{Method: "GET", URL: &url.URL{Path: "/"}, Header: http.Header{"X": {strings.Repeat("a,", n)}}}
	return &filter.Exchange{Request: r.WithContext(ctx)}
}

// What could run for long is stopped by its cost.
func TestCostIsLimited(t *testing.T) {
	for _, source := range []string{
		`header.x.split(",").all(a, header.x.split(",").all(b, a + b != "b"))`,
		`cel.bind(a, header.x + header.x, cel.bind(b, a.replace("a", "aaaaaaaaaa"), size(b.replace("a", "aaaaaaaaaa")) > 0))`,
		`header.x.matches("(" + header.x + ")*b")`,
	} {
		condition, err := newExpressions(t).Condition(source)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		holds, err := condition(longHeader(t.Context(), 8000))
		if holds || err == nil {
			t.Errorf("%s: got %v, %v", source, holds, err)
		}
		t.Logf("%s: %v in %v", source, err, time.Since(start))
	}
}

// A loop ends when the client leaves.
func TestLoopIsInterrupted(t *testing.T) {
	condition, err := newExpressions(t).Condition(`header.x.split(",").all(a, a != "b")`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the client left")
	cancel(gone)
	if holds, err := condition(longHeader(ctx, 4000)); holds || !errors.Is(err, gone) {
		t.Errorf("got %v, %v", holds, err)
	}
	if holds, err := condition(longHeader(t.Context(), 4000)); !holds || err != nil {
		t.Errorf("got %v, %v", holds, err)
	}
}

func TestWhichExpressionsAreBounded(t *testing.T) {
	for source, want := range map[string]bool{
		`request.method == "GET" && header["x"].matches("^a+$") && ip_in(address, "::/0")`: false,
		`"a" in identity.groups || jwt.?a.orValue("") != ""`:                               false,
		`header.exists(k, k == "x")`:                                                       true,
		`header.x.matches(query.re)`:                                                       true,
		`header.x.replace("a", "b") == ""`:                                                 true,
	} {
		p, err := newExpressions(t).compile(source)
		if err != nil {
			t.Fatal(err)
		}
		if p.bounded != want {
			t.Errorf("%s: %v", source, p.bounded)
		}
	}
}

func TestSourceIsLimited(t *testing.T) {
	e := newExpressions(t)
	for _, source := range []string{
		strings.Repeat("(", 5000) + "true" + strings.Repeat(")", 5000),
		"true" + strings.Repeat(" || true", 20_000),
		`header.x.matches("(a{1000}){1000}")`,
		`header.x.replace("a", header.x) == ""`,
		`header.x.split(",").join(header.x) == ""`,
		"[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))",
	} {
		if _, err := e.Condition(source); err == nil {
			t.Errorf("%.40s… compiles", source)
		}
	}
}
