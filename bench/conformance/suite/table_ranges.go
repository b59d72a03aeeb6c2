package suite

import "strings"

// ranges is about parts of answers.
func ranges() []Scenario {
	const content = "0123456789"
	stored := []string{hour, tag, "Last-Modified: {now-24h}", "Accept-Ranges: bytes"}
	full := func(fields ...string) Step { return get(fields...).answered(stored...).with(text(content)) }
	partial := func(fields ...string) Step {
		return full(fields...).with(func(a *Answer) { a.Ranges = true })
	}
	// ask asks for a range of what is stored as a whole.
	ask := func(id string, kind Kind, about string, checks []Check, fields ...string) Scenario {
		return Scenario{"range-" + id, "9110 14.2", kind, about, steps(full(), partial(fields...).then(checks...))}
	}
	list := func(checks ...Check) []Check { return checks }
	fromStored := given(unasked)
	all := []Scenario{
		ask("first", Recommended, "a part of what is stored is answered from it", list(hit, status(206), body("0123")), "Range: bytes=0-3"),
		ask("middle", Recommended, "a part of what is stored is answered from it", list(hit, status(206), body("3456"), field("Content-Range: bytes 3-6/10")), "Range: bytes=3-6"),
		ask("open", Recommended, "the rest of what is stored is answered from it", list(hit, status(206), body("456789"), field("Content-Range: bytes 4-9/10")), "Range: bytes=4-"),
		ask("suffix", Recommended, "the end of what is stored is answered from it", list(hit, status(206), body("789"), field("Content-Range: bytes 7-9/10")), "Range: bytes=-3"),
		ask("one", Recommended, "one byte of what is stored is answered from it", list(hit, status(206), body("0"), field("Content-Range: bytes 0-0/10")), "Range: bytes=0-0"),
		ask("beyond-end", Recommended, "a part that ends beyond the end ends there", list(hit, status(206), body("89"), field("Content-Range: bytes 8-9/10")), "Range: bytes=8-99"),
		ask("suffix-long", Recommended, "an end that is longer than all is all", list(unasked, status(206, 200), body(content)), "Range: bytes=-99"),
		ask("all", Recommended, "a part that is all is answered from what is stored", list(unasked, status(206, 200), body(content)), "Range: bytes=0-"),
		ask("beyond", Recommended, "a part that begins beyond the end is answered with 416", list(unasked, status(416)), "Range: bytes=99-"),
		ask("beyond-length", Recommended, "a 416 tells how long the whole is", list(fromStored, given(status(416)), field("Content-Range: bytes */10")), "Range: bytes=99-"),
		ask("suffix-0", Optional, "an end of nothing is answered with 416", list(fromStored, status(416)), "Range: bytes=-0"),
		ask("several", Optional, "several parts are answered from what is stored", list(unasked, status(206), has("Content-Type: multipart/byteranges")), "Range: bytes=0-1,4-5"),
		ask("several-whole", Recommended, "several parts are answered with these or with all", list(fromStored, status(200, 206)), "Range: bytes=0-1, 4-5"),
		ask("unit", Recommended, "a unit that nobody knows does not count", list(fromStored, status(200), body(content)), "Range: lines=0-3"),
		ask("unit-case", Optional, "names of units have no case", list(fromStored, status(206)), "Range: BYTES=0-3"),
		ask("invalid", Recommended, "what is no range does not count", list(fromStored, status(200), body(content)), "Range: bytes=foo"),
		ask("invalid-order", Recommended, "a range that ends before it begins does not count", list(fromStored, status(200, 416)), "Range: bytes=5-2"),
		ask("etag", Required, "a part has the tag of the whole", list(fromStored, given(status(206)), field(tag)), "Range: bytes=0-3"),
		ask("length", Required, "a part has its own length", list(fromStored, given(status(206)), either(absent("Content-Length"), field("Content-Length: 4"))), "Range: bytes=0-3"),
		ask("if-range", Recommended, "If-Range with the tag is answered with the part", list(unasked, status(206), body("0123")), "Range: bytes=0-3", `If-Range: "abc"`),
		ask("if-range-other", Required, "If-Range with another tag is answered with all", list(fromStored, status(200), body(content)), "Range: bytes=0-3", `If-Range: "def"`),
		ask("if-range-weak", Required, "If-Range with a weak tag is answered with all", list(fromStored, status(200), body(content)), "Range: bytes=0-3", `If-Range: W/"abc"`),
		ask("if-range-date", Recommended, "If-Range with the date is answered with the part", list(unasked, status(206), body("0123")), "Range: bytes=0-3", "If-Range: {now-24h}"),
		ask("if-range-date-earlier", Required, "If-Range with an earlier date is answered with all", list(fromStored, status(200), body(content)), "Range: bytes=0-3", "If-Range: {now-48h}"),
		ask("if-range-date-later", Required, "If-Range with a later date, which is not the same, is answered with all", list(fromStored, status(200), body(content)), "Range: bytes=0-3", "If-Range: {now-1h}"),
		ask("if-range-alone", Required, "If-Range without Range does not count", list(fromStored, status(200), body(content)), `If-Range: "abc"`),
		ask("if-none-match", Required, "a condition counts before a range", list(fromStored, status(304)), "Range: bytes=0-3", `If-None-Match: "abc"`),
		{"range-head", "9110 14.2", Required, "Range counts for GET alone", steps(
			full(), request("HEAD", "Range: bytes=0-3").answered(stored...).with(text(content)).then(fromStored, status(200)))},
		{"range-404", "9110 14.2", Required, "a part of an answer 404 is not 206", steps(
			get().gives(404, stored...).with(text(content)), get("Range: bytes=0-3").gives(404, stored...).then(fromStored, status(404)))},
		{"range-first-request", "9110 15.3.7", Required, "a part is what the client gets that asked for it, or all", steps(
			partial("Range: bytes=0-3").then(rightPart(content, "0123")))},
		{"range-then-whole", "9111 3.3", Required, "a part is not used as the whole", steps(
			partial("Range: bytes=0-3"), partial().then(status(200), body(content)))},
		{"range-then-whole-end", "9111 3.3", Required, "a part is not used as the whole", steps(
			partial("Range: bytes=4-"), partial().then(status(200), body(content)))},
		{"range-then-same", "9111 3.3", Optional, "a part is used for the same part", steps(
			partial("Range: bytes=0-3"), partial("Range: bytes=0-3").then(hit, status(206), body("0123")))},
		{"range-then-same-right", "9111 3.3", Required, "a part is used for no more than it is", steps(
			partial("Range: bytes=0-3"), partial("Range: bytes=0-3").then(rightPart(content, "0123")))},
		{"range-then-smaller", "9111 3.3", Optional, "a part is used for a part of it", steps(
			partial("Range: bytes=2-7"), partial("Range: bytes=3-5").then(hit, status(206), body("345")))},
		{"range-then-smaller-right", "9111 3.3", Required, "a part is used for no more than it is", steps(
			partial("Range: bytes=2-7"), partial("Range: bytes=3-5").then(rightPart(content, "345")))},
		{"range-then-other", "9111 3.3", Required, "a part is not used for another", steps(
			partial("Range: bytes=0-3"), partial("Range: bytes=5-7").then(rightPart(content, "567")))},
		{"range-then-larger", "9111 3.3", Required, "a part is not used for a larger one", steps(
			partial("Range: bytes=2-5"), partial("Range: bytes=0-9").then(rightPart(content, content)))},
		{"range-no-store", "9111 5.2.2.5", Required, "a part with no-store is not stored", steps(
			get("Range: bytes=0-3").answered("Cache-Control: no-store").with(text(content)).with(func(a *Answer) { a.Ranges = true }),
			get("Range: bytes=0-3").answered("Cache-Control: no-store").with(text(content)).then(asked))},
		{"range-passed-whole", "9111 3", Recommended, "an origin that answers with all makes all stored", steps(
			full("Range: bytes=0-3"), full().then(hit, status(200), body(content)))},
		{"range-stale", "9111 4.2", Required, "a part of what is stale is not used", steps(
			get().answered(hour, tag, "Age: 7200").with(text(content)), partial("Range: bytes=0-3").then(asked))},
		{"range-416-origin", "9111 3", Optional, "a 416 of the origin is not used for the whole", steps(
			partial("Range: bytes=50-"), partial().then(status(200), body(content)))},
	}
	return all
}

