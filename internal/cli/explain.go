package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"cardea.dev/cardea/internal/control/admin"
	"cardea.dev/cardea/internal/engine"
)

func (a *app) explain() *cobra.Command {
	var q admin.Question
	var fields []string
	var running adminFlags
	c := &cobra.Command{
		Use:   "explain FILE METHOD URL | explain --running METHOD URL | explain --running REQUEST-ID",
		Short: "Say which route a request finds and why, what each policy does, and where it goes",
		Long: `Say which route a request finds, why each nearer one does not match, what each policy
would do in order, and where the request would go. With --running the gateway that runs
is asked; it can also say of a request whose answer had this request id why it failed, and
of which calls it was made: what waited for what, and how long each took.`,
		Example: `  cardea explain cardea.yaml GET https://api.example.com/orders/7 -H 'Authorization: Bearer …'
  cardea explain --running GET http://localhost:8080/orders/7
  cardea explain --running 4f0c6d3c1b2a49f8a0b1c2d3e4f50617`,
		RunE: func(_ *cobra.Command, args []string) error {
			headers, err := parseFields(fields)
			if err != nil {
				return err
			}
			q.Headers = headers
			if running.on {
				return a.explainRunning(running, q, args)
			}
			if len(args) != 3 {
				return errors.New("expected FILE METHOD URL, or --running")
			}
			q.Method, q.URL = args[1], args[2]
			return a.explainFile(args[0], q)
		},
	}
	c.Flags().StringArrayVarP(&fields, "header", "H", nil, "a header field of the request, \"Name: value\"; may be given again")
	c.Flags().StringVar(&q.Client, "client", "", "the client's address (default 127.0.0.1)")
	running.add(c)
	c.Flags().BoolVar(&running.on, "running", false, "ask the gateway that runs, by its admin API")
	return c
}

func parseFields(fields []string) (http.Header, error) {
	h := http.Header{}
	for _, f := range fields {
		name, value, ok := strings.Cut(f, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, fmt.Errorf("cannot use header %q: expected \"Name: value\"", f)
		}
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h, nil
}

func (a *app) explainFile(path string, q admin.Question) error {
	r, client, err := q.Request()
	if err != nil {
		return err
	}
	s, _, err := a.compiled(path)
	if err != nil {
		return wrong(err)
	}
	defer func() { _ = s.Discard() }()
	a.printExplanation(s.Explain(r, client))
	return nil
}

func (a *app) printExplanation(e *engine.Explanation) {
	if a.json {
		a.printJSON(e)
		return
	}
	fmt.Fprint(a.Out, e.Text())
}

func (a *app) explainRunning(running adminFlags, q admin.Question, args []string) error {
	switch len(args) {
	case 1:
		q.ID = args[0]
	case 2:
		q.Method, q.URL = args[0], args[1]
		if _, _, err := q.Request(); err != nil {
			return err
		}
	default:
		return errors.New("expected --running METHOD URL, or --running REQUEST-ID")
	}
	body, status, err := running.call("POST", "/explain", q)
	if err != nil {
		return wrong(err)
	}
	if status != http.StatusOK {
		return wrong(adminError(body, status))
	}
	if q.ID != "" {
		return a.printPast(body)
	}
	var e engine.Explanation
	if err := json.Unmarshal(body, &e); err != nil {
		return wrong(fmt.Errorf("cannot read the answer of the admin API: %w", err))
	}
	a.printExplanation(&e)
	return nil
}

func (a *app) printPast(body []byte) error {
	var p engine.Past
	if err := json.Unmarshal(body, &p); err != nil {
		return wrong(fmt.Errorf("cannot read the answer of the admin API: %w", err))
	}
	if a.json {
		a.printJSON(p)
		return nil
	}
	fmt.Fprint(a.Out, p.Text())
	return nil
}
