package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"cardea.dev/cardea/filter"
)

const millisecond = time.Millisecond

// request is a request of which each call is told as "name begin end after…".
func request(took float64, calls ...string) Past {
	p := Past{RequestID: "id", TookMS: took, Status: 200, Time: time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC), Client: "192.0.2.1", Method: "GET", URL: "http://x/home"}
	for _, text := range calls {
		words := strings.Fields(text)
		var begin, end int
		_, _ = fmt.Sscan(words[1]+" "+words[2], &begin, &end)
		p.Calls = append(p.Calls, callOut(&filter.Call{
			Name: words[0], Upstream: "u", Method: "GET", Path: "/" + words[0], After: words[3:], Outcome: filter.CallOK, Status: 200,
			Begin: time.Duration(begin) * millisecond, End: time.Duration(end) * millisecond,
		}, p.Time))
	}
	return p
}

// critical are the names of the calls that the request has waited for.
func critical(p Past) string {
	var names []string
	for _, c := range p.Calls {
		if c.Critical {
			names = append(names, c.Call)
		}
	}
	return strings.Join(names, " ")
}

func TestCriticalPath(t *testing.T) {
	fails := func(p Past, i int, optional bool) Past {
		p.Calls[i].Outcome, p.Calls[i].Optional = filter.CallFails, optional
		return p
	}
	skipped := func(p Past, i int) Past {
		p.Calls[i].Outcome = filter.CallSkipped
		return p
	}
	for name, test := range map[string]struct {
		of   Past
		want string
	}{
		"one":                           {request(10, "a 0 10"), "a"},
		"the slower of two":             {request(20, "a 0 10", "b 0 20"), "b"},
		"what the last one waited for":  {request(50, "a 0 30", "b 0 20", "c 30 50 a b"), "a c"},
		"declared the other way round":  {request(50, "c 30 50 a b", "b 0 20", "a 0 30"), "c a"},
		"three levels":                  {request(90, "a 0 10", "b 10 60 a", "c 10 20 a", "d 60 90 b c"), "a b d"},
		"one that waited for its turn":  {request(40, "a 0 10", "b 0 15", "c 15 40"), "b c"},
		"one that was a little late":    {request(40, "a 0 10", "b 0 11", "c 12 40 a"), "a c"},
		"nothing that it could wait on": {request(40, "a 0 30 ghost"), "a"},
		"a required one that failed":    {fails(request(20, "a 0 10", "b 0 20"), 0, false), "a"},
		"an optional one that failed":   {fails(request(20, "a 0 10", "b 0 20"), 0, true), "b"},
		"the last one was not made":     {skipped(request(20, "a 0 10", "b 10 20 a"), 1), "a"},
		"none was begun":                {Past{Calls: []CallOut{{Call: "a", Outcome: filter.CallWaiting}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			readGraph(test.of.Calls)
			if got := critical(test.of); got != test.want {
				t.Errorf("%q, wanted %q", got, test.want)
			}
		})
	}
}

// TestGraphsOfAnyShape: no plan, however odd, keeps the reader from its end, or from a level above those that a call waits for.
func TestGraphsOfAnyShape(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var calls []CallOut
		n := 1 + r.IntN(filter.MaxCalls)
		for i := range n {
			c := CallOut{Call: fmt.Sprint(i), Outcome: filter.CallOK}
			for range r.IntN(i + 1) {
				c.After = append(c.After, fmt.Sprint(r.IntN(i)))
			}
			if r.IntN(4) > 0 {
				begin := float64(r.IntN(100))
				c.Time = &CallTime{BeginMS: begin, EndMS: begin + float64(r.IntN(50))}
			}
			calls = append(calls, c)
		}
		readGraph(calls)
		for i, c := range calls {
			for _, name := range c.After {
				var k int
				_, _ = fmt.Sscan(name, &k)
				if calls[k].Level >= c.Level {
					t.Fatalf("%s, of level %d, waits for %s of level %d", calls[i].Call, c.Level, name, calls[k].Level)
				}
			}
		}
		p := Past{Calls: calls}
		if text := p.Text(); strings.Count(text, "\n") < n {
			t.Fatal(text)
		}
	}
	circle := []CallOut{{Call: "a", After: []string{"b"}, Time: &CallTime{}}, {Call: "b", After: []string{"a"}, Time: &CallTime{}}}
	readGraph(circle)
}

