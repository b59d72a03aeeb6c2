package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/internal/engine"
)

// Question is what explain is asked: what would this request get, or what became of the request with this id.
type Question struct {
	ID      string      `json:"id,omitempty"`
	Method  string      `json:"method,omitempty"` // "" is GET
	URL     string      `json:"url,omitempty"`
	Headers http.Header `json:"headers,omitempty"`
	Client  string      `json:"client,omitempty"` // "" is 127.0.0.1
}

func (a *api) explain(w http.ResponseWriter, r *http.Request) {
	q, err := question(w, r)
	if err != nil {
		writeProblem(w, http.StatusBadRequest, "bad_question", err.Error())
		return
	}
	if q.ID != "" {
		a.explainPast(w, r, q.ID)
		return
	}
	s := a.current(w)
	if s == nil {
		return
	}
	asked, client, err := q.Request()
	if err != nil {
		writeProblem(w, http.StatusBadRequest, "bad_question", err.Error())
		return
	}
	e := s.Explain(asked, client)
	if strings.Contains(r.Header.Get("Accept"), "text/plain") {
		writeText(w, http.StatusOK, strings.TrimRight(e.Text(), "\n"))
		return
	}
	writeJSON(w, http.StatusOK, e)
}

func (a *api) explainPast(w http.ResponseWriter, r *http.Request, id string) {
	p, ok := a.Past(id)
	if !ok {
		writeProblem(w, http.StatusNotFound, "unknown_request", "No request with the id "+id+" is remembered. Only the latest are that failed, or whose answer was made of several calls.")
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/plain") {
		writeText(w, http.StatusOK, strings.TrimRight(p.Text(), "\n"))
		return
	}
	writeJSON(w, http.StatusOK, p)
}

// question reads the question from the query, or from a JSON body.
func question(w http.ResponseWriter, r *http.Request) (q Question, err error) {
	if r.Method == http.MethodPost {
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
		d.DisallowUnknownFields()
		return q, d.Decode(&q)
	}
	v := r.URL.Query()
	q = Question{ID: v.Get("id"), Method: v.Get("method"), URL: v.Get("url"), Client: v.Get("client"), Headers: http.Header{}}
	for _, field := range v["header"] {
		name, value, _ := strings.Cut(field, ":")
		q.Headers.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return q, nil
}

// Request makes the request that is asked about.
func (q Question) Request() (*http.Request, netip.Addr, error) {
	client := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if q.Client != "" {
		var err error
		if client, err = netip.ParseAddr(q.Client); err != nil {
			return nil, client, fmt.Errorf("cannot use client %q: expected an IP address", q.Client)
		}
	}
	for name, values := range q.Headers {
		for _, value := range values {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
				return nil, client, fmt.Errorf("cannot use header %q: no request can have it", name+": "+value)
			}
		}
	}
	r, err := engine.AskedRequest(q.Method, q.URL, q.Headers)
	return r, client, err
}
