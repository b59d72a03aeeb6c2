package engine

import (
	"errors"
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

// StandIn is the target in the place of a route that quarantine left out. Its requests are refused, so that none of them gets around
// the route's policies by finding a wider one.
type StandIn struct {
	Why string // what is wrong with the route, or with what it needs
}

// Serve refuses.
func (s StandIn) Serve(*filter.Exchange) (*http.Response, error) {
	return nil, filter.Reject(filter.RouteQuarantined, "").Because(errors.New(s.Why))
}

// Explain says why.
func (s StandIn) Explain(*filter.Exchange) string {
	return string(filter.RouteQuarantined) + ": the route was left out, for it is wrong: " + s.Why
}
