package suite

import (
	"errors"
	"fmt"
	"time"
)

var errWhole = errors.New("the client took the answer for whole")

// staleness is about what caches do with stale answers.
func staleness() []Scenario {
	hangup := func(a *Answer) { a.Hangup = true }
	stored := func(directives string) Step { return get().answered("Cache-Control: "+directives, tag) }
	later := func(fields ...string) Step { return get(fields...).after(pastSecond) }
	var all []Scenario
	add := func(id, section string, kind Kind, about string, directives string, asks Step, checks ...Check) {
		all = append(all, Scenario{"stale-" + id, section, kind, about, steps(stored(directives), asks.then(checks...))})
	}
	for _, code := range []int{500, 502, 503, 504} {
		add(fmt.Sprintf("if-error-%d", code), "5861 4", Recommended, fmt.Sprintf("stale-if-error allows what is stale in place of %d", code),
			"max-age=1, stale-if-error=600", later().gives(code), from(1), status(200))
		add(fmt.Sprintf("%d", code), "9111 4.2.4", Optional, fmt.Sprintf("an error %d is passed on, where nothing allows what is stale", code), "max-age=1", later().gives(code), notFrom(1))
	}
	add("if-error-hangup", "5861 4", Recommended, "stale-if-error allows what is stale in place of no answer", "max-age=1, stale-if-error=600", later().with(hangup), from(1), status(200))
	add("if-error-404", "5861 4", Required, "404 is no error for stale-if-error", "max-age=1, stale-if-error=600", later().gives(404), status(404))
	add("if-error-over", "5861 4", Recommended, "stale-if-error ends", "max-age=1, stale-if-error=0", later().gives(503), notFrom(1))
	add("if-error-must-revalidate", "9111 5.2.2.2", Required, "must-revalidate counts before stale-if-error", "max-age=1, stale-if-error=600, must-revalidate", later().gives(503), notFrom(1))
	add("if-error-no-cache", "9111 5.2.2.4", Required, "no-cache counts before stale-if-error", "no-cache, stale-if-error=600", later().gives(503), notFrom(1))
	add("if-error-s-maxage", "9111 5.2.2.10", Required, "s-maxage counts before stale-if-error", "s-maxage=1, stale-if-error=600", later().gives(503), notFrom(1))
	add("if-error-request", "5861 4", Optional, "stale-if-error of a request allows what is stale in place of an error", "max-age=1", later("Cache-Control: stale-if-error=600").gives(503), from(1))
	add("if-error-age", "9111 4", Required, "what is stale has its Age", "max-age=1, stale-if-error=600", later().gives(503), given(from(1)), age(2, 8))
	add("hangup", "9111 4.2.4", Optional, "what is stale is used where the origin cannot be reached", "max-age=1", later().with(hangup), from(1))
	add("hangup-must-revalidate", "9111 5.2.2.2", Required, "must-revalidate makes an error where the origin cannot be reached", "max-age=1, must-revalidate", later().with(hangup), failed)
	add("hangup-proxy-revalidate", "9111 5.2.2.8", Required, "proxy-revalidate makes an error where the origin cannot be reached", "max-age=1, proxy-revalidate", later().with(hangup), failed)
	add("hangup-s-maxage", "9111 5.2.2.10", Required, "s-maxage makes an error where the origin cannot be reached", "s-maxage=1", later().with(hangup), failed)
	add("hangup-no-cache", "9111 5.2.2.4", Required, "no-cache makes an error where the origin cannot be reached", "no-cache", later().with(hangup), failed)
	add("503-must-revalidate", "9111 5.2.2.2", Required, "must-revalidate is not answered with what is stale", "max-age=1, must-revalidate", later().gives(503), notFrom(1))
	add("503-proxy-revalidate", "9111 5.2.2.8", Required, "proxy-revalidate is not answered with what is stale", "max-age=1, proxy-revalidate", later().gives(503), notFrom(1))
	add("503-s-maxage", "9111 5.2.2.10", Required, "s-maxage is not answered with what is stale", "s-maxage=1", later().gives(503), notFrom(1))
	add("while-revalidate", "5861 3", Recommended, "stale-while-revalidate allows what is stale", "max-age=1, stale-while-revalidate=600", later().answered(hour).with(delay(200*time.Millisecond)), from(1))
	add("while-revalidate-must-revalidate", "9111 5.2.2.2", Required, "must-revalidate counts before stale-while-revalidate", "max-age=1, stale-while-revalidate=600, must-revalidate", later().answered(hour), asked, notFrom(1))
	add("while-revalidate-s-maxage", "9111 5.2.2.10", Optional, "s-maxage counts before stale-while-revalidate", "s-maxage=1, stale-while-revalidate=600", later().answered(hour), notFrom(1))
	add("while-revalidate-no-cache", "9111 5.2.2.4", Required, "no-cache counts before stale-while-revalidate", "no-cache, stale-while-revalidate=600", later().answered(hour), asked, notFrom(1))
	add("while-revalidate-over", "5861 3", Required, "stale-while-revalidate ends", "max-age=1, stale-while-revalidate=0", later().answered(hour), asked, notFrom(1))
	add("while-revalidate-invalid", "5861 3", Required, "a stale-while-revalidate that is no number allows nothing", "max-age=1, stale-while-revalidate=foo", later().answered(hour), asked, notFrom(1))
	for _, code := range []int{302, 403, 500} {
		all = append(all, Scenario{fmt.Sprintf("stale-unsaid-%d", code), "9111 3", Required, fmt.Sprintf("an answer %d that says nothing of freshness is not stored, not even for errors", code), steps(
			get().gives(code, tag, "Location: /b"), get().with(hangup).then(notFrom(1)))})
	}
	return append(all,
		Scenario{"stale-unsaid-200", "9111 4.2.4", Optional, "an answer that says nothing of freshness is not used in place of an error", steps(
			get().answered(tag), get().with(hangup).then(notFrom(1)))},
		Scenario{"stale-max-age-0", "9111 4.2.4", Optional, "an answer that was never fresh is not used in place of an error", steps(
			get().answered("Cache-Control: max-age=0", tag), get().with(hangup).then(notFrom(1)))},
		Scenario{"stale-while-revalidate-asks", "5861 3", Recommended, "stale-while-revalidate asks meanwhile, and the next gets what came", steps(
			stored("max-age=1, stale-while-revalidate=600"), later().answered(hour).then(from(1)), get().after(700*time.Millisecond).then(hit, from(2)))},
		Scenario{"stale-while-revalidate-304", "5861 3", Recommended, "stale-while-revalidate asks with a condition", steps(
			get().validates("Cache-Control: max-age=1, stale-while-revalidate=600", tag), later().validates(hour, tag).then(from(1)), get().after(700*time.Millisecond).then(hit, from(1), age(0, 2)))},
		Scenario{"stale-while-revalidate-age", "9111 4", Required, "what is stale has its Age", steps(
			stored("max-age=1, stale-while-revalidate=600"), later().answered(hour).with(delay(200*time.Millisecond)).then(given(from(1)), age(2, 8)))},
		Scenario{"stale-while-revalidate-error", "5861 3", Optional, "an error that comes meanwhile takes nothing away", steps(
			stored("max-age=1, stale-while-revalidate=600"), later().gives(503).then(given(from(1))), get().after(700*time.Millisecond).answered(hour).then(from(1)))},
		Scenario{"stale-error-then-well", "9111 4", Recommended, "after an error, what comes next is stored", steps(
			stored("max-age=1, stale-if-error=600"), later().gives(503), get().after(1200*time.Millisecond).answered(hour), get().after(700*time.Millisecond).then(hit, from(3)))},
	)
}
