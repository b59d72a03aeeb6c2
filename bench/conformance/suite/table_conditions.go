package suite

import (
	"fmt"
	"strings"
)

// conditions is about requests that say what the client has.
func conditions() []Scenario {
	stored := []string{hour, tag, "Last-Modified: {now-24h}"}
	ask := func(id string, kind Kind, about string, c Check, answer []string, fields ...string) Scenario {
		return Scenario{"if-" + id, "9111 4.3.2", kind, about, steps(get().answered(answer...), get(fields...).answered(answer...).then(given(unasked), c))}
	}
	etag := func(value string) []string { return []string{hour, "ETag: " + value} }
	all := []Scenario{
		ask("none-match", Recommended, "the tag of what is stored is answered with 304", status(304), stored, `If-None-Match: "abc"`),
		ask("none-match-other", Recommended, "another tag is answered with what is stored", status(200), stored, `If-None-Match: "def"`),
		ask("none-match-list", Recommended, "a list with the tag is answered with 304", status(304), stored, `If-None-Match: "def", "abc"`),
		ask("none-match-list-first", Recommended, "a list with the tag is answered with 304", status(304), stored, `If-None-Match: "abc", "def"`),
		ask("none-match-list-tight", Recommended, "a list with the tag is answered with 304, without spaces too", status(304), stored, `If-None-Match: "def","abc"`),
		ask("none-match-list-other", Recommended, "a list without the tag is answered with what is stored", status(200), stored, `If-None-Match: "def", "ghi"`),
		ask("none-match-lines", Recommended, "several lines are one list", status(304), stored, `If-None-Match: "def"`, `If-None-Match: "abc"`),
		ask("none-match-star", Recommended, "* is answered with 304", status(304), stored, "If-None-Match: *"),
		ask("none-match-weak", Recommended, "a weak tag of the same is answered with 304", status(304), stored, `If-None-Match: W/"abc"`),
		ask("none-match-weak-stored", Recommended, "the tag of what is stored with a weak one is answered with 304", status(304), etag(`W/"abc"`), `If-None-Match: "abc"`),
		ask("none-match-weak-both", Recommended, "the weak tag of what is stored is answered with 304", status(304), etag(`W/"abc"`), `If-None-Match: W/"abc"`),
		ask("none-match-lower-w", Optional, "w/ is no weak tag", status(200), etag(`W/"abc"`), `If-None-Match: w/"abc"`),
		ask("none-match-case", Recommended, "tags have case", status(200), stored, `If-None-Match: "ABC"`),
		ask("none-match-comma", Recommended, "a tag may have commas", status(304), etag(`"a,b"`), `If-None-Match: "x", "a,b"`),
		ask("none-match-comma-part", Recommended, "a part of a tag is not the tag", status(200), etag(`"a,b"`), `If-None-Match: "a", "b"`),
		ask("none-match-space", Recommended, "a tag may not be a part of another", status(200), etag(`"abc"`), `If-None-Match: "abcdef"`),
		ask("none-match-unquoted", Optional, "a tag without quotes is not the one with", status(200), stored, "If-None-Match: abc"),
		ask("none-match-unquoted-both", Optional, "a tag without quotes is that of what is stored without", status(304), etag("abc"), "If-None-Match: abc"),
		ask("none-match-obs-text", Recommended, "a tag may have bytes beyond ASCII", status(304), etag(`"ä"`), `If-None-Match: "ä"`),
		ask("none-match-empty", Recommended, "an empty tag is a tag", status(304), etag(`""`), `If-None-Match: ""`),
		ask("none-match-over-modified", Required, "If-Modified-Since does not count beside If-None-Match", status(200), stored, `If-None-Match: "def"`, "If-Modified-Since: {now-24h}"),
		ask("none-match-over-modified-304", Recommended, "If-Modified-Since does not count beside If-None-Match", status(304), stored, `If-None-Match: "abc"`, "If-Modified-Since: {now-48h}"),
		ask("none-match-no-tag", Recommended, "a tag is no tag of what has none", status(200), []string{hour}, `If-None-Match: "abc"`),
		ask("modified-equal", Recommended, "If-Modified-Since that is equal is answered with 304", status(304), stored, "If-Modified-Since: {now-24h}"),
		ask("modified-later", Recommended, "If-Modified-Since that is later is answered with 304", status(304), stored, "If-Modified-Since: {now-1h}"),
		ask("modified-earlier", Recommended, "If-Modified-Since that is earlier is answered with what is stored", status(200), stored, "If-Modified-Since: {now-48h}"),
		ask("modified-invalid", Required, "If-Modified-Since that is no date does not count", status(200), stored, "If-Modified-Since: foo"),
		ask("modified-rfc850", Recommended, "If-Modified-Since may be in all formats of dates", status(304), stored, "If-Modified-Since: {now-24h|rfc850}"),
		ask("modified-asctime", Recommended, "If-Modified-Since may be in all formats of dates", status(304), stored, "If-Modified-Since: {now-24h|asctime}"),
		ask("modified-no-last-modified", Optional, "without Last-Modified, Date counts", status(304), []string{hour}, "If-Modified-Since: {now+1h}"),
		{"if-match", "9111 4.3.2", Required, "If-Match is not for caches: they make no 412", steps(
			get().answered(stored...), get(`If-Match: "def"`).answered(stored...).then(status(200)))},
		{"if-unmodified", "9111 4.3.2", Required, "If-Unmodified-Since is not for caches: they make no 412", steps(
			get().answered(stored...), get("If-Unmodified-Since: {now-48h}").answered(stored...).then(status(200)))},
		{"if-none-match-head", "9111 4.3.2", Recommended, "HEAD with the tag is answered with 304", steps(
			get().answered(stored...), request("HEAD", `If-None-Match: "abc"`).answered(stored...).then(given(unasked), status(304)))},
		{"if-none-match-404", "9111 4.3.2", Required, "conditions count for answers 200 alone", steps(
			get().gives(404, stored...), get(`If-None-Match: "abc"`).gives(404, stored...).then(given(unasked), status(404)))},
		{"if-304-body", "9110 15.4.5", Required, "a 304 has no body", steps(
			get().answered(stored...), get(`If-None-Match: "abc"`).answered(stored...).then(given(status(304)), body("")))},
		{"if-304-age", "9111 4", Required, "a 304 from the cache has Age", steps(
			get().answered(append(stored, "Age: 30")...), get(`If-None-Match: "abc"`).then(given(unasked), given(status(304)), age(30, 36)))},
		{"if-304-length", "9110 8.6", Required, "a 304 has no Content-Length but that of the 200", steps(
			get().answered(stored...), get(`If-None-Match: "abc"`).then(given(unasked), given(status(304)), either(absent("Content-Length"), field("Content-Length: 20"))))},
		{"if-passed-on", "9110 13.1", Required, "a 304 of the origin to a client's condition reaches the client", steps(
			get(`If-None-Match: "abc"`).validates(hour, tag).then(either(status(304), status(200))))},
		{"if-passed-on-then-get", "9111 4.3.4", Required, "a 304 to a client's condition is not what others get", steps(
			get(`If-None-Match: "abc"`).validates(hour, tag), get().validates(hour, tag).then(status(200)))},
		{"if-modified-passed-on-then-get", "9111 4.3.4", Required, "a 304 to a client's condition is not what others get", steps(
			get("If-Modified-Since: {now-24h}").validates(hour, day), get().validates(hour, day).then(status(200)))},
		{"if-new", "9111 4.3.2", Recommended, "what a request with a condition got is stored", steps(
			get(`If-None-Match: "def"`).answered(stored...), get().answered(stored...).then(hit))},
		{"if-stale", "9111 4.3.2", Recommended, "a client's condition on what is stale is asked for", steps(
			get().validates(second, tag), get(`If-None-Match: "abc"`).after(pastSecond).validates(hour, tag).then(asked, status(304)))},
		{"if-stale-other", "9111 4.3.1", Required, "a client that has something else gets what is stored, after it was validated", steps(
			get().validates(second, tag), get(`If-None-Match: "def"`).after(pastSecond).validates(hour, tag).then(asked, status(200)))},
		{"if-no-cache", "9111 4.3.2", Recommended, "a client's condition on what is no-cache is asked for", steps(
			get().validates("Cache-Control: no-cache", tag), get(`If-None-Match: "abc"`).validates("Cache-Control: no-cache", tag).then(asked, status(304)))},
	}
	for _, line := range []string{"Cache-Control: max-age=3600", "Content-Location: /a", "Date: {now-10s}", `ETag: "abc"`, "Expires: {now+1h}", "Vary: Foo"} {
		name, _, _ := strings.Cut(line, ":")
		answer := []string{line, tag}
		if name == "ETag" {
			answer = answer[1:]
		}
		if name != "Cache-Control" {
			answer = append(answer, hour)
		}
		all = append(all, Scenario{"if-304-" + strings.ToLower(name), "9110 15.4.5", Required, "a 304 has " + name + " as the 200 would", steps(
			get().answered(answer...), get(`If-None-Match: "abc"`).answered(answer...).then(given(unasked), given(status(304)), field(line)))})
	}
	return all
}

