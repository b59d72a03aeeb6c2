package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cardea.dev/cardea/internal/control/admin"
)

// topEvery is how often top shows anew.
const topEvery = 2 * time.Second

func (a *app) top() *cobra.Command {
	var running adminFlags
	var limit string
	var n int
	var once bool
	c := &cobra.Command{
		Use: "top", Short: "Show who has used most of the running gateway's limits",
		Long: `Show which keys have used most of what the limits of the running gateway let them, and how
many of their requests were refused. On a terminal it is shown anew every 2 seconds, until
it is interrupted.`,
		Example: `  cardea top
  cardea top --once --limit 'concurrency 10 per address'`,
		Args: wants(),
		RunE: func(*cobra.Command, []string) error {
			if n < 1 {
				return fmt.Errorf("cannot list %d keys: expected at least 1", n)
			}
			path := "/limits/top?" + url.Values{"n": {strconv.Itoa(n)}, "limit": {limit}}.Encode()
			show := func() error { return a.showTop(&running, path) }
			if f, ok := a.Out.(*os.File); !ok || once || a.json || !term.IsTerminal(int(f.Fd())) {
				return show()
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return a.again(ctx, topEvery, show)
		},
	}
	running.add(c)
	c.Flags().StringVar(&limit, "limit", "", "the name of one limit, as 'cardea limits' lists it (default all)")
	c.Flags().IntVarP(&n, "count", "n", 20, "how many keys are shown, 1000 at most")
	c.Flags().BoolVar(&once, "once", false, "show once, and end")
	return c
}

// again clears the terminal and shows, until the context ends. What fails later than at first may be a gateway that starts anew.
func (a *app) again(ctx context.Context, every time.Duration, show func() error) error {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for first := true; ; first = false {
		_, _ = io.WriteString(a.Out, "\x1b[H\x1b[2J")
		if err := show(); err != nil {
			if first {
				return err
			}
			fmt.Fprintln(a.Out, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

func (a *app) showTop(running *adminFlags, path string) error {
	var top admin.Top
	body, err := running.get(path, &top)
	if err != nil {
		return err
	}
	if a.json {
		_, _ = a.Out.Write(body)
		return nil
	}
	if len(top.Top) == 0 {
		fmt.Fprintln(a.Out, "nothing is counted")
		return nil
	}
	return a.table("USED\tOF\tREFUSED\tKEY\tLIMIT", len(top.Top), func(w io.Writer, i int) {
		u, limit := top.Top[i], "-"
		if u.Limit > 0 {
			limit = strconv.FormatInt(u.Limit, 10)
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\n", u.Used, limit, u.Refused, plain(u.Key), plain(u.Name))
	})
}

func (a *app) limits() *cobra.Command {
	var running adminFlags
	c := &cobra.Command{
		Use: "limits", Short: "List the running gateway's limits, or forget what one has counted",
		Args: wants(),
		RunE: func(*cobra.Command, []string) error { return a.listLimits(&running) },
	}
	running.add(c)
	c.AddCommand(a.resetLimit())
	return c
}

func (a *app) listLimits(running *adminFlags) error {
	var all admin.Limits
	body, err := running.get("/limits", &all)
	if err != nil {
		return err
	}
	if a.json {
		_, _ = a.Out.Write(body)
		return nil
	}
	if len(all.Limits) == 0 {
		fmt.Fprintln(a.Out, "nothing is limited by key")
		return nil
	}
	return a.table("LIMIT\tKEYS\tCOUNTED IN", len(all.Limits), func(w io.Writer, i int) {
		l := all.Limits[i]
		fmt.Fprintf(w, "%s\t%d\t%s\n", plain(l.Name), l.Keys, l.Store)
	})
}

func (a *app) resetLimit() *cobra.Command {
	var running adminFlags
	c := &cobra.Command{
		Use: "reset LIMIT KEY", Short: "Have the running gateway forget what a limit has counted for a key",
		Long:    "Have the running gateway forget what a limit has counted for a key. Both are written as 'cardea top' shows them.",
		Example: `  cardea limits reset 'concurrency 10 per address' 192.0.2.1`,
		Args:    wants("LIMIT", "KEY"),
		RunE: func(_ *cobra.Command, args []string) error {
			body, status, err := running.call("POST", "/limits/reset?"+url.Values{"limit": {args[0]}, "key": {args[1]}}.Encode(), nil)
			switch {
			case err != nil:
				return wrong(err)
			case status != http.StatusOK:
				return wrong(adminError(body, status))
			case a.json:
				_, _ = a.Out.Write(body)
			default:
				fmt.Fprintf(a.Out, "%s starts anew for %s\n", plain(args[0]), plain(args[1]))
			}
			return nil
		},
	}
	running.add(c)
	return c
}

// get asks the admin API for something, and reads it.
func (f *adminFlags) get(path string, into any) (body []byte, err error) {
	body, status, err := f.call("GET", path, nil)
	if err != nil {
		return nil, wrong(err)
	}
	if status != http.StatusOK {
		return nil, wrong(adminError(body, status))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return nil, wrong(fmt.Errorf("cannot read the answer of the admin API: %w", err))
	}
	return body, nil
}

// table prints rows in columns.
func (a *app) table(head string, rows int, row func(w io.Writer, i int)) error {
	w := tabwriter.NewWriter(a.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for i := range rows {
		row(w, i)
	}
	return w.Flush()
}

// plain is a text that a terminal shows and does not obey: keys come from clients.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
