package suite

import "strings"

// unsafeMethods are those that may change what a URL answers. Nobody knows the last one, so nobody knows that it is safe.
var unsafeMethods = []string{"POST", "PUT", "DELETE", "PATCH", "FOO"}

// methods is about which methods' answers are used for which.
func methods() []Scenario {
	all := []Scenario{
		{"method-head-from-get", "9110 9.3.2", Recommended, "HEAD is answered from what GET stored", steps(
			get().answered(hour), request("HEAD").answered(hour).then(hit, status(200)))},
		{"method-head-length", "9110 9.3.2", Optional, "HEAD tells the length that GET has", steps(
			get().answered(hour), request("HEAD").answered(hour).then(given(hit), field("Content-Length: 20")))},
		{"method-head-body", "9110 9.3.2", Required, "an answer to HEAD has no body", steps(
			get().answered(hour), request("HEAD").answered(hour).then(body("")))},
		{"method-head-then-get", "9110 9.3.2", Required, "what HEAD got is not used as a whole answer to GET", steps(
			request("HEAD").answered(hour), get().answered(hour).then(miss, body("the answer of step 2")))},
		{"method-head-head", "9110 9.3.2", Optional, "HEAD is answered from what HEAD got", steps(
			request("HEAD").answered(hour), request("HEAD").answered(hour).then(hit))},
		{"method-head-stale", "9111 4.2", Required, "HEAD is not answered with what is stale", steps(
			get().answered(hour, "Age: 7200"), request("HEAD").answered(hour).then(asked))},
		{"method-head-vary", "9111 4.1", Required, "HEAD is not answered with what was chosen by other fields", steps(
			get("Foo: 1").answered(hour, "Vary: Foo"), request("HEAD", "Foo: 2").answered(hour, "Vary: Foo").then(asked))},
		{"method-post-fresh-get", "9110 9.3.3", Required, "what POST got is not used for GET, without Content-Location", steps(
			request("POST").answered(hour), get().answered(hour).then(miss))},
		{"method-post-content-location", "9110 9.3.3", Optional, "what POST got may be used for GET, with Content-Location of the same", steps(
			request("POST").answered(hour, "Content-Location: {path}"), get().answered(hour).then(hit))},
		{"method-options", "9110 9.3.7", Required, "answers to OPTIONS are not used", steps(
			request("OPTIONS").answered(hour), request("OPTIONS").answered(hour).then(asked))},
		{"method-get-body", "9110 9.3.1", Optional, "an answer to GET with a body is not used for GET without", steps(
			Step{Method: "GET", Body: "q=1"}.answered(hour), get().answered(hour).then(asked))},
		{"method-case", "9110 9.1", Required, "methods have case: get is not GET", steps(
			get().answered(hour), request("get").answered(hour).then(either(asked, status(400, 405, 501))))},
	}
	for _, m := range append([]string{"OPTIONS"}, unsafeMethods...) {
		id := strings.ToLower(m)
		all = append(all, Scenario{"method-" + id + "-writes", "9111 4", Required, m + " is not answered from what GET stored", steps(
			get().answered(hour), request(m).answered(hour).then(either(asked, status(400, 405, 501))))})
		if m == "OPTIONS" {
			continue
		}
		all = append(all, Scenario{"method-" + id + "-twice", "9111 3", Required, "an answer to " + m + " is not used for " + m, steps(
			request(m).answered(hour), request(m).answered(hour).then(either(asked, status(400, 405, 501))))})
	}
	return all
}