// revalidation is about how caches ask whether what they have still holds.
func revalidation() []Scenario {
	ask := func(id string, kind Kind, about string, answer []string, checks ...Check) Scenario {
		return Scenario{"validate-" + id, "9111 4.3.1", kind, about, steps(
			get().validates(append([]string{second}, answer...)...), get().after(pastSecond).validates(append([]string{hour}, answer...)...).then(checks...))}
	}
	stored := []string{tag, "Last-Modified: {now-24h}"}
	foreign := func(a *Answer) { a.Foreign = true }
	const aged = "Date: {now-3598s}" // of what is fresh for an hour: for two seconds more
	return []Scenario{
		ask("etag", Recommended, "a stale answer is asked for with its tag", []string{tag}, validated, saw(`If-None-Match: "abc"`)),
		ask("etag-weak", Recommended, "a stale answer is asked for with its weak tag", []string{`ETag: W/"abc"`}, validated, saw(`If-None-Match: W/"abc"`)),
		ask("last-modified", Recommended, "a stale answer is asked for with its date", []string{day}, validated, saw("If-Modified-Since: {now-24h}")),
		ask("both", Recommended, "a stale answer is asked for with its tag", stored, validated, saw(`If-None-Match: "abc"`)),
		ask("both-date", Recommended, "a stale answer is asked for with its date too", stored, validated, saw("If-Modified-Since: {now-24h}")),
		ask("neither", Required, "a stale answer without tag and date is asked for without a condition", nil, asked, sawNo("If-None-Match"), status(200)),
		ask("status", Required, "a client that has no condition gets no 304", stored, status(200), whole),
		ask("body", Required, "what was validated has the body that was stored", stored, given(validated), body("the answer of step 1")),
		{"validate-age", "9111 4.2.3", Required, "what was validated is as old as the 304", steps(
			get().validates(hour, tag, aged), get().after(pastTwo).validates(hour, tag).then(given(validated), either(absent("Age"), age(0, 60))))},
		ask("etag-unquoted", Optional, "a tag without quotes is sent as it came", []string{"ETag: abc"}, saw("If-None-Match: abc")),
		{"validate-then-hit", "9111 4.3.4", Recommended, "a 304 makes an answer fresh again", steps(
			get().validates(second, tag), get().after(pastSecond).validates(hour, tag).then(given(validated)), get().then(hit, from(1)))},
		{"validate-then-hit-last-modified", "9111 4.3.4", Recommended, "a 304 makes an answer fresh again", steps(
			get().validates(second, day), get().after(pastSecond).validates(hour, day).then(given(validated)), get().then(hit, from(1)))},
		{"validate-then-age", "9111 4.2.3", Required, "Age counts from the 304", steps(
			get().validates(hour, tag, aged), get().after(pastTwo).validates(hour, tag).then(given(validated)), get().then(given(hit), age(0, 60)))},
		{"validate-lifetime-stored", "9111 4.3.4", Recommended, "a 304 that says nothing of freshness leaves what was said", steps(
			get().validates(hour, tag, aged), get().after(pastTwo).validates(tag).then(given(validated)), get().then(hit, from(1)))},
		{"validate-304-no-store", "9111 4.3.4", Required, "a 304 may say that an answer is not fresh", steps(
			get().validates(second, tag), get().after(pastSecond).validates("Cache-Control: max-age=0", tag).then(given(validated)), get().validates(hour, tag).then(asked))},
		{"validate-replaced", "9111 4.3.3", Required, "another answer replaces what was stored", steps(
			get().answered(second, tag), get().after(pastSecond).answered(hour, `ETag: "def"`).then(given(asked), from(2)), get().then(when(unasked, from(2))))},
		{"validate-replaced-hit", "9111 4.3.3", Recommended, "another answer is stored in its place", steps(
			get().answered(second, tag), get().after(pastSecond).answered(hour, `ETag: "def"`).then(given(asked)), get().then(hit, from(2)))},
		{"validate-404", "9111 4.3.3", Required, "an answer 404 is passed on, not what was stored", steps(
			get().answered(second, tag), get().after(pastSecond).gives(404, hour).then(status(404)))},
		{"validate-foreign-304", "9111 4.3.4", Required, "a 304 with another strong tag makes nothing fresh", steps(
			get().answered(second, tag), get().after(pastSecond).answered(hour, `ETag: "def"`).with(foreign), get().answered(hour, `ETag: "ghi"`).then(when(unasked, notFrom(1))))},
		{"validate-foreign-304-client", "9111 4.3.3", Recommended, "a client without a condition gets no 304, also when it is about something else", steps(
			get().answered(second, tag), get().after(pastSecond).answered(hour, `ETag: "def"`).with(foreign).then(either(failed, both(status(200), from(2)))))},
		{"validate-head", "9111 4.3.5", Optional, "an answer to HEAD with the same tag makes a stored one fresh again", steps(
			get().answered(second, tag), request("HEAD").after(pastSecond).answered(hour, tag).then(given(asked)), get().answered(hour, tag).then(hit))},
		{"validate-head-other", "9111 4.3.5", Optional, "an answer to HEAD with another tag makes a stored one invalid", steps(
			get().answered(hour, tag), request("HEAD", "Cache-Control: no-cache").answered(hour, `ETag: "def"`).then(given(asked)), get().answered(hour, `ETag: "def"`).then(asked))},
		{"validate-client-fields", "9111 4.3.1", Optional, "a cache asks with its own tag where a client has another", steps(
			get().validates(second, tag), get(`If-None-Match: "def"`).after(pastSecond).validates(hour, tag).then(given(asked), has304(`"abc"`)))},
	}
}

