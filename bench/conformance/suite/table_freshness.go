package suite

import (
	"fmt"
	"time"
)

// freshness is about how long answers are fresh, and which of several statements counts.
func freshness() []Scenario {
	return []Scenario{
		twice("fresh-nothing", "9111 4.2.2", Optional, "an answer that says nothing of freshness, and has no Last-Modified, is asked for again", asked),
		twice("fresh-max-age", "9111 5.2.2.1", Recommended, "max-age makes an answer fresh", hit, hour),
		twice("fresh-max-age-0", "9111 5.2.2.1", Required, "max-age=0 is not fresh", asked, "Cache-Control: max-age=0"),
		twice("fresh-s-maxage", "9111 5.2.2.10", Recommended, "s-maxage makes an answer fresh", hit, "Cache-Control: s-maxage=3600"),
		twice("fresh-s-maxage-over-max-age", "9111 5.2.2.10", Recommended, "s-maxage counts, not max-age, where it is longer", hit, "Cache-Control: max-age=0, s-maxage=3600"),
		twice("fresh-s-maxage-first", "9111 5.2.2.10", Recommended, "s-maxage counts, not max-age, whatever their order", hit, "Cache-Control: s-maxage=3600, max-age=0"),
		twice("fresh-s-maxage-shorter", "9111 5.2.2.10", Required, "s-maxage counts, not max-age, where it is shorter", asked, "Cache-Control: s-maxage=0, max-age=3600"),
		twice("fresh-s-maxage-shorter-last", "9111 5.2.2.10", Required, "s-maxage counts, not max-age, whatever their order", asked, "Cache-Control: max-age=3600, s-maxage=0"),
		twice("fresh-s-maxage-over-expires", "9111 5.3", Recommended, "s-maxage counts, not Expires, where it is longer", hit, "Cache-Control: s-maxage=3600", "Expires: {now-1h}"),
		twice("fresh-s-maxage-shorter-expires", "9111 5.3", Required, "s-maxage counts, not Expires, where it is shorter", asked, "Cache-Control: s-maxage=0", "Expires: {now+1h}"),
		twice("fresh-max-age-over-expires", "9111 5.3", Recommended, "max-age counts, not Expires, where it is longer", hit, hour, "Expires: {now-1h}"),
		twice("fresh-max-age-over-expires-0", "9111 5.3", Recommended, "max-age counts, not an Expires that is no date", hit, hour, "Expires: 0"),
		twice("fresh-max-age-shorter-expires", "9111 5.3", Required, "max-age counts, not Expires, where it is shorter", asked, "Cache-Control: max-age=0", "Expires: {now+1h}"),
		twice("fresh-expires", "9111 5.3", Recommended, "Expires in the future makes an answer fresh", hit, "Expires: {now+1h}"),
		twice("fresh-expires-past", "9111 5.3", Required, "Expires in the past makes an answer stale", asked, "Expires: {now-1h}"),
		twice("fresh-expires-other-directives", "9111 5.3", Recommended, "Expires counts beside directives that say nothing of freshness", hit, "Expires: {now+1h}", "Cache-Control: public, foo"),
		twice("fresh-max-age-2147483647", "9111 1.2.2", Recommended, "the largest number of 31 bits is fresh", hit, "Cache-Control: max-age=2147483647"),
		twice("fresh-max-age-2147483648", "9111 1.2.2", Recommended, "2^31 is fresh", hit, "Cache-Control: max-age=2147483648"),
		twice("fresh-max-age-2147483649", "9111 1.2.2", Recommended, "more than 2^31 is fresh", hit, "Cache-Control: max-age=2147483649"),
		twice("fresh-max-age-4294967297", "9111 1.2.2", Recommended, "more than 2^32 is fresh", hit, "Cache-Control: max-age=4294967297"),
		twice("fresh-max-age-huge", "9111 1.2.2", Recommended, "a number that no integer can hold is fresh", hit, "Cache-Control: max-age=99999999999999999999999999"),
		twice("fresh-s-maxage-huge", "9111 1.2.2", Recommended, "a number that no integer can hold is fresh", hit, "Cache-Control: s-maxage=99999999999999999999999999"),
		twice("fresh-two-lines", "9111 4.2.1", Recommended, "of several max-age, the first counts or the answer is stale: never the second", asked, "Cache-Control: max-age=0", hour),
		twice("fresh-two-values", "9111 4.2.1", Recommended, "of several max-age, the first counts or the answer is stale: never the second", asked, "Cache-Control: max-age=0, max-age=3600"),
		twice("fresh-two-values-first", "9111 4.2.1", Optional, "of several max-age, the first counts", hit, "Cache-Control: max-age=3600, max-age=0"),
		twice("fresh-two-s-maxage", "9111 4.2.1", Recommended, "of several s-maxage, the first counts or the answer is stale: never the second", asked, "Cache-Control: s-maxage=0, s-maxage=3600"),
		twice("fresh-heuristic-with-expires", "9111 4.2.2", Required, "where Expires says that it is stale, Last-Modified does not make it fresh", asked, "Expires: {now-1h}", "Last-Modified: {now-2400h}"),
		twice("fresh-heuristic-with-max-age", "9111 4.2.2", Required, "where max-age says that it is stale, Last-Modified does not make it fresh", asked, "Cache-Control: max-age=0", "Last-Modified: {now-2400h}"),
		{"fresh-ends", "9111 4.2", Required, "an answer is not used when it is no longer fresh", steps(
			get().answered(second), get().after(pastSecond).answered(second).then(asked))},
		{"fresh-ends-expires", "9111 4.2", Required, "an answer is not used when Expires has passed", steps(
			get().answered("Expires: {now+1s}"), get().after(pastSecond).answered().then(asked))},
		{"fresh-ends-s-maxage", "9111 4.2", Required, "an answer is not used when it is no longer fresh", steps(
			get().answered("Cache-Control: s-maxage=1, max-age=3600"), get().after(pastSecond).answered(second).then(asked))},
		{"fresh-replaces", "9111 4", Recommended, "of several stored answers the last is used", steps(
			get().answered(second), get().after(pastSecond).answered(hour).then(given(asked)), get().then(hit, from(2)))},
		{"fresh-many", "9111 4", Recommended, "an answer is used many times", steps(
			get().answered(hour), get().then(hit), get().then(hit), get().then(hit), get().then(hit, from(1)))},
	}
}

