package engine

import (
	"net/http"

	"cardea.dev/cardea/filter"
)

// Refusal is the target of requests that no route matches, or that are not fit to be matched: it says why not. The engine has
// put the reason into ex.Err.
type Refusal struct{}

// Serve refuses.
func (Refusal) Serve(ex *filter.Exchange) (*http.Response, error) {
	if ex.Err != nil {
		return nil, ex.Err
	}
	if ex.Original.Method == http.MethodOptions && ex.Request.URL.Path == "*" {
		return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody}, nil
	}
	return nil, filter.Reject(filter.RouteNotFound, "")
}

// Explain says why.
func (Refusal) Explain(ex *filter.Exchange) string {
	if ex.Err != nil {
		return ex.Err.Error()
	}
	return string(filter.RouteNotFound)
}
