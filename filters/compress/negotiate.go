package compress

import (
	"strings"

	"cardea.dev/cardea/internal/qvalue"
)

// maxOffered is how many algorithms there are.
const maxOffered = 3

// choose returns the coding that a client likes best, or nil for the body as it is (RFC 9110, section 12.5.3).
//
// A client that refuses the body as it is and everything that is offered gets it as it is: the specification prefers an answer
// to a refusal.
func (f *compressor) choose(accept []string) *coding {
	var weights [maxOffered]weight
	var identity, others weight
	for _, value := range accept {
		for value != "" {
			var item string
			item, value, _ = strings.Cut(value, ",")
			name, params, _ := strings.Cut(item, ";")
			name = strings.Trim(name, " \t")
			switch i := f.offered(name); {
			case i >= 0:
				weights[i].set(params)
			case name == "*":
				others.set(params)
			case strings.EqualFold(name, "identity"):
				identity.set(params)
			}
		}
	}
	var chosen *coding
	best := 0
	for i, c := range f.codings {
		w := weights[i]
		if !w.said {
			w = others
		}
		if w.thousandths > best {
			best, chosen = w.thousandths, c
		}
	}
	if identity.thousandths > best {
		return nil
	}
	return chosen
}

// offered returns which coding has a name, or -1. "x-gzip" is gzip (RFC 9110, section 8.4.1.3).
func (f *compressor) offered(name string) int {
	if len(name) == len("x-gzip") && strings.EqualFold(name, "x-gzip") {
		name = "gzip"
	}
	for i, c := range f.codings {
		if len(name) == len(c.name) && strings.EqualFold(name, c.name) {
			return i
		}
	}
	return -1
}

// weight is what a client says of a coding. The first word counts.
type weight struct {
	thousandths int
	said        bool
}

func (w *weight) set(params string) {
	if !w.said {
		*w = weight{qvalue.Of(params), true}
	}
}
