package suite

import "strings"

// varies is about which fields of requests choose an answer.
func varies() []Scenario {
	vary := func(id string, kind Kind, about string, c Check, named string, first, second []string) Scenario {
		var answer []string
		for line := range strings.SplitSeq(named, "\n") {
			answer = append(answer, "Vary: "+line)
		}
		answer = append(answer, hour)
		return Scenario{"vary-" + id, "9111 4.1", kind, about, steps(get(first...).answered(answer...), get(second...).answered(answer...).then(c))}
	}
	list := func(lines ...string) []string { return lines }
	all := []Scenario{
		vary("same", Recommended, "the same value is answered", hit, "Foo", list("Foo: 1"), list("Foo: 1")),
		vary("other", Required, "another value is asked for", asked, "Foo", list("Foo: 1"), list("Foo: 2")),
		vary("other-prefix", Required, "a value that begins the same is another", asked, "Foo", list("Foo: 1"), list("Foo: 11")),
		vary("absent", Recommended, "absent is the same as absent", hit, "Foo", nil, nil),
		vary("absent-then-there", Required, "absent is not the same as there", asked, "Foo", nil, list("Foo: 1")),
		vary("there-then-absent", Required, "there is not the same as absent", asked, "Foo", list("Foo: 1"), nil),
		vary("empty-then-absent", Optional, "empty is not the same as absent", asked, "Foo", list("Foo: "), nil),
		vary("value-case", Required, "values of fields that nobody knows have case", asked, "Foo", list("Foo: a"), list("Foo: A")),
		vary("name-case", Recommended, "names have no case", hit, "fOO", list("Foo: 1"), list("foo: 1")),
		vary("name-case-other", Required, "names have no case", asked, "fOO", list("Foo: 1"), list("foo: 2")),
		vary("star", Required, "* is asked for", asked, "*", nil, nil),
		vary("star-first", Required, "* is asked for, also with names", asked, "*, Foo", list("Foo: 1"), list("Foo: 1")),
		vary("star-last", Required, "* is asked for, also with names", asked, "Foo, *", list("Foo: 1"), list("Foo: 1")),
		vary("star-lines", Required, "* is asked for, also in a line of its own", asked, "Foo\n*", list("Foo: 1"), list("Foo: 1")),
		vary("star-lines-first", Required, "* is asked for, also in a line of its own", asked, "*\nFoo", list("Foo: 1"), list("Foo: 1")),
		vary("two-same", Recommended, "several fields that are the same are answered", hit, "Foo, Bar", list("Foo: 1", "Bar: 2"), list("Foo: 1", "Bar: 2")),
		vary("two-order", Recommended, "the order of fields does not matter", hit, "Foo, Bar", list("Foo: 1", "Bar: 2"), list("Bar: 2", "Foo: 1")),
		vary("two-other", Required, "several fields, of which one differs, are asked for", asked, "Foo, Bar", list("Foo: 1", "Bar: 2"), list("Foo: 1", "Bar: 3")),
		vary("two-other-first", Required, "several fields, of which one differs, are asked for", asked, "Foo, Bar", list("Foo: 1", "Bar: 2"), list("Foo: 3", "Bar: 2")),
		vary("two-absent", Required, "several fields, of which one is missing, are asked for", asked, "Foo, Bar", list("Foo: 1", "Bar: 2"), list("Foo: 1")),
		vary("two-swapped", Required, "values belong to their fields", asked, "Foo, Bar", list("Foo: 1", "Bar: 2"), list("Foo: 2", "Bar: 1")),
		vary("two-joined", Required, "values are not run together", asked, "Foo, Bar", list("Foo: 1", "Bar: 2"), list("Foo: 12")),
		vary("two-shifted", Required, "values are not run together", asked, "Foo, Bar", list("Foo: 1"), list("Bar: 1")),
		vary("two-lines", Required, "several lines are one list", asked, "Foo\nBar", list("Foo: 1", "Bar: 2"), list("Foo: 1", "Bar: 3")),
		vary("two-lines-first", Required, "several lines are one list", asked, "Foo\nBar", list("Foo: 1", "Bar: 2"), list("Foo: 3", "Bar: 2")),
		vary("two-lines-same", Recommended, "several lines are one list", hit, "Foo\nBar", list("Foo: 1", "Bar: 2"), list("Foo: 1", "Bar: 2")),
		vary("three", Required, "three fields, of which one differs, are asked for", asked, "Foo, Bar, Baz", list("Foo: 1", "Bar: 2", "Baz: 3"), list("Foo: 1", "Bar: 2", "Baz: 4")),
		vary("three-same", Recommended, "three fields that are the same are answered", hit, "Foo, Bar, Baz", list("Foo: 1", "Bar: 2", "Baz: 3"), list("Foo: 1", "Bar: 2", "Baz: 3")),
		vary("spaces", Required, "there may be space around commas, or none", asked, " Foo ,Bar\t,  Baz", list("Foo: 1", "Bar: 2", "Baz: 3"), list("Foo: 1", "Bar: 4", "Baz: 3")),
		vary("spaces-same", Recommended, "there may be space around commas, or none", hit, " Foo ,Bar\t,  Baz", list("Foo: 1", "Bar: 2"), list("Foo: 1", "Bar: 2")),
		vary("empty-elements", Required, "empty elements are ignored", asked, ",Foo,, Bar,", list("Foo: 1", "Bar: 2"), list("Foo: 1", "Bar: 3")),
		vary("empty-elements-same", Recommended, "empty elements are ignored", hit, ",Foo,, Bar,", list("Foo: 1", "Bar: 2"), list("Foo: 1", "Bar: 2")),
		vary("empty", Recommended, "an empty list names nothing", hit, "", list("Foo: 1"), list("Foo: 2")),
		vary("twice-named", Recommended, "a field that is named twice is one", hit, "Foo, foo", list("Foo: 1"), list("Foo: 1")),
		vary("unnamed", Recommended, "fields that are not named do not matter", hit, "Foo", list("Foo: 1", "Bar: 1"), list("Foo: 1", "Bar: 2")),
		vary("unnamed-without", Recommended, "without Vary no field matters", hit, "Bar", list("Foo: 1"), list("Foo: 2")),
		vary("value-space", Recommended, "space around a value does not matter", hit, "Foo", list("Foo: 1"), list("Foo:   1  ")),
		vary("value-lines", Optional, "several lines of a field are the same as one list", hit, "Foo", list("Foo: 1", "Foo: 2"), list("Foo: 1, 2")),
		vary("value-lines-other", Required, "all lines of a field count", asked, "Foo", list("Foo: 1", "Foo: 2"), list("Foo: 1", "Foo: 3")),
		vary("value-lines-fewer", Required, "all lines of a field count", asked, "Foo", list("Foo: 1", "Foo: 2"), list("Foo: 1")),
		vary("value-lines-order", Required, "the order of lines counts", asked, "Foo", list("Foo: 1", "Foo: 2"), list("Foo: 2", "Foo: 1")),
		vary("encoding-space", Optional, "space in Accept-Encoding does not matter", hit, "Accept-Encoding", list("Accept-Encoding: gzip, br"), list("Accept-Encoding: gzip,br")),
		vary("encoding-case", Optional, "case in Accept-Encoding does not matter", hit, "Accept-Encoding", list("Accept-Encoding: gzip"), list("Accept-Encoding: GZIP")),
		vary("language-space", Optional, "space in Accept-Language does not matter", hit, "Accept-Language", list("Accept-Language: en, de"), list("Accept-Language: en,de")),
		vary("language-case", Optional, "case in Accept-Language does not matter", hit, "Accept-Language", list("Accept-Language: en, de"), list("Accept-Language: EN, de")),
		vary("encoding-order", Optional, "the order of Accept-Encoding without weights does not matter", hit, "Accept-Encoding", list("Accept-Encoding: gzip, br"), list("Accept-Encoding: br, gzip")),
		vary("encoding-weight", Required, "weights in Accept-Encoding matter", asked, "Accept-Encoding", list("Accept-Encoding: gzip;q=0, br"), list("Accept-Encoding: gzip, br;q=0")),
		vary("encoding-absent", Required, "no Accept-Encoding is not the same as gzip", asked, "Accept-Encoding", nil, list("Accept-Encoding: gzip")),
		vary("language-weight", Required, "weights in Accept-Language matter", asked, "Accept-Language", list("Accept-Language: en;q=0.1, de"), list("Accept-Language: en, de;q=0.1")),
		{"vary-validates-others", "9111 4.1", Optional, "what is stored for other values is asked for with its tag", steps(
			get("Foo: 1").validates(hour, tag, "Vary: Foo"), get("Foo: 2").validates(hour, tag, "Vary: Foo").then(saw(`If-None-Match: "abc"`), status(200)))},
		{"vary-no-store", "9111 4.1", Recommended, "a variant that is not stored leaves others", steps(
			get("Foo: 1").answered(hour, "Vary: Foo"), get("Foo: 2").answered("Cache-Control: no-store", "Vary: Foo"), get("Foo: 1").then(hit, from(1)))},
		{"vary-stale-variant", "9111 4.1", Recommended, "a variant that is stale leaves others", steps(
			get("Foo: 1").answered(hour, "Vary: Foo"), get("Foo: 2").answered("Cache-Control: max-age=0", "Vary: Foo"), get("Foo: 1").then(hit, from(1)), get("Foo: 2").then(asked))},
		{"vary-error-variant", "9111 4.1", Recommended, "an error for one variant leaves others", steps(
			get("Foo: 1").answered(hour, "Vary: Foo"), get("Foo: 2").gives(500), get("Foo: 1").then(hit, from(1)))},
		{"vary-variants", "9111 4.1", Recommended, "answers for several values are stored side by side", steps(
			get("Foo: 1").answered(hour, "Vary: Foo"), get("Foo: 2").answered(hour, "Vary: Foo"),
			get("Foo: 1").then(hit, from(1)), get("Foo: 2").then(hit, from(2)), get("Foo: 1").then(hit, from(1)))},
		{"vary-variants-three", "9111 4.1", Recommended, "answers for several values are stored side by side", steps(
			get("Foo: 1").answered(hour, "Vary: Foo"), get("Foo: 2").answered(hour, "Vary: Foo"), get().answered(hour, "Vary: Foo"),
			get("Foo: 1").then(hit, from(1)), get("Foo: 2").then(hit, from(2)), get().then(hit, from(3)))},
		{"vary-changes", "9111 4.1", Required, "answers that were chosen by different fields are each found by their own", steps(
			get("Foo: 1", "Bar: 1").answered(hour, "Vary: Foo"), get("Foo: 2", "Bar: 1").answered(hour, "Vary: Foo, Bar"),
			get("Foo: 2", "Bar: 2").answered(hour, "Vary: Foo, Bar").then(asked))},
		{"vary-changes-found", "9111 4.1", Optional, "answers that were chosen by different fields are each found by their own", steps(
			get("Foo: 1", "Bar: 1").answered(hour, "Vary: Foo"), get("Foo: 2", "Bar: 1").answered(hour, "Vary: Foo, Bar"),
			get("Foo: 1", "Bar: 9").then(hit, from(1)), get("Foo: 2", "Bar: 1").then(hit, from(2)))},
		{"vary-appears", "9111 4.1", Required, "an answer with Vary is not for other values, though one without came before", steps(
			get("Foo: 1").answered("Cache-Control: max-age=0"), get("Foo: 1").answered(hour, "Vary: Foo"), get("Foo: 2").answered(hour, "Vary: Foo").then(asked))},
		{"vary-latest", "9111 4.1", Optional, "of several answers that fit, the latest is used", steps(
			get("Foo: 1", "Bar: 1").answered(hour, "Vary: Foo", "Date: {now-20s}"), get("Foo: 2", "Bar: 1").answered(hour, "Vary: Bar", "Date: {now-10s}").then(given(miss)),
			get("Foo: 1", "Bar: 1").then(hit, from(2)))},
		{"vary-304", "9111 4.3.4", Required, "a variant that was validated is still not for other values", steps(
			get("Foo: 1").validates("Cache-Control: max-age=1", tag, "Vary: Foo"), get("Foo: 1").after(pastSecond).validates(hour, tag, "Vary: Foo").then(given(validated)),
			get("Foo: 2").answered(hour, "Vary: Foo").then(asked))},
		{"vary-passed-on", "9110 12.5.5", Required, "Vary is passed on", steps(
			get("Foo: 1").answered(hour, "Vary: Foo, Bar"), get("Foo: 1").then(given(hit), has("Vary: Foo"), has("Vary: Bar")))},
	}
	for _, name := range []string{"Accept", "Accept-Encoding", "Accept-Language", "Origin", "User-Agent", "Cookie", "Referer"} {
		values := map[string][2]string{
			"Accept": {"text/html", "application/json"}, "Accept-Encoding": {"gzip", "br"}, "Accept-Language": {"en", "de"},
		}[name]
		if values[0] == "" {
			values = [2]string{"a=1", "a=2"}
		}
		id := strings.ToLower(name)
		all = append(all,
			vary(id+"-other", Required, name+" that differs is asked for", asked, name, list(name+": "+values[0]), list(name+": "+values[1])),
			vary(id+"-same", Recommended, name+" that is the same is answered", hit, name, list(name+": "+values[0]), list(name+": "+values[0])))
	}
	return all
}
