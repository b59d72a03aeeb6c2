//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"cardea.dev/cardea/bench/run/load"
)

// The tests' own program is its helpers too, as that of the benchmarks is.
func TestMain(m *testing.M) {
	if ran, err := help(os.Args[1:]); ran {
		exit(1, err)
		return
	}
	goleak.VerifyTestMain(m)
}

// The whole of it works: the service, the load generator, and a gateway that needs nothing installed, in cases that are unlike.
func TestMeasure(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	o, err := parse([]string{
		"-peers", "reverseproxy", "-cases", "get-1k,get-1m,post-64k,connect,tls", "-rounds", "1", "-time", "50ms", "-connections", "4", "-json",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = measure(t.Context(), o, &out, io.Discard)
	for err != nil && strings.Contains(err.Error(), "no request was answered") && o.time < time.Minute {
		o.time *= 4 // the machine is busy
		err = measure(t.Context(), o, &out, io.Discard)
	}
	if err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range report.Cases {
		names = append(names, c.Name)
		if c.Rate <= 0 || c.Direct.P50 <= 0 || len(c.Gateways) != 1 {
			t.Errorf("case %+v", c)
			continue
		}
		if g := c.Gateways[0]; g.Name != "reverseproxy" || g.CPU <= 0 || g.Ratio != 1 || g.Rate <= 0 || g.Busy <= 0 {
			t.Errorf("case %s: %+v", c.Name, g)
		}
	}
	if diff := cmp.Diff([]string{"get-1k", "get-1m", "post-64k", "connect", "tls"}, names); diff != "" {
		t.Error(diff)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A gateway that does something else than it is asked is not measured.
func TestVerify(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	b, err := openBench(settings{rounds: 1, time: time.Millisecond, cores: 1, connections: 1}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	c := cases[0].with([]peer{reverseProxy})
	c.contenders[0].all = true // it has no policies
	if _, err := b.run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "X-Tenant") {
		t.Errorf("error %v, want one about X-Tenant", err)
	}
	c = cases[0].with([]peer{reverseProxy})
	b.address = "127.0.0.1:1" // nothing is there
	if _, err := b.run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "502 Bad Gateway") {
		t.Errorf("error %v, want one about 502", err)
	}
}

func TestInterrupt(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	o, err := parse([]string{"-peers", "reverseproxy", "-cases", "get-1k"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := measure(ctx, o, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("error %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestMissingPeers(t *testing.T) {
	t.Chdir(t.TempDir()) // no bin/cardea here
	_, err := versionsOf([]peer{{name: "other", program: "no-such-gateway", missing: "install it"}, reverseProxy, cardea})
	want := "other is missing: install it\ncardea is missing: " + cardea.missing
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestParse(t *testing.T) {
	for args, want := range map[string]string{
		"-cases nothing":      `cannot find "nothing": there are get-1k, get-16k`,
		"-peers apache":       `cannot find "apache": there are nginx, haproxy, varnish, reverseproxy, byhand, cardea`,
		"-rounds 0":           "at least 1",
		"-time 0":             "at least 1ms",
		"get-1k":              `cannot use argument "get-1k"`,
		"-cases get-1k,tls":   "",
		"-peers cardea,nginx": "",
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		if got := ""; err != nil {
			got = err.Error()
			if want == "" || !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %q", args, got, want)
			}
		} else if want != "" {
			t.Errorf("%s: no error, want %q", args, want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 100}, 3.5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %g, want %g", c.values, got, c.want)
		}
	}
}

// Ratios are made in each round, so that a slow moment of the machine, which slows both, does not show.
func TestCaseReport(t *testing.T) {
	turn := func(requests int64, cpu, p99 time.Duration) load.Result {
		return load.Result{
			Requests: requests, Elapsed: time.Second, CPU: cpu, System: cpu / 4,
			Latency: load.Latency{P50: p99 / 2, P99: p99, P999: 2 * p99},
		}
	}
	const ms = time.Millisecond
	m := &measured{
		benchCase: benchCase{name: "x", about: "y", contenders: []contender{{peer: "nginx"}, {peer: "cardea", label: "c"}}},
		cores:     1, rate: 100,
		closed: map[string][]load.Result{
			"nginx": {turn(1000, 10*ms, 0), turn(1000, 20*ms, 0), turn(1000, 100*ms, 0)},
			"c":     {turn(2000, 10*ms, 0), turn(2000, 20*ms, 0), turn(2000, 200*ms, 0)},
		},
		open: map[string][]load.Result{
			direct:  {turn(1, 0, 1*ms), turn(1, 0, 2*ms), turn(1, 0, 9*ms)},
			"nginx": {turn(1, 0, 2*ms), turn(1, 0, 4*ms), turn(1, 0, 10*ms)},
			"c":     {turn(1, 0, 4*ms), turn(1, 0, 5*ms), turn(1, 0, 11*ms)},
		},
	}
	want := CaseReport{
		Name: "x", About: "y", Cores: 1, Reference: "nginx", Rate: 100, Direct: Percentiles{1000, 2000, 4000},
		Gateways: []GatewayReport{
			{Name: "nginx", CPU: 20, Ratio: 1, Spread: [2]float64{1, 1}, System: 0.25, Rate: 1000, Busy: 0.02, Added: Percentiles{500, 1000, 2000}},
			{Name: "c", CPU: 10, Ratio: 0.5, Spread: [2]float64{0.5, 1}, System: 0.25, Rate: 2000, Busy: 0.02, Added: Percentiles{1500, 3000, 6000}},
		},
	}
	if diff := cmp.Diff(want, m.caseReport()); diff != "" {
		t.Error(diff)
	}
	var text strings.Builder
	if err := (&Report{Machine: "m", Cases: []CaseReport{want}}).writeText(&text); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"x: y (1 core)", "10.0   0.50  0.50–1.00", "direct at 100/s", "+1500   +3000"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("no %q in\n%s", part, text.String())
		}
	}
}

func TestPaths(t *testing.T) {
	c := benchCase{segment: "1k"}
	many := c.paths(100_000)
	if len(many) != 1000 || many[999] != "/api/v1/service-99900/1k" {
		t.Errorf("%d paths, the last %s", len(many), many[len(many)-1])
	}
	if diff := cmp.Diff([]string{"/1k"}, c.paths(0)); diff != "" {
		t.Error(diff)
	}
	if few := c.paths(10); len(few) != 10 || few[9] != "/api/v1/service-9/1k" {
		t.Errorf("%v", few)
	}
}

// Connections that wait are counted, and still work afterwards.
func TestIdle(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	o, err := parse([]string{"-peers", "reverseproxy", "-cases", "idle", "-idle", "200", "-json"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	o.settle = time.Millisecond
	var out bytes.Buffer
	if err := measure(t.Context(), o, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if report.Idle == nil || report.Idle.Connections != 200 || len(report.Idle.Gateways) != 1 || report.Idle.Gateways[0].Empty <= 0 {
		t.Errorf("got %s", out.Bytes())
	}
}

func TestSlope(t *testing.T) {
	if got := slope([]float64{0, 10, 20}, []float64{100, 130, 160}); got != 3 {
		t.Errorf("got %v, want 3", got)
	}
}

// What is written by hand makes the same pages.
func TestPages(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	b, err := openBench(settings{time: time.Millisecond, cores: 1, connections: 1}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	for _, c := range cases {
		if c.contenders[0].peer != byHand.name {
			continue
		}
		if _, err := b.run(t.Context(), c.with([]peer{byHand})); err != nil { // in no round: it is only verified
			t.Error(err)
		}
	}
}
