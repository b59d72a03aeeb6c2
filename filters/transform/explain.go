package transform

import (
	"net/http"
	"strings"

	"cardea.dev/cardea/filter"
)

// verdict is what the notes come to.
func verdict(notes []string, changes bool) filter.Verdict {
	switch {
	case !changes && len(notes) > 0:
		return filter.Verdict{Action: filter.Passes, Note: notes[0]}
	case len(notes) == 0:
		return filter.Verdict{Action: filter.Passes, Note: "`when` says that nothing is to be done"}
	}
	return filter.Verdict{Action: filter.Changes, Note: strings.Join(notes, "; ")}
}

// explain says what would become of a request, and changes what is known without its body.
func (w *requestWay) explain(r *http.Request) (note string, changes bool) {
	if !hasBody(r) && (!w.create || r.Header["Upgrade"] != nil) {
		return "the request has no body and stays as it is", false
	}
	note = w.note(w.to) + " in the request"
	if !hasBody(r) {
		note = "a body would be made for the request: " + note
	}
	w.head(r)
	return note, true
}
