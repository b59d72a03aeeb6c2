package suite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// patience is how long a request may take.
const patience = 10 * time.Second

// Outcome is what became of a scenario.
type Outcome int

const (
	Passed   Outcome = iota
	Failed           // what must hold does not
	Untested         // what the scenario needs did not happen: most often, nothing was stored
)

func (o Outcome) String() string { return [...]string{"passed", "failed", "untested"}[o] }

// Result is the outcome of a scenario.
type Result struct {
	Scenario *Scenario
	Outcome  Outcome
	Reason   string // why it did not pass, with the number of the step
}

// Cache is what is tested.
type Cache struct {
	Addr   string  // where it listens
	Origin *Origin // which it forwards to
	Name   string  // letters and digits that no other run against the origin has
}

// Run plays scenarios, many at once, and returns their results in the same order.
func (c Cache) Run(ctx context.Context, scenarios []Scenario, atOnce int) []Result {
	results := make([]Result, len(scenarios))
	next := make(chan int)
	var wait sync.WaitGroup
	for range atOnce {
		wait.Go(func() {
			for i := range next {
				results[i] = c.Play(ctx, &scenarios[i])
			}
		})
	}
	for _, waiting := range []bool{true, false} { // those that wait begin first: the others run meanwhile
		for i := range scenarios {
			if scenarios[i].waits() == waiting {
				next <- i
			}
		}
	}
	close(next)
	wait.Wait()
	return results
}

func (s *Scenario) waits() bool {
	return slices.ContainsFunc(s.Steps, func(step Step) bool { return step.Wait > 0 })
}

// Slow says whether the scenario needs a machine that keeps up: it waits, or sends requests at the same time.
func (s *Scenario) Slow() bool {
	return s.waits() || slices.ContainsFunc(s.Steps, func(step Step) bool { return step.Clients > 1 || step.Answer.Delay > 0 })
}

// Play plays one scenario.
func (c Cache) Play(ctx context.Context, s *Scenario) Result {
	p := &play{scenario: s, cache: c, key: strings.ToLower(c.Name + "-" + s.ID), base: time.Now(), asked: map[int][]*http.Request{}}
	c.Origin.add(p)
	defer c.Origin.remove(p)
	for i := range s.Steps {
		if outcome, reason := p.step(ctx, i+1); outcome != Passed {
			return Result{s, outcome, reason}
		}
	}
	return Result{Scenario: s}
}

// play is a scenario that is being played.
type play struct {
	scenario *Scenario
	cache    Cache
	key      string
	base     time.Time

	mu      sync.Mutex
	current int // the step, counted from 1
	asked   map[int][]*http.Request
}

// record notes what the origin sees, and finds the step that it belongs to. A cache may ask in the background, without the fields of a client:
// then it is the current one.
func (p *play) record(r *http.Request) (int, *Step) {
	n, err := strconv.Atoi(r.Header.Get("Step"))
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || n < 1 || n > len(p.scenario.Steps) {
		n = p.current
	}
	p.asked[n] = append(p.asked[n], r)
	return n, &p.scenario.Steps[n-1]
}

func (p *play) path() string { return "/" + p.key + "/a" }

var moments = regexp.MustCompile(`\{now([+-][0-9a-z]+)?(\|[a-z0-9]+)?\}`)

// expand fills in times, path and host.
func (p *play) expand(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	text = strings.NewReplacer("{path}", p.path(), "{host}", p.cache.Addr).Replace(text)
	return moments.ReplaceAllStringFunc(text, func(m string) string {
		parts := moments.FindStringSubmatch(m)
		at := p.base.UTC()
		if d, err := time.ParseDuration(parts[1]); err == nil {
			at = at.Add(d)
		}
		switch parts[2] {
		case "|rfc850":
			return at.Format("Monday, 02-Jan-06 15:04:05 GMT")
		case "|asctime":
			return at.Format(time.ANSIC)
		case "|lower":
			return strings.ToLower(at.Format(http.TimeFormat))
		}
		return at.Format(http.TimeFormat)
	})
}

// step sends the requests of a step and checks what was seen.
func (p *play) step(ctx context.Context, n int) (Outcome, string) {
	step := &p.scenario.Steps[n-1]
	if step.Wait > 0 {
		select {
		case <-ctx.Done():
			return Untested, "the run was ended"
		case <-time.After(step.Wait):
		}
	}
	p.mu.Lock()
	p.current = n
	p.mu.Unlock()
	all := make([]*seen, max(1, step.Clients))
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i := range all {
		wait.Go(func() { all[i], errs[i] = p.send(ctx, n, step) })
	}
	wait.Wait()
	for i, s := range all {
		if errs[i] != nil {
			return Failed, fmt.Sprintf("step %d: no answer: %v", n, errs[i])
		}
		p.mu.Lock()
		s.asked = p.asked[n]
		p.mu.Unlock()
		for _, c := range step.Expect {
			if err := c.holds(s); err != nil {
				outcome := Failed
				if c.given || errors.As(err, new(needs)) {
					outcome = Untested
				}
				return outcome, fmt.Sprintf("step %d: %v", n, err)
			}
		}
	}
	return Passed, ""
}

// send sends one request, on a connection of its own, and reads the answer.
func (p *play) send(ctx context.Context, n int, step *Step) (*seen, error) {
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(ctx, "tcp", p.cache.Addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, p.requestText(n, step)); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: step.method()})
		if err != nil && (step.Answer.Cut || step.Answer.Hangup) { // a cache may end the connection where the origin did
			return &seen{step: n, header: http.Header{}, broken: err, expand: p.expand}, nil
		}
		if err != nil {
			return nil, err
		}
		if resp.StatusCode < 200 {
			continue
		}
		text, err := io.ReadAll(resp.Body)
		return &seen{step: n, status: resp.StatusCode, header: resp.Header, body: string(text), broken: err, expand: p.expand}, nil
	}
}

func (p *play) requestText(n int, step *Step) string {
	var b strings.Builder
	target, host := p.path()+step.Path, p.cache.Addr
	if step.Target != "" {
		target = p.expand(step.Target)
	}
	var fields strings.Builder
	for _, f := range step.Fields {
		if value, ok := strings.CutPrefix(f, "Host: "); ok {
			host = value
			continue
		}
		fields.WriteString(p.expand(f) + "\r\n")
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nStep: %d\r\n%s", step.method(), target, host, n, fields.String())
	if step.Body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(step.Body))
	}
	return b.String() + "\r\n" + step.Body
}