// TestChart: calls stand below each other, as long as they took, with all that tells why.
func TestChart(t *testing.T) {
	p := request(400, "profile 0 40", "orders 0 300", "stock 300 390 orders", "reviews 40 60 profile", "ads 0 0")
	p.Calls[3].Outcome, p.Calls[3].Status, p.Calls[3].Code, p.Calls[3].Why, p.Calls[3].Optional = filter.CallDefault, 500, filter.CallFailed, "the answer is 500", true
	p.Calls[4].Outcome, p.Calls[4].When, p.Calls[4].Status = filter.CallSkipped, "profile.vip", 0
	p.Calls[2].Loop = &LoopOut{Times: 12, Made: 12, Shared: 2, Element: 3, Slowest: 3, SlowestMS: 80}
	p.Calls[1].Tries = 2
	p.Calls[1].Attempts = []AttemptOut{
		{Endpoint: "10.0.0.1:80", StartMS: 0, ConnectMS: 100, FirstMS: 150, Status: 503}, {Endpoint: "10.0.0.2:80", StartMS: 160, FirstMS: 140, Status: 200},
	}
	readGraph(p.Calls)
	want := `request id from 192.0.2.1 at 2026-11-27 03:00:00.000 +00:00
        GET http://x/home
route   none
answer  200, after 400.0 ms
calls   its time is that of orders (300.0 ms), then stock (90.0 ms), marked with *

             began at      took  0                                400.0 ms
    profile       0.0      40.0  █████                                      200
  * orders        0.0     300.0  ███████████████████████████████            200
      GET u/orders
      try 1 at 0.0 ms: 10.0.0.1:80 connected in 100.0 ms, answered 503 after 150.0 ms
      try 2 at 160.0 ms: 10.0.0.2:80 answered 200 after 140.0 ms
  * stock       300.0      90.0                                ██████████   200, 12 of 12 made, 2 had the answer of another, after orders
      element 3, the slowest: 80.0 ms: GET u/stock
    reviews      40.0      20.0      ███                                    failed with 500, its default stands in, after profile
      GET u/reviews
      call_failed: the answer is 500
    ads             -         -                                             not made: ` + "`when` did not hold" + `
`
	if got := p.Text(); got != want {
		t.Errorf("%s\nwanted\n%s", got, want)
	}
}

// big is a request that takes much room.
func big(i int, outcome filter.Outcome, took float64) Past {
	p := Past{RequestID: fmt.Sprint(i), Time: time.Now(), TookMS: took, URL: strings.Repeat("u", 100)}
	long := errors.New(strings.Repeat("w", 10_000))
	for range filter.MaxCalls {
		c := filter.Call{Name: "a", Outcome: outcome}
		c.At(long.Error())
		c.Because("x", long)
		for range 100 {
			c.Tried([]filter.Attempt{{Upstream: "u", Endpoint: "192.0.2.123:12345", Err: long}})
		}
		p.Calls = append(p.Calls, callOut(&c, p.Time))
	}
	return p
}

