package suite

// parsing is about how Cache-Control is read.
func parsing() []Scenario {
	var all []Scenario
	for _, c := range []struct {
		id, value string
		kind      Kind
		check     Check
		about     string
	}{
		{"case", "Max-Age=3600", Recommended, hit, "names of directives have no case"},
		{"upper", "MAX-AGE=3600", Recommended, hit, "names of directives have no case"},
		{"upper-s-maxage", "S-MAXAGE=3600", Recommended, hit, "names of directives have no case"},
		{"upper-no-store", "max-age=3600, No-Store", Required, asked, "names of directives have no case"},
		{"upper-private", "max-age=3600, PRIVATE", Required, asked, "names of directives have no case"},
		{"upper-no-cache", "max-age=3600, NO-CACHE", Required, asked, "names of directives have no case"},
		{"quoted", `max-age="3600"`, Recommended, hit, "arguments may be quoted"},
		{"quoted-0", `max-age="0"`, Required, asked, "arguments may be quoted"},
		{"quoted-s-maxage", `s-maxage="3600"`, Recommended, hit, "arguments may be quoted"},
		{"single-quoted", "max-age='3600'", Recommended, asked, "an argument that is no number is stale"},
		{"letters", "max-age=3600abc", Recommended, asked, "an argument that is no number is stale"},
		{"word", "max-age=abc", Recommended, asked, "an argument that is no number is stale"},
		{"decimal", "max-age=3600.5", Recommended, asked, "an argument that is no number is stale"},
		{"decimal-0", "max-age=0.5", Recommended, asked, "an argument that is no number is stale"},
		{"negative", "max-age=-3600", Recommended, asked, "an argument that is no number is stale"},
		{"plus", "max-age=+3600", Recommended, asked, "an argument that is no number is stale"},
		{"hex", "max-age=0xe10", Recommended, asked, "an argument that is no number is stale"},
		{"empty", "max-age=", Recommended, asked, "an argument that is missing is stale"},
		{"none", "max-age", Recommended, asked, "an argument that is missing is stale"},
		{"s-maxage-word", "s-maxage=abc", Recommended, asked, "an argument that is no number is stale"},
		{"zeros", "max-age=0003600", Recommended, hit, "leading zeros are digits"},
		{"space-before", "max-age =3600", Optional, asked, "there is no space before ="},
		{"space-after", "max-age= 3600", Optional, asked, "there is no space after ="},
		{"unknown", `foo, max-age=3600, bar="baz", qux=1`, Recommended, hit, "unknown directives are ignored"},
		{"unknown-before", `foo="x, no-store", max-age=3600`, Recommended, hit, "what is quoted is no directive"},
		{"unknown-max-age", `foo="max-age=3600", max-age=0`, Required, asked, "what is quoted is no directive"},
		{"unknown-max-age-stale", `foo="max-age=0", max-age=3600`, Recommended, hit, "what is quoted is no directive"},
		{"escaped", `foo="a\"b, max-age=0, no-store", max-age=3600`, Recommended, hit, "quotes may be escaped"},
		{"escaped-backslash", `foo="a\\", no-store, max-age=3600`, Required, asked, "backslashes may be escaped"},
		{"prefix", "xno-store, no-storex, max-age=3600", Recommended, hit, "names of directives are whole words"},
		{"prefix-max-age", "xmax-age=0, max-agex=0, max-age=3600", Recommended, hit, "names of directives are whole words"},
		{"suffix-s-maxage", "as-maxage=0, max-age=3600", Recommended, hit, "names of directives are whole words"},
		{"spaces", "  foo \t,\tmax-age=3600   ,  bar  ", Recommended, hit, "there may be space around commas"},
		{"no-spaces", "foo,max-age=3600,bar", Recommended, hit, "there need not be space around commas"},
		{"empty-elements", ", ,max-age=3600,, ,", Recommended, hit, "empty elements are ignored"},
		{"no-store-argument", "max-age=3600, no-store=1", Recommended, asked, "an argument that does not belong there is ignored"},
		{"no-store-quoted", `max-age=3600, no-store="x"`, Recommended, asked, "an argument that does not belong there is ignored"},
		{"private-empty", `max-age=3600, private=""`, Optional, asked, "private without a name of a field is private"},
		{"private-unclosed", `max-age=3600, private="foo`, Recommended, asked, "what cannot be read is taken to the safe side"},
		{"semicolon", "max-age=3600; no-store", Optional, asked, "what cannot be read is taken to the safe side"},
		{"no-comma", "no-store max-age=3600", Optional, asked, "what cannot be read is taken to the safe side"},
		{"unclosed", `max-age=3600, foo="bar`, Optional, hit, "what was read before a quote that is not closed counts"},
	} {
		all = append(all, twice("parse-"+c.id, "9111 5.2", c.kind, c.about, c.check, "Cache-Control: "+c.value))
	}
	return append(all,
		twice("parse-two-lines", "9110 5.3", Required, "several lines are one list", asked, hour, "Cache-Control: no-store"),
		twice("parse-two-lines-first", "9110 5.3", Required, "several lines are one list", asked, "Cache-Control: no-store", hour),
		twice("parse-two-lines-unknown", "9110 5.3", Recommended, "several lines are one list", hit, "Cache-Control: foo", hour, "Cache-Control: bar"),
		twice("parse-empty-line", "9110 5.3", Recommended, "an empty line says nothing", hit, "Cache-Control: ", hour),
		twice("parse-name-case", "9110 5.1", Recommended, "names of fields have no case", hit, "cAcHe-CoNtRoL: max-age=3600"),
	)
}