// ages is about the age that an answer has when it comes.
func ages() []Scenario {
	all := []Scenario{
		twice("age-in-use", "9111 4", Required, "an answer from the cache has one Age, a number", whenHit(age(0, 5)), hour),
		twice("age-passed-on", "9111 5.1", Required, "the Age of an answer counts on", whenHit(age(30, 36)), hour, "Age: 30"),
		twice("age-stale", "9111 4.2.3", Required, "an answer that is older than it may be is not used", asked, hour, "Age: 7200"),
		twice("age-equal", "9111 4.2", Required, "an answer is fresh while its lifetime is more than its age, not when they are equal", asked, hour, "Age: 3600"),
		twice("age-fresh", "9111 4.2.3", Recommended, "an answer that is less old than it may be is used", hit, hour, "Age: 1800"),
		twice("age-expires", "9111 4.2.3", Required, "Age counts with Expires too", asked, "Expires: {now+1h}", "Age: 7200"),
		twice("age-s-maxage", "9111 4.2.3", Required, "Age counts with s-maxage too", asked, "Cache-Control: s-maxage=3600", "Age: 7200"),
		twice("age-huge", "9111 1.2.2", Required, "an Age that no integer can hold is very old", asked, hour, "Age: 99999999999999999999999"),
		twice("age-2147483648", "9111 1.2.2", Required, "an Age of 2^31 is very old", asked, hour, "Age: 2147483648"),
		twice("age-4294967297", "9111 1.2.2", Required, "an Age of more than 2^32 is very old", asked, hour, "Age: 4294967297"),
		twice("age-two-lines-0-7200", "9111 5.1", Recommended, "of several Age the first counts", hit, hour, "Age: 0", "Age: 7200"),
		twice("age-two-lines-7200-0", "9111 5.1", Recommended, "of several Age the first counts", asked, hour, "Age: 7200", "Age: 0"),
		twice("age-list-0-7200", "9111 5.1", Recommended, "of a list of Age the first counts", hit, hour, "Age: 0, 7200"),
		twice("age-list-7200-0", "9111 5.1", Recommended, "of a list of Age the first counts", asked, hour, "Age: 7200, 0"),
		twice("age-empty", "9111 5.1", Recommended, "an empty Age is ignored", hit, hour, "Age: "),
		twice("age-date-old", "9111 4.2.3", Required, "an answer that is older than it may be by its Date is not used", asked, hour, "Date: {now-2h}"),
		twice("age-date-fresh", "9111 4.2.3", Recommended, "an answer that is less old than it may be by its Date is used", hit, hour, "Date: {now-30m}"),
		twice("age-date-counts", "9111 4.2.3", Required, "Age is at least what Date says", whenHit(age(1800, 1806)), hour, "Date: {now-30m}"),
		twice("age-date-and-age", "9111 4.2.3", Required, "the larger of Age and what Date says counts", whenHit(age(2400, 2406)), hour, "Date: {now-30m}", "Age: 2400"),
		twice("age-date-and-smaller-age", "9111 4.2.3", Required, "the larger of Age and what Date says counts", asked, hour, "Date: {now-2h}", "Age: 10"),
		twice("age-date-future", "9111 4.2.3", Recommended, "a Date in the future makes no answer older", hit, hour, "Date: {now+2h}"),
		twice("age-date-future-age", "9111 4.2.3", Required, "an Age is never negative", whenHit(age(0, 5)), hour, "Date: {now+2h}"),
		twice("age-expires-before-date", "9111 4.2.1", Required, "Expires counts from Date: what expires before it was made is stale", asked, "Expires: {now+1h}", "Date: {now+2h}"),
		twice("age-expires-after-date", "9111 4.2.1", Recommended, "Expires counts from Date: a clock that is wrong does not matter", hit, "Expires: {now+2h}", "Date: {now-1h}"),
		twice("age-date-invalid", "9110 6.6.1", Recommended, "a Date that is none is as if it were missing", hit, hour, "Date: foo"),
		{"age-no-date", "9110 6.6.1", Recommended, "an answer without Date is used", steps(
			get().answered(hour).with(func(a *Answer) { a.NoDate = true }), get().then(hit))},
		{"age-no-date-added", "9110 6.6.1", Required, "a cache adds the Date that is missing", steps(
			get().answered(hour).with(func(a *Answer) { a.NoDate = true }), get().then(whenHit(present("Date"))))},
		{"age-no-date-expires", "9111 4.2.1", Recommended, "Expires counts from when an answer came, where it has no Date", steps(
			get().answered("Expires: {now+1h}").with(func(a *Answer) { a.NoDate = true }), get().then(hit))},
		{"age-grows", "9111 4.2.3", Required, "Age grows while an answer is stored", steps(
			get().answered(hour, "Age: 100"), get().after(pastSecond).then(given(hit), age(102, 106)))},
		{"age-delay", "9111 4.2.3", Required, "the time that an answer took counts", steps(
			get().answered(hour, "Age: 100").with(func(a *Answer) { a.Delay = pastSecond }), get().then(given(hit), age(102, 106)))},
	}
	for id, v := range map[string]string{
		"word": "abc", "negative": "-7200", "decimal": "7200.5", "quoted": `"7200"`, "letter": "7200s", "parameter": "7200; foo=bar", "plus": "+7200", "hex": "0x1C20",
	} {
		all = append(all, twice("age-invalid-"+id, "9111 5.1", Recommended, "an Age that is no number is ignored: "+v, hit, hour, "Age: "+v))
	}
	return all
}

