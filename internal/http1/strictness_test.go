package http1_test

import (
	"errors"
	"io"
	"net/url"
	"testing"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/http1/http1test"
)

// strictRow is a request in which there could be a doubt, and what the server makes of it.
type strictRow struct {
	name, in string
	status   int    // of the refusal; 0: it is taken
	body     string // of the request that is taken
	rfc      string // what the RFCs say, where that is not what they say of the group
}

// strictGroup are requests of one topic.
type strictGroup struct {
	title, rfc string
	rows       []strictRow
}

// strictness are the requests of all groups.
var strictness = allRows(requestGroups)

func allRows(groups []strictGroup) (all []strictRow) {
	for _, g := range groups {
		all = append(all, g.rows...)
	}
	return all
}

// following is the request that follows each of them, to see whether it is taken for what it is.
const following = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// parseAll parses a request with its body.
func parseAll(in io.Reader) (h *http1.Head, body []byte, rest []byte, err error) {
	l := http1.Limits{}.OrDefaults()
	var r http1.Reader
	r.Attach(in)
	h = new(http1.Head)
	if err := r.ReadRequestHead(h, &l); err != nil {
		return h, nil, nil, err
	}
	var b http1.BodyReader
	f, n := http1.RequestLength(h)
	b.Begin(&r, f, n, &l)
	if body, err = io.ReadAll(&b); err != nil {
		return h, nil, nil, err
	}
	rest, err = io.ReadAll(&r)
	return h, body, rest, err
}

func TestStrictness(t *testing.T) {
	for _, test := range strictness {
		t.Run(test.name, func(t *testing.T) {
			for _, split := range []int{len(test.in), 1, 7} {
				h, body, rest, err := parseAll(&http1test.Pieces{Data: []byte(test.in + following), Size: split})
				if err == nil { // what the server does beside
					if bad := h.SetURL(new(url.URL)); bad != nil {
						err = bad
					}
				}
				status := 0
				var bad *http1.ParseError
				if errors.As(err, &bad) {
					status = bad.Status
				} else if err != nil {
					t.Fatalf("pieces of %d: %v", split, err)
				}
				if status != test.status || status == 0 && (string(body) != test.body || string(rest) != following) {
					t.Errorf("pieces of %d: got %d %q %q (%v), want %d %q %q", split, status, body, rest, err, test.status, test.body, following)
				}
			}
		})
	}
}