// responseDirectives is about the directives of answers.
func responseDirectives() []Scenario {
	private := func(id, value string) Scenario {
		return Scenario{id, "9111 5.2.2.7", Required, "a field that is private is not in what others get", steps(
			get().answered("Cache-Control: max-age=3600, "+value, "X-Mine: secret", "X-Also: secret"), get().then(notTold("X-Mine: secret")))}
	}
	noCache := func(id, value string) Scenario {
		return Scenario{id, "9111 5.2.2.4", Required, "a field that is no-cache is not used without asking", steps(
			get().answered("Cache-Control: max-age=3600, "+value, "X-Mine: secret", "X-Also: secret"), get().then(notTold("X-Mine: secret")))}
	}
	return []Scenario{
		twice("cc-no-store", "9111 5.2.2.5", Required, "no-store is not stored", asked, "Cache-Control: no-store"),
		twice("cc-no-store-max-age", "9111 5.2.2.5", Required, "no-store counts before max-age", asked, "Cache-Control: no-store, max-age=3600"),
		twice("cc-no-store-last", "9111 5.2.2.5", Required, "no-store counts behind max-age", asked, "Cache-Control: max-age=3600, no-store"),
		twice("cc-no-store-expires", "9111 5.2.2.5", Required, "no-store counts with Expires", asked, "Cache-Control: no-store", "Expires: {now+1h}"),
		twice("cc-no-store-public", "9111 5.2.2.5", Required, "no-store counts with public", asked, "Cache-Control: public, no-store, s-maxage=3600"),
		{"cc-no-store-later", "9111 5.2.2.5", Required, "an answer with no-store that comes later does not bring an old one back", steps(
			get().answered(second, tag), get().after(pastSecond).answered("Cache-Control: no-store"), get().answered(hour).then(miss))},
		{"cc-no-store-404", "9111 5.2.2.5", Required, "no-store counts for errors", steps(
			get().gives(404, "Cache-Control: no-store, max-age=3600"), get().gives(404).then(asked))},
		{"cc-no-store-301", "9111 5.2.2.5", Required, "no-store counts for redirects", steps(
			get().gives(301, "Cache-Control: no-store, max-age=3600", "Location: /b"), get().gives(301, "Location: /b").then(asked))},
		twice("cc-private", "9111 5.2.2.7", Required, "private is not for others", asked, "Cache-Control: private, max-age=3600"),
		twice("cc-private-s-maxage", "9111 5.2.2.7", Required, "private counts with s-maxage", asked, "Cache-Control: private, s-maxage=3600"),
		twice("cc-private-public", "9111 5.2.2.7", Required, "of directives that conflict the stricter counts", asked, "Cache-Control: public, private, max-age=3600"),
		twice("cc-private-expires", "9111 5.2.2.7", Required, "private counts with Expires", asked, "Cache-Control: private", "Expires: {now+1h}"),
		private("cc-private-field", `private="X-Mine"`),
		private("cc-private-field-case", `private="x-mine"`),
		private("cc-private-fields", `private="X-Also, X-Mine"`),
		private("cc-private-field-token", `private=X-Mine`),
		noCache("cc-no-cache-field", `no-cache="X-Mine"`),
		noCache("cc-no-cache-fields", `no-cache="X-Also,X-Mine"`),
		noCache("cc-no-cache-field-token", `no-cache=x-mine`),
		twice("cc-no-cache", "9111 5.2.2.4", Required, "no-cache is not used without asking", asked, "Cache-Control: no-cache"),
		twice("cc-no-cache-max-age", "9111 5.2.2.4", Required, "no-cache counts before max-age", asked, "Cache-Control: no-cache, max-age=3600"),
		twice("cc-no-cache-last", "9111 5.2.2.4", Required, "no-cache counts behind s-maxage", asked, "Cache-Control: s-maxage=3600, no-cache"),
		twice("cc-no-cache-expires", "9111 5.2.2.4", Required, "no-cache counts with Expires", asked, "Cache-Control: no-cache", "Expires: {now+1h}"),
		{"cc-no-cache-validated", "9111 5.2.2.4", Recommended, "no-cache may be stored, and is asked for with a condition", steps(
			get().validates("Cache-Control: no-cache", tag), get().validates("Cache-Control: no-cache", tag).then(validated))},
		{"cc-no-cache-max-age-validated", "9111 5.2.2.4", Recommended, "no-cache may be stored, and is asked for with a condition", steps(
			get().validates("Cache-Control: no-cache, max-age=3600", tag), get().validates("Cache-Control: no-cache, max-age=3600", tag).then(validated))},
		{"cc-max-age-0-validated", "9111 4.3", Recommended, "what is stale from the beginning may be stored, and is asked for with a condition", steps(
			get().validates("Cache-Control: max-age=0", tag), get().validates("Cache-Control: max-age=0", tag).then(validated))},
		twice("cc-public", "9111 5.2.2.9", Recommended, "public may be stored", hit, "Cache-Control: public, max-age=3600"),
		twice("cc-must-revalidate-fresh", "9111 5.2.2.2", Recommended, "must-revalidate may be used while it is fresh", hit, "Cache-Control: max-age=3600, must-revalidate"),
		twice("cc-proxy-revalidate-fresh", "9111 5.2.2.8", Recommended, "proxy-revalidate may be used while it is fresh", hit, "Cache-Control: max-age=3600, proxy-revalidate"),
		twice("cc-immutable", "8246 2", Recommended, "immutable may be used", hit, "Cache-Control: max-age=3600, immutable"),
		{"cc-immutable-stale", "8246 2", Required, "immutable says nothing of what is stale", steps(
			get().answered("Cache-Control: max-age=1, immutable"), get().after(pastSecond).then(asked))},
		twice("cc-no-transform", "9111 5.2.2.6", Recommended, "no-transform may be stored", hit, "Cache-Control: max-age=3600, no-transform"),
		twice("cc-pragma", "9111 5.4", Optional, "Pragma means nothing in answers", hit, hour, "Pragma: no-cache"),
		twice("cc-pragma-unknown", "9111 5.4", Recommended, "Pragma that nobody knows means nothing", hit, hour, "Pragma: foo"),
		twice("cc-passed-on", "9111 5.2", Required, "directives are passed on, also unknown ones", whenHit(field(`Cache-Control: max-age=3600, foo="bar, baz"`)), `Cache-Control: max-age=3600, foo="bar, baz"`),
		twice("cc-set-cookie", "9111 7.3", Optional, "Set-Cookie does not keep an answer from being used", hit, hour, "Set-Cookie: a=b"),
		twice("cc-set-cookie-private", "9111 7.3", Optional, "a Set-Cookie is not given to others", notTold("Set-Cookie: a=b"), hour, "Set-Cookie: a=b"),
		twice("cc-set-cookie-s-maxage", "9111 7.3", Optional, "Set-Cookie does not keep an answer from being used that says it is for all", hit, "Cache-Control: public, s-maxage=3600", "Set-Cookie: a=b"),
	}
}