// whenHit makes a check one of answers from the cache.
func whenHit(c Check) Check {
	return check(func(s *seen) error {
		if err := hit.holds(s); err != nil {
			return needs{err}
		}
		return c.holds(s)
	})
}

// needs is why a scenario says nothing.
type needs struct{ error }

// expires is about dates.
func expires() []Scenario {
	var all []Scenario
	for _, c := range []struct {
		id, value string
		kind      Kind
	}{
		{"0", "0", Required},
		{"minus-1", "-1", Required},
		{"empty", "", Required},
		{"word", "never", Required},
		{"no-zone", "Thu, 18 Aug 2050 02:01:18", Required},
		{"short-hour", "Thu, 18 Aug 2050 2:01:18 GMT", Required},
		{"no-weekday", "18 Aug 2050 02:01:18 GMT", Required},
		{"dashes", "Thu, 18-Aug-2050 02:01:18 GMT", Required},
		{"no-comma", "Thu 18 Aug 2050 02:01:18 GMT", Required},
		{"two-spaces", "Thu, 18  Aug  2050 02:01:18 GMT", Required},
		{"dots", "Thu, 18 Aug 2050 02.01.18 GMT", Required},
		{"iso", "2050-08-18T02:01:18Z", Required},
		{"offset", "Thu, 18 Aug 2050 02:01:18 +0000", Required},
		{"epoch", "2544400878", Required},
		{"quoted", `"Thu, 18 Aug 2050 02:01:18 GMT"`, Required},
		{"no-seconds", "Thu, 18 Aug 2050 02:01 GMT", Required},
		{"short-year", "Thu, 18 Aug 50 02:01:18 GMT", Required},
		{"day-32", "Thu, 32 Aug 2050 02:01:18 GMT", Required},
		{"hour-25", "Thu, 18 Aug 2050 25:01:18 GMT", Required},
		{"month", "Thu, 18 Foo 2050 02:01:18 GMT", Required},
		{"after", "Thu, 18 Aug 2050 02:01:18 GMT; foo", Required},
		{"utc", "Thu, 18 Aug 2050 02:01:18 UTC", Recommended},
		{"est", "Thu, 18 Aug 2050 02:01:18 EST", Recommended},
		{"rfc850-99", "Friday, 30-Dec-99 02:01:18 GMT", Required},
	} {
		all = append(all, twice("expires-"+c.id, "9111 5.3", c.kind, fmt.Sprintf("Expires that is no date makes an answer stale: %q", c.value), asked, "Expires: "+c.value))
	}
	for id, value := range map[string]string{"imf": "{now+1h}", "rfc850": "{now+1h|rfc850}", "asctime": "{now+1h|asctime}"} {
		all = append(all, twice("expires-"+id, "9110 5.6.7", Recommended, "the three formats of dates are understood: "+id, hit, "Expires: "+value))
	}
	return append(all,
		twice("expires-far", "9111 5.3", Recommended, "a date that is far away is understood", hit, "Expires: Thu, 18 Aug 2050 02:01:18 GMT"),
		twice("expires-lower", "9111 4.2", Recommended, "dates are understood in any case", hit, "Expires: {now+1h|lower}"),
		twice("expires-two-lines", "9111 4.2.1", Recommended, "of several Expires the first counts or the answer is stale: never the second", asked, "Expires: {now-1h}", "Expires: {now+1h}"),
		twice("expires-max-age-invalid", "9111 4.2.1", Recommended, "a max-age that is no number makes an answer stale, also with Expires", asked, "Expires: {now+1h}", "Cache-Control: max-age=abc"),
		Scenario{"expires-stays", "9111 3.1", Required, "Expires is passed on as it is", steps(
			get().answered("Expires: {now+1h}"), get().then(given(hit), field("Expires: {now+1h}")))},
	)
}