// rightPart: the client got all or the part, each with its status.
func rightPart(whole, part string) Check {
	return either(both(status(206), body(part)), both(status(200), body(whole)))
}

func both(a, b Check) Check {
	return check(func(s *seen) error {
		if err := a.holds(s); err != nil {
			return err
		}
		return b.holds(s)
	})
}

// bodies is about answers that are whole, and those that are not.
func bodies() []Scenario {
	big := strings.Repeat("0123456789abcdef", 16<<10)
	change := func(f func(*Answer)) Step { return get().answered(hour).with(f) }
	cut := func(a *Answer) { a.Cut = true }
	chunked := func(a *Answer) { a.Chunked = true }
	return []Scenario{
		{"body-cut", "9111 3.3", Required, "an answer that ended before its length is not used", steps(
			change(cut), get().answered(hour).then(miss, whole))},
		{"body-cut-chunked", "9111 3.3", Required, "an answer that ended before its last chunk is not used", steps(
			change(chunked).with(cut), get().answered(hour).then(miss, whole))},
		{"body-cut-stale", "9111 3.3", Required, "an answer that ended before its length replaces nothing", steps(
			get().answered(second, tag), get().after(pastSecond).answered(hour, `ETag: "def"`).with(cut), get().answered(hour).then(when(unasked, from(1))))},
		{"body-cut-client", "9112 8", Required, "a client learns that an answer ended early", steps(
			change(cut).then(either(broken, failed)))},
		{"body-cut-client-chunked", "9112 8", Required, "a client learns that an answer ended early", steps(
			change(chunked).with(cut).then(either(broken, failed)))},
		{"body-empty", "9111 3", Recommended, "an empty answer is used", steps(
			change(text("")), get().answered(hour).then(hit, body("")))},
		{"body-chunked", "9111 3", Recommended, "an answer in chunks is used", steps(
			change(chunked), get().answered(hour).then(hit, body("the answer of step 1")))},
		{"body-chunked-empty", "9111 3", Recommended, "an empty answer in chunks is used", steps(
			change(chunked).with(text("")), get().answered(hour).then(hit, body("")))},
		{"body-to-close", "9111 3", Optional, "an answer that ends with its connection is used", steps(
			change(func(a *Answer) { a.ToClose = true }), get().answered(hour).then(hit, body("the answer of step 1")))},
		{"body-big", "9111 3", Recommended, "a large answer is used", steps(
			change(text(big)), get().answered(hour).then(hit, body(big)))},
		{"body-big-chunked", "9111 3", Recommended, "a large answer in chunks is used", steps(
			change(text(big)).with(chunked), get().answered(hour).then(hit, body(big)))},
		{"body-trailer", "9110 6.5", Recommended, "an answer with trailers is used", steps(
			change(chunked).with(func(a *Answer) { a.Trailer = []string{"X-Late: a"} }), get().answered(hour).then(hit, body("the answer of step 1")))},
		{"body-trailer-apart", "9110 6.5", Required, "trailers do not become fields of the head", steps(
			change(chunked).with(func(a *Answer) { a.Trailer = []string{"X-Late: a"} }), get().answered(hour).then(given(hit), absent("X-Late")))},
		{"body-trailer-cache-control", "9110 6.5.1", Required, "a trailer says nothing of freshness", steps(
			get().answered().with(chunked).with(func(a *Answer) { a.Trailer = []string{hour} }), get().answered(hour).then(asked))},
		{"body-encoded", "9110 8.4", Recommended, "an encoded answer is used as it came", steps(
			get("Accept-Encoding: gzip").answered(hour, "Content-Encoding: gzip").with(text(gzipped)), get("Accept-Encoding: gzip").then(hit, field("Content-Encoding: gzip"), body(gzipped)))},
	}
}

// gzipped is "hello\n", as gzip makes it.
const gzipped = "\x1f\x8b\b\x00\x00\x00\x00\x00\x00\xff\xcaH\xcd\xc9\xc9\xe7\x02\x04\x00\x00\xff\xff 0:6\x06\x00\x00\x00"

// broken: the answer ended early.
var broken = check(func(s *seen) error {
	if s.broken == nil {
		return errWhole
	}
	return nil
})