// notTold: the client does not get what an earlier answer had.
func notTold(line string) Check { return either(asked, hasNot(line)) }

// requestDirectives is about the directives of requests, which are advice.
func requestDirectives() []Scenario {
	ask := func(id, section string, kind Kind, about string, c Check, answer []string, fields ...string) Scenario {
		return Scenario{id, section, kind, about, steps(get().answered(answer...), get(fields...).answered(answer...).then(c))}
	}
	fresh := []string{hour}
	older := []string{hour, "Age: 600"}
	stale := []string{"Cache-Control: max-age=1"}
	old := func(s Scenario) Scenario {
		s.Steps[1].Wait = pastSecond
		return s
	}
	return []Scenario{
		ask("req-no-cache", "9111 5.2.1.4", Optional, "a request with no-cache is asked for", asked, fresh, "Cache-Control: no-cache"),
		ask("req-no-cache-case", "9111 5.2.1.4", Optional, "a request with No-Cache is asked for", asked, fresh, "Cache-Control: No-Cache"),
		ask("req-max-age-0", "9111 5.2.1.1", Optional, "a request with max-age=0 is asked for", asked, fresh, "Cache-Control: max-age=0"),
		ask("req-max-age-small", "9111 5.2.1.1", Optional, "a request with a max-age that is less than the age is asked for", asked, older, "Cache-Control: max-age=300"),
		ask("req-max-age-large", "9111 5.2.1.1", Recommended, "a request with a max-age that is more than the age is answered", hit, older, "Cache-Control: max-age=900"),
		ask("req-max-age-beyond", "9111 5.2.1.1", Required, "a max-age of a request makes nothing fresh", asked, []string{hour, "Age: 7200"}, "Cache-Control: max-age=9000"),
		ask("req-min-fresh", "9111 5.2.1.3", Optional, "a request with min-fresh that is less than is left is answered", hit, older, "Cache-Control: min-fresh=600"),
		ask("req-min-fresh-large", "9111 5.2.1.3", Optional, "a request with min-fresh that is more than is left is asked for", asked, older, "Cache-Control: min-fresh=3300"),
		ask("req-no-store", "9111 5.2.1.5", Recommended, "no-store of a request does not keep a stored answer from being used", hit, fresh, "Cache-Control: no-store"),
		ask("req-no-transform", "9111 5.2.1.6", Recommended, "a request with no-transform is answered", hit, fresh, "Cache-Control: no-transform"),
		ask("req-unknown", "9111 5.2.1", Recommended, "unknown directives of requests are ignored", hit, fresh, "Cache-Control: foo, bar=baz"),
		ask("req-pragma", "9111 5.4", Optional, "a request with Pragma: no-cache is asked for", asked, fresh, "Pragma: no-cache"),
		ask("req-pragma-unknown", "9111 5.4", Recommended, "other words in Pragma mean nothing", hit, fresh, "Pragma: foo"),
		ask("req-pragma-with-cache-control", "9111 5.4", Optional, "Pragma means nothing beside Cache-Control", hit, fresh, "Pragma: no-cache", "Cache-Control: max-age=900"),
		ask("req-only-if-cached", "9111 5.2.1.7", Recommended, "a request with only-if-cached is answered with what is stored", hit, fresh, "Cache-Control: only-if-cached"),
		{"req-only-if-cached-nothing", "9111 5.2.1.7", Optional, "a request with only-if-cached for what is not stored is answered with 504", steps(
			get("Cache-Control: only-if-cached").answered(hour).then(unasked, status(504)))},
		{"req-only-if-cached-stale", "9111 5.2.1.7", Optional, "a request with only-if-cached for what is stale is answered with 504", steps(
			get().answered(hour, "Age: 7200"), get("Cache-Control: only-if-cached").then(unasked, status(504)))},
		{"req-no-store-first", "9111 5.2.1.5", Optional, "the answer to a request with no-store is not stored", steps(
			get("Cache-Control: no-store").answered(hour), get().answered(hour).then(asked))},
		{"req-no-cache-updates", "9111 5.2.1.4", Optional, "what was got for a request with no-cache is used for the next", steps(
			get().answered(hour), get("Cache-Control: no-cache").answered(hour).then(given(miss)), get().then(hit, from(2)))},
		{"req-no-cache-validates", "9111 5.2.1.4", Optional, "a request with no-cache is asked for with a condition", steps(
			get().validates(hour, tag), get("Cache-Control: no-cache").validates(hour, tag).then(validated))},
		old(ask("req-max-stale", "9111 5.2.1.2", Optional, "a request with max-stale is answered with what is stale", hit, stale, "Cache-Control: max-stale")),
		old(ask("req-max-stale-enough", "9111 5.2.1.2", Optional, "a request with max-stale is answered with what is less stale", hit, stale, "Cache-Control: max-stale=600")),
		old(ask("req-max-stale-little", "9111 5.2.1.2", Required, "a request with max-stale is not answered with what is more stale", asked, stale, "Cache-Control: max-stale=0")),
		old(ask("req-max-stale-must-revalidate", "9111 5.2.2.2", Required, "max-stale gives way to must-revalidate", asked, []string{"Cache-Control: max-age=1, must-revalidate"}, "Cache-Control: max-stale=600")),
		old(ask("req-max-stale-s-maxage", "9111 5.2.2.10", Required, "max-stale gives way to s-maxage", asked, []string{"Cache-Control: s-maxage=1"}, "Cache-Control: max-stale=600")),
		old(ask("req-max-stale-proxy-revalidate", "9111 5.2.2.8", Required, "max-stale gives way to proxy-revalidate", asked, []string{"Cache-Control: max-age=1, proxy-revalidate"}, "Cache-Control: max-stale=600")),
	}
}