// invalidation is about what is forgotten when a URL's answer may have changed.
func invalidation() []Scenario {
	reached := given(miss)
	var all []Scenario
	for _, m := range unsafeMethods {
		id := "invalidate-" + strings.ToLower(m)
		all = append(all,
			Scenario{id, "9111 4.4", Required, m + " that went well makes what is stored invalid", steps(
				get().answered(hour), get().then(given(hit)), request(m).answered().then(reached), get().answered(hour).then(asked))},
			Scenario{id + "-redirect", "9111 4.4", Required, m + " that ends in a redirect makes what is stored invalid", steps(
				get().answered(hour), get().then(given(hit)), request(m).gives(303, "Location: /elsewhere").then(reached), get().answered(hour).then(asked))},
			Scenario{id + "-error", "9111 4.4", Optional, m + " that failed leaves what is stored", steps(
				get().answered(hour), get().then(given(hit)), request(m).gives(500).then(reached), get().then(hit))},
			Scenario{id + "-location", "9111 4.4", Optional, m + " makes invalid what Location names", steps(
				get().at("b").answered(hour), get().at("b").then(given(hit)), request(m).gives(201, "Location: {path}b").then(reached), get().at("b").answered(hour).then(asked))},
			Scenario{id + "-location-absolute", "9111 4.4", Optional, m + " makes invalid what Location names", steps(
				get().at("b").answered(hour), get().at("b").then(given(hit)), request(m).gives(201, "Location: http://{host}{path}b").then(reached), get().at("b").answered(hour).then(asked))},
			Scenario{id + "-content-location", "9111 4.4", Optional, m + " makes invalid what Content-Location names", steps(
				get().at("b").answered(hour), get().at("b").then(given(hit)), request(m).answered("Content-Location: {path}b").then(reached), get().at("b").answered(hour).then(asked))},
			Scenario{id + "-content-location-relative", "9111 4.4", Optional, m + " makes invalid what Content-Location names", steps(
				get().at("b").answered(hour), get().at("b").then(given(hit)), request(m).answered("Content-Location: ab").then(reached), get().at("b").answered(hour).then(asked))},
		)
	}
	foreign := func(id, about, line string) Scenario {
		const other = "Host: other.example"
		return Scenario{id, "9111 4.4", Required, about, steps(
			get(other).at("b").answered(hour), get(other).at("b").then(given(hit)), request("POST").gives(201, line).then(reached), get(other).at("b").then(hit))}
	}
	return append(all,
		foreign("invalidate-foreign-location", "Location on another host makes nothing invalid", "Location: http://other.example{path}b"),
		foreign("invalidate-foreign-content-location", "Content-Location on another host makes nothing invalid", "Content-Location: http://other.example{path}b"),
		Scenario{"invalidate-error-404", "9111 4.4", Optional, "POST that was refused leaves what is stored", steps(
			get().answered(hour), get().then(given(hit)), request("POST").gives(404).then(reached), get().then(hit))},
		Scenario{"invalidate-other-path", "9111 4.4", Recommended, "POST to one URL leaves others", steps(
			get().at("b").answered(hour), get().at("b").then(given(hit)), request("POST").answered().then(reached), get().at("b").then(hit))},
		Scenario{"invalidate-other-query", "9111 4.4", Recommended, "POST to one URL leaves those with another query", steps(
			get().at("?b").answered(hour), get().at("?b").then(given(hit)), request("POST").at("?c").answered().then(reached), get().at("?b").then(hit))},
		Scenario{"invalidate-variants", "9111 4.4", Required, "POST makes all variants invalid", steps(
			get("Foo: 1").answered(hour, "Vary: Foo"), get("Foo: 2").answered(hour, "Vary: Foo"), get("Foo: 1").then(given(hit)),
			request("POST", "Foo: 3").answered().then(reached),
			get("Foo: 1").answered(hour, "Vary: Foo").then(asked), get("Foo: 2").answered(hour, "Vary: Foo").then(asked))},
		Scenario{"invalidate-not-head", "9111 4.4", Recommended, "HEAD makes nothing invalid", steps(
			get().answered(hour), request("HEAD").answered(), get().then(hit))},
		Scenario{"invalidate-not-options", "9111 4.4", Recommended, "OPTIONS makes nothing invalid", steps(
			get().answered(hour), request("OPTIONS").answered(), get().then(hit))},
		Scenario{"invalidate-then-stored", "9111 4.4", Recommended, "after it was made invalid, what comes next is stored", steps(
			get().answered(hour), get().then(given(hit)), request("POST").answered().then(reached), get().answered(hour).then(given(miss)), get().then(hit, from(4)))},
	)
}
