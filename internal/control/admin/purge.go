package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache/purge"
)

// PurgeOrder is what /caches/purge is asked.
type PurgeOrder struct {
	Cache string `json:"cache,omitempty"` // "": all
	filter.Purge
}

// PurgeReport is what /caches/purge answers.
type PurgeReport struct {
	OK     bool         `json:"ok"`
	Purge  filter.Purge `json:"purge"` // as it was understood
	Caches []PurgedIn   `json:"caches"`
}

// PurgedIn is what a purge did in a cache.
type PurgedIn struct {
	Cache string `json:"cache"`
	filter.Purged
}

// purge has what is stored not be used any more.
func (a *api) purge(w http.ResponseWriter, r *http.Request) {
	order, err := readPurge(http.MaxBytesReader(w, r.Body, 64<<10), r.URL.Query())
	if err != nil {
		badQuestion(w, err.Error()+".")
		return
	}
	understood, err := checkPurge(order.Purge)
	if err != nil {
		badQuestion(w, err.Error()+".")
		return
	}
	caches, ok := a.cachesNamed(w, order.Cache)
	if !ok {
		return
	}
	if len(caches) == 0 {
		writeProblem(w, http.StatusNotFound, "unknown_cache", "There is no cache: no route has the policy `cache`.")
		return
	}
	report := PurgeReport{OK: true, Purge: understood, Caches: []PurgedIn{}}
	var failed filter.ResponseCache
	var because error
	for _, c := range caches {
		purged, err := c.Purge(r.Context(), order.Purge)
		if err != nil {
			failed, because = c, err // the others are purged all the same
			continue
		}
		report.Caches = append(report.Caches, PurgedIn{c.ResponseCache().Name, purged})
		a.Log.Info("a cache was purged", "cache", c.ResponseCache().Name, "what", DescribePurge(understood), "soft", understood.Soft, "seq", purged.Seq, "shared", purged.Shared, "from", r.RemoteAddr)
	}
	if failed != nil {
		a.unavailable(w, r, "purge", failed, because)
		return
	}
	writeJSON(w, http.StatusOK, report)
}

// readPurge reads an order: a JSON object, whatever type it says that it has, or a form, or the query.
func readPurge(body io.Reader, query url.Values) (PurgeOrder, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return PurgeOrder{}, fmt.Errorf("the question cannot be read: %w", err)
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 || string(text) == "null" {
		return purgeOf(query)
	}
	if text[0] == '{' {
		return purgeFrom(text)
	}
	form, err := url.ParseQuery(string(text))
	if err != nil {
		return PurgeOrder{}, fmt.Errorf("the question is neither a JSON object nor a form: %w", err)
	}
	for name, values := range query {
		form[name] = append(form[name], values...)
	}
	return purgeOf(form)
}

// purgeFrom reads an order that is a JSON object.
func purgeFrom(text []byte) (order PurgeOrder, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return order, fmt.Errorf("the JSON cannot be read: %w", err)
	}
	for name := range members {
		if err := knownMember(name); err != nil {
			return order, err
		}
	}
	var wrong *json.UnmarshalTypeError
	switch err := json.Unmarshal(text, &order); {
	case errors.As(err, &wrong):
		return order, fmt.Errorf("%s is of type %s, expected %s", wrong.Field, wrong.Value, wrong.Type)
	case err != nil:
		return order, fmt.Errorf("the JSON cannot be read: %w", err)
	}
	return order, nil
}

// purgeOf reads an order that is a form.
func purgeOf(form url.Values) (order PurgeOrder, err error) {
	for name, values := range form {
		if err := knownMember(name); err != nil {
			return order, err
		}
		if len(values) > 1 {
			return order, fmt.Errorf("%s is given %d times: one purge is of one thing", name, len(values))
		}
	}
	order = PurgeOrder{form.Get("cache"), filter.Purge{URL: form.Get("url"), Prefix: form.Get("prefix"), Tag: form.Get("tag")}}
	for name, into := range map[string]*bool{"all": &order.All, "soft": &order.Soft} {
		if text := form.Get(name); form.Has(name) {
			if *into, err = strconv.ParseBool(text); err != nil {
				return order, fmt.Errorf("%s is %q, expected true or false", name, text)
			}
		}
	}
	return order, nil
}

func knownMember(name string) error {
	known := []string{"cache", "url", "prefix", "tag", "all", "soft"}
	if slices.Contains(known, name) {
		return nil
	}
	const expected = "expected one of url, prefix, tag and all, and if wanted cache and soft"
	if near := config.Suggest(name, known); near != "" {
		return fmt.Errorf("%q is not known (did you mean %q?): %s", name, near, expected)
	}
	return fmt.Errorf("%q is not known: %s", name, expected)
}

// checkPurge returns a purge with its normal URL, or what is wrong with it.
func checkPurge(p filter.Purge) (filter.Purge, error) {
	var given []string
	for name, is := range map[string]bool{"url": p.URL != "", "prefix": p.Prefix != "", "tag": p.Tag != "", "all": p.All} {
		if is {
			given = append(given, name)
		}
	}
	slices.Sort(given)
	switch {
	case len(given) == 0:
		return p, errors.New("nothing to purge is given: expected one of url, prefix, tag and all")
	case len(given) > 1:
		return p, fmt.Errorf("%s are given: expected one of url, prefix, tag and all", strings.Join(given, " and "))
	}
	var err error
	switch {
	case p.URL != "":
		p.URL, err = purge.Normal(p.URL)
	case p.Prefix != "":
		p.Prefix, err = purge.NormalPrefix(p.Prefix)
	}
	return p, err
}

// DescribePurge says in words what is purged.
func DescribePurge(p filter.Purge) string {
	switch {
	case p.URL != "":
		return p.URL
	case p.Prefix != "":
		return "all that begins with " + p.Prefix
	case p.Tag != "":
		return "the tag " + p.Tag
	}
	return "all"
}