// has304: the origin got a condition with a tag.
func has304(tag string) Check {
	return check(func(s *seen) error {
		for _, r := range s.asked {
			if !strings.Contains(strings.Join(r.Header.Values("If-None-Match"), ","), tag) {
				return fmt.Errorf("the origin got If-None-Match %q", r.Header.Values("If-None-Match"))
			}
		}
		return nil
	})
}

// updates is about the fields that a 304 brings.
func updates() []Scenario {
	update := func(id string, kind Kind, about string, before, now []string, checks ...Check) []Scenario {
		first := append([]string{second, tag}, before...)
		then := append([]string{hour, tag}, now...)
		return []Scenario{
			{"update-" + id, "9111 3.2", kind, about, steps(
				get().validates(first...), get().after(pastSecond).validates(then...).then(given(validated)).then(checks...))},
			{"update-" + id + "-stored", "9111 3.2", kind, about + ", also for the next", steps(
				get().validates(first...), get().after(pastSecond).validates(then...).then(given(validated)), get().then(given(hit)).then(checks...))},
		}
	}
	all := []Scenario{
		{"update-by-last-modified", "9111 4.3.4", Required, "a 304 to a date brings fields too", steps(
			get().validates(second, day, "Test-Header: a"), get().after(pastSecond).validates(hour, day, "Test-Header: b").then(given(validated), field("Test-Header: b")))},
		{"update-by-last-modified-stored", "9111 4.3.4", Required, "a 304 to a date brings fields too, also for the next", steps(
			get().validates(second, day, "Test-Header: a"), get().after(pastSecond).validates(hour, day, "Test-Header: b").then(given(validated)), get().then(given(hit), field("Test-Header: b")))},
		{"update-variant", "9111 4.3.4", Required, "a 304 for one variant does not change another", steps(
			get("Foo: 1").validates(second, tag, "Vary: Foo", "Test-Header: a"), get("Foo: 2").validates(hour, `ETag: "def"`, "Vary: Foo", "Test-Header: b"),
			get("Foo: 1").after(pastSecond).validates(hour, tag, "Vary: Foo", "Test-Header: c").then(given(validated)), get("Foo: 2").then(given(hit), field("Test-Header: b")))},
	}
	for _, name := range []string{"Test-Header", "X-Test-Header", "Content-Foo", "X-Content-Foo", "Content-Language", "Content-Location", "Content-Disposition", "Content-Security-Policy", "Link", "X-Frame-Options", "Last-Modified", "Expires"} {
		before, now := name+": a", name+": b"
		switch name {
		case "Last-Modified":
			before, now = "Last-Modified: {now-24h}", "Last-Modified: {now-12h}"
		case "Expires":
			before, now = "Expires: {now-1h}", "Expires: {now+1h}"
		}
		all = append(all, update(strings.ToLower(name), Required, "a 304 brings a new "+name, []string{before}, []string{now}, field(now))...)
	}
	for _, c := range []struct{ name, before, now string }{
		{"Content-Type", "text/plain; charset=utf-8", "text/html; charset=utf-8"}, {"Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A==", "N7UdGUp1E+RbVvZSTy1R8g=="},
	} {
		before, now := c.name+": "+c.before, c.name+": "+c.now
		all = append(all, update(strings.ToLower(c.name), Optional, "a 304 brings a new "+c.name, []string{before}, []string{now}, field(now))...)
	}
	all = append(all, update("content-encoding", Optional, "a 304 does not change how the stored body is encoded", []string{"Content-Encoding: foo"}, []string{"Content-Encoding: bar"}, field("Content-Encoding: foo"))...)
	all = append(all, update("new", Required, "a 304 brings fields that were not there", nil, []string{"Test-Header: b"}, field("Test-Header: b"))...)
	all = append(all, update("left", Required, "fields that are not in the 304 stay", []string{"Test-Header: a", "X-Other: c"}, []string{"X-Other: d"}, field("Test-Header: a"))...)
	all = append(all, update("lines", Required, "all lines of a field are replaced", []string{"Test-Header: a", "Test-Header: b"}, []string{"Test-Header: c"}, field("Test-Header: c"))...)
	all = append(all, update("cache-control", Required, "a 304 brings a new Cache-Control", nil, nil, field(hour))...)
	all = append(all, update("date", Required, "a 304 brings a new Date", []string{"Date: {now-10s}"}, []string{"Date: {now-5s}"}, field("Date: {now-5s}"))...)
	all = append(all, update("content-length", Required, "the Content-Length of a 304 does not count", nil, []string{"Content-Length: 5"}, body("the answer of step 1"))...)
	all = append(all, update("connection", Required, "a 304 does not bring fields of the connection", nil, []string{"Connection: X-Hop", "X-Hop: b"}, absent("X-Hop"))...)
	return all
}