// authorization is about answers to requests that show who asks.
func authorization() []Scenario {
	const who = "Authorization: Bearer abc"
	auth := func(id string, kind Kind, about string, c Check, fields ...string) Scenario {
		return Scenario{id, "9111 3.5", kind, about, steps(get(who).answered(fields...), get().answered(fields...).then(c))}
	}
	return []Scenario{
		auth("auth-max-age", Required, "an answer to one who shows who it is is not for others", asked, hour),
		auth("auth-expires", Required, "an answer to one who shows who it is is not for others", asked, "Expires: {now+1h}"),
		auth("auth-public", Recommended, "public makes it one for others", hit, "Cache-Control: public, max-age=3600"),
		auth("auth-s-maxage", Recommended, "s-maxage makes it one for others", hit, "Cache-Control: s-maxage=3600"),
		auth("auth-must-revalidate", Recommended, "must-revalidate makes it one for others", hit, "Cache-Control: max-age=3600, must-revalidate"),
		auth("auth-proxy-revalidate", Required, "proxy-revalidate does not make it one for others", asked, "Cache-Control: max-age=3600, proxy-revalidate"),
		{"auth-same", "9111 3.5", Required, "an answer to one who shows who it is is not used for one who shows the same", steps(
			get(who).answered(hour), get(who).answered(hour).then(asked))},
		{"auth-other", "9111 3.5", Required, "an answer to one who shows who it is is not for one who shows something else", steps(
			get(who).answered(hour), get("Authorization: Bearer def").answered(hour).then(asked))},
		{"auth-later", "9111 3.5", Optional, "an answer that was stored for all is used for one who shows who it is", steps(
			get().answered(hour), get(who).answered(hour).then(hit))},
		{"auth-401", "9111 3", Optional, "a 401 that says that it is fresh is used", steps(
			get().gives(401, hour, "WWW-Authenticate: Basic"), get().gives(401, hour, "WWW-Authenticate: Basic").then(hit))},
	}
}