// TestMemoryIsBounded: however much there is to remember, it is bounded in number and bytes, and the latest are known. What is common does not drive out
// what is rare.
func TestMemoryIsBounded(t *testing.T) {
	r := newRecent(100)
	r.finish(big(1_000_000, filter.CallFails, 1))
	r.finish(big(1_000_001, filter.CallOK, slowMS))
	for i := range 60 {
		r.finish(big(i, filter.CallOK, 1))
	}
	for i := range 2000 {
		r.finish(Past{RequestID: fmt.Sprint("small", i)})
	}
	for _, id := range []string{"1000000", "1000001", "small1999", "small1000"} {
		if _, ok := r.find(id); !ok {
			t.Errorf("%s is not remembered", id)
		}
	}
	for _, id := range []string{"0", "59", "small0", ""} {
		if _, ok := r.find(id); ok {
			t.Errorf("%q is remembered", id)
		}
	}
	for i := range 60 {
		r.add(big(i, filter.CallFails, 1))
	}
	for name, m := range map[string]*memory{"failed": &r.failed, "slow": &r.slow, "fine": &r.fine} {
		sum := 0
		for i := range m.n {
			sum += m.ring[(m.first+i)%len(m.ring)].bytes
		}
		if m.bytes > m.most || m.n > m.count || len(m.byID) != m.n || sum != m.bytes || m.n == 0 {
			t.Errorf("%s: %d requests, %d ids, %d bytes (%d)", name, m.n, len(m.byID), m.bytes, sum)
		}
	}
	if r.failed.n >= 100 || r.failed.bytes < maxFailedBytes/2 {
		t.Errorf("%d requests that failed, of %d bytes", r.failed.n, r.failed.bytes)
	}
}

// TestTheEndOfARequestThatFailed: what was known of its failure stays, and its calls are there.
func TestTheEndOfARequestThatFailed(t *testing.T) {
	r := newRecent(3)
	at := time.Now()
	r.add(Past{RequestID: "a", Time: at, Code: filter.CallFailed, Status: 502, Detail: "d", Cause: "c"})
	r.finish(Past{RequestID: "a", Time: at, TookMS: 7, Calls: []CallOut{{Call: "x"}}})
	if p, ok := r.find("a"); !ok || p.Code != filter.CallFailed || p.Status != 502 || p.Cause != "c" || p.TookMS != 7 || len(p.Calls) != 1 || r.failed.n != 1 {
		t.Errorf("%+v %v", p, ok)
	}
	r.finish(Past{RequestID: "a", Time: at.Add(1), Status: 200, Calls: []CallOut{{Call: "x", Outcome: filter.CallFails}}}) // another with the same id
	if p, _ := r.find("a"); p.Code != "" || r.failed.n != 2 {
		t.Errorf("%+v", p)
	}
	for i := range 10 {
		r.add(Past{RequestID: fmt.Sprint(i)})
	}
	if _, ok := r.find("a"); ok || r.failed.n != 3 || len(r.failed.byID) != 3 {
		t.Errorf("%v %d", ok, r.failed.n)
	}
}

// TestTextsGiveTerminalsNoOrders: hostile ones may have words in causes.
func TestTextsGiveTerminalsNoOrders(t *testing.T) {
	p := request(10, "é 0 10")
	p.Cause, p.Calls[0].Outcome, p.Calls[0].Why = "bad\x1b[2J\r\nanswer", filter.CallFails, "\u202etxt\x9b"
	readGraph(p.Calls)
	text := p.Text()
	for _, c := range text {
		if unprintable(c) {
			t.Fatalf("%q", text)
		}
	}
	for _, want := range []string{"bad\\x1b[2J\\r\n        answer", "\\u202etxt\\ufffd", "█", "é"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestTheRestOfAHeadIsNotRemembered: texts of a request are parts of its head, which is not counted.
func TestTheRestOfAHeadIsNotRemembered(t *testing.T) {
	head := strings.Repeat("x", 1000)
	r := newRecent(3)
	r.add(Past{RequestID: head[:10], Method: head[10:20], LimitKey: head[20:30]})
	p, _ := r.find(head[:10])
	r.add(Past{RequestID: "long", Cause: strings.Repeat("é", 10<<20)})
	if long, _ := r.find("long"); len(long.Cause) > maxText+3 || !utf8.ValidString(long.Cause) {
		t.Errorf("a cause has %d bytes", len(long.Cause))
	}
	for i, text := range []string{p.RequestID, p.Method, p.LimitKey} {
		if unsafe.StringData(text) == unsafe.StringData(head[10*i:]) {
			t.Errorf("%d is a part of the head", i)
		}
	}
}