// statuses is about which answers may be stored.
func statuses() []Scenario {
	var all []Scenario
	for _, code := range []int{200, 201, 202, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 451, 499, 500, 501, 502, 503, 504, 599} {
		fresh := []string{hour}
		if code/100 == 3 {
			fresh = append(fresh, "Location: {path}/b")
		}
		id := fmt.Sprintf("status-%d-", code)
		all = append(all,
			Scenario{id + "fresh", "9111 3", Recommended, fmt.Sprintf("a final answer %d that says that it is fresh is used", code), steps(
				get().gives(code, fresh...), get().gives(code, fresh...).then(hit, status(code)))},
			Scenario{id + "stale", "9111 4.2", Required, fmt.Sprintf("an answer %d that says that it is stale is not used", code), steps(
				get().gives(code, "Cache-Control: max-age=0"), get().gives(code, "Cache-Control: max-age=0").then(asked))},
		)
	}
	for _, code := range []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501} {
		all = append(all, heuristic(code, Optional, "may be taken for fresh by its Last-Modified", hit))
	}
	for _, code := range []int{201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599} {
		all = append(all, heuristic(code, Required, "may not be taken for fresh by its Last-Modified", asked))
	}
	for _, days := range []int{1, 10, 100} {
		all = append(all, Scenario{fmt.Sprintf("heuristic-%d-days", days), "9111 4.2.2", Optional, fmt.Sprintf("an answer that did not change for %d days may be taken for fresh", days), steps(
			get().answered(fmt.Sprintf("Last-Modified: {now-%dh}", 24*days)), get().then(hit))})
	}
	return append(all,
		Scenario{"status-599-public", "9111 5.2.2.9", Optional, "public allows heuristics for any status", steps(
			get().gives(599, "Cache-Control: public", "Last-Modified: {now-2400h}"), get().gives(599).then(hit))},
		Scenario{"status-206-unasked", "9111 3.3", Required, "a part that nobody asked for is not used as the whole", steps(
			get().gives(206, hour, "Content-Range: bytes 0-3/100").with(text("abcd")), get().answered(hour).then(asked))},
		Scenario{"status-304-unasked", "9111 4.3.4", Required, "a 304 to a request without condition is not used", steps(
			get().gives(304, hour, tag), get().answered(hour).then(miss))},
		Scenario{"status-must-understand", "9111 5.2.2.3", Required, "must-understand keeps a status that nobody knows from being used", steps(
			get().gives(599, "Cache-Control: must-understand, max-age=3600"), get().gives(599).then(asked))},
		Scenario{"status-must-understand-no-store", "9111 5.2.2.3", Recommended, "must-understand takes no-store back, where the status is known", steps(
			get().answered("Cache-Control: must-understand, no-store, max-age=3600"), get().then(hit))},
		Scenario{"status-must-understand-unknown-no-store", "9111 5.2.2.3", Required, "must-understand does not take no-store back, where the status is not known", steps(
			get().gives(599, "Cache-Control: must-understand, no-store, max-age=3600"), get().gives(599).then(asked))},
	)
}

func heuristic(code int, kind Kind, what string, c Check) Scenario {
	fields := []string{"Last-Modified: {now-2400h}"}
	if code/100 == 3 {
		fields = append(fields, "Location: {path}/b")
	}
	return Scenario{fmt.Sprintf("heuristic-%d", code), "9111 4.2.2", kind, fmt.Sprintf("an answer %d %s", code, what), steps(
		get().gives(code, fields...), get().gives(code, fields...).then(c))}
}

// text is a change that gives an answer a body.
func text(s string) func(*Answer) { return func(a *Answer) { a.Body = &s } }

func delay(d time.Duration) func(*Answer) { return func(a *Answer) { a.Delay = d } }
