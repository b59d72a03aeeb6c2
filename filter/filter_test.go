package filter_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"cardea.dev/cardea/filter"
)

func TestEveryCodeSaysWhatFollows(t *testing.T) {
	seen := map[filter.Code]bool{}
	for _, c := range filter.Codes() {
		if seen[c.Code] {
			t.Errorf("%s stands twice in the table", c.Code)
		}
		seen[c.Code] = true
		if c.Status < 300 || c.Status > 599 || c.Title == "" || c.Detail == "" || c.Source == "" {
			t.Errorf("%s is not complete: %+v", c.Code, c)
		}
		if c.Source == filter.FromClient && c.Status >= 500 || c.Source != filter.FromClient && c.Status < 500 {
			t.Errorf("%s has status %d and is caused by the %s", c.Code, c.Status, c.Source)
		}
		if c.Retry && c.Source != filter.FromUpstream {
			t.Errorf("%s is not the upstream's, and another endpoint would not help", c.Code)
		}
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("refused")
	e := filter.Reject(filter.UpstreamConnectFailed, "no %s", "luck").Because(cause).With("Retry-After", "1")
	if e.Error() != "upstream_connect_failed: no luck: refused" || !errors.Is(e, cause) || e.HTTPStatus() != 502 || e.Header.Get("Retry-After") != "1" {
		t.Errorf("got %v, %d, %v", e, e.HTTPStatus(), e.Header)
	}
	if got := filter.AsError(cause); got.Code != filter.InternalError || !errors.Is(got, cause) {
		t.Errorf("a plain error became %v", got)
	}
	own := &filter.Error{Code: "teapot", Status: http.StatusTeapot}
	if info := own.Info(); info.Status != 418 || info.Source != filter.FromClient || info.Title != "I'm a teapot" {
		t.Errorf("a policy's own code: %+v", info)
	}
}

func TestTheNearestLimitEndsAnExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := http.NewRequestWithContext(context.Background(), "GET", "/", nil)
		ex := &filter.Exchange{Request: r, Start: time.Now()}
		late, later := errors.New("late"), errors.New("later")
		ex.Limit(time.Second, late)
		ex.Limit(time.Minute, later)
		<-ex.Context().Done()
		if took := time.Since(ex.Start); took != time.Second || !errors.Is(context.Cause(ex.Context()), late) {
			t.Errorf("it ended after %s for %v", took, context.Cause(ex.Context()))
		}
		ex.Release()
	})
}

func TestSlotsAreAnExchangesOwn(t *testing.T) {
	env := &filter.Env{}
	numbers, words := filter.NewSlot[int](env), filter.NewSlot[string](env)
	one, two := &filter.Exchange{}, &filter.Exchange{}
	one.Prepare(env.Slots())
	two.Prepare(env.Slots())
	n, w := 7, "seven"
	numbers.Set(one, &n)
	words.Set(one, &w)
	if *numbers.Get(one) != 7 || *words.Get(one) != "seven" || numbers.Get(two) != nil {
		t.Error("slots are mixed up")
	}
	one.Release()
	one.Prepare(env.Slots())
	if numbers.Get(one) != nil {
		t.Error("a slot outlived its exchange")
	}
}

func TestAChildHasItsOwnRequest(t *testing.T) {
	env := &filter.Env{}
	slot := filter.NewSlot[int](env)
	parent := &filter.Exchange{ID: "1", Identity: &filter.Identity{Subject: "ada"}}
	parent.Prepare(env.Slots())
	n := 1
	slot.Set(parent, &n)
	r, _ := http.NewRequest("GET", "/", nil)
	child := parent.Child(r)
	child.Attempts = append(child.Attempts, filter.Attempt{Upstream: "u"})
	if child.Request != r || child.Identity.Subject != "ada" || child.ID != "1" || slot.Get(child) != nil || parent.Last() != nil || child.Last().Upstream != "u" {
		t.Errorf("child %+v", child)
	}
}

// listed are parameters that can be gone through, as those of the router can.
type listed struct{ name, value string }

func (l *listed) Get(string) (string, bool)   { return l.value, true }
func (l *listed) Len() int                    { return 1 }
func (l *listed) At(int) (name, value string) { return l.name, l.value }

func TestWhatIsDetachedOutlivesItsExchange(t *testing.T) {
	env := &filter.Env{}
	slot := filter.NewSlot[int](env)
	r, _ := http.NewRequest("POST", "/x", http.NoBody)
	r.Header.Set("A", "1")
	r.ContentLength = 5
	params := &listed{"id", "7"}
	ex := &filter.Exchange{Request: r, ID: "1", Params: params}
	ex.Prepare(env.Slots())
	ctx, cancel := context.WithCancel(context.Background())
	own := ex.Detach(ctx)
	r.Header.Set("A", "2")
	params.value = "8"
	ex.Release()
	n := 1
	slot.Set(own, &n)
	again := own.Detach(ctx)
	if own.Request.Header.Get("A") != "1" || own.Param("id") != "7" || own.Param("other") != "" || own.ID != "1" || own.Request.ContentLength != 0 || again.Param("id") != "7" {
		t.Errorf("%+v", own)
	}
	cancel()
	if own.Context().Err() == nil {
		t.Error("it has another context")
	}
}
