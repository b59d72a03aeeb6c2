package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/control/admin"
)

func (a *app) cache() *cobra.Command {
	c := &cobra.Command{
		Use: "cache", Short: "See what the running gateway's caches store, and purge them",
		Long: `See what the caches of the running gateway store, and have what is stored not be used any
more.`,
		Example: `  cardea cache list
  cardea cache look https://shop.example.com/products/7
  cardea cache purge --tag product-7`,
		Args: wants(),
		RunE: func(*cobra.Command, []string) error {
			return errors.New("expected one of list, objects, look and purge")
		},
	}
	c.AddCommand(a.listCaches(), a.cacheObjects(), a.lookCache(), a.purgeCache())
	return c
}

func (a *app) listCaches() *cobra.Command {
	var running adminFlags
	c := &cobra.Command{
		Use: "list", Short: "List the caches, with how much they store",
		Args: wants(),
		RunE: func(*cobra.Command, []string) error {
			var all admin.Caches
			body, err := running.get("/caches", &all)
			switch {
			case err != nil:
				return err
			case a.json:
				_, _ = a.Out.Write(body)
				return nil
			case len(all.Caches) == 0:
				fmt.Fprintln(a.Out, "there is no cache")
				return nil
			}
			return a.table("CACHE\tOBJECTS\tBYTES\tOF\tEVICTED\tLAST PURGE\tSTORE", len(all.Caches), func(w io.Writer, i int) {
				c := all.Caches[i]
				fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", plain(c.Name), c.Objects, c.Bytes, c.Limit, c.Evicted, c.PurgeMark, storeText(&c))
			})
		},
	}
	running.add(c)
	return c
}

// storeText says where a cache stores, how much there is behind its memory where that is known, and whether it is lost.
func storeText(c *filter.CacheInfo) string {
	text := plain(c.Store)
	below := c.Below
	if below == nil {
		return text
	}
	if below.Limit > 0 {
		text += fmt.Sprintf(": %s, %d of %d bytes", count(int(below.Objects), "object"), below.Bytes, below.Limit)
	}
	if below.Down {
		text += " (" + below.Kind + " is down)"
	}
	return text
}

// cacheFlags say what of the stored is wanted.
type cacheFlags struct {
	adminFlags
	cache string
	n     int
}

func (f *cacheFlags) add(c *cobra.Command) {
	f.adminFlags.add(c)
	f.addCache(c)
	c.Flags().IntVarP(&f.n, "count", "n", 20, "how many stored answers are shown, 1000 at most")
}

func (f *cacheFlags) addCache(c *cobra.Command) {
	c.Flags().StringVar(&f.cache, "cache", "", "the name of one cache, as 'cardea cache list' lists it (default all)")
}

// objects asks for stored answers.
func (f *cacheFlags) objects(path string, q url.Values) (all admin.Objects, body []byte, err error) {
	if f.n < 1 {
		return all, nil, fmt.Errorf("cannot list %d stored answers: expected at least 1", f.n)
	}
	q.Set("n", strconv.Itoa(f.n))
	if f.cache != "" {
		q.Set("cache", f.cache)
	}
	body, err = f.get(path+"?"+q.Encode(), &all)
	return all, body, err
}

func (a *app) cacheObjects() *cobra.Command {
	var flags cacheFlags
	c := &cobra.Command{
		Use: "objects [PREFIX]", Short: "List stored answers, all or those whose URLs begin with a prefix",
		Example: `  cardea cache objects https://shop.example.com/products/`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			q := url.Values{}
			if len(args) > 0 {
				q.Set("prefix", args[0])
			}
			all, body, err := flags.objects("/caches/objects", q)
			switch {
			case err != nil:
				return err
			case a.json:
				_, _ = a.Out.Write(body)
				return nil
			case len(all.Objects) == 0:
				fmt.Fprintln(a.Out, "nothing is stored")
				return nil
			}
			return a.table("STATUS\tSIZE\tAGE\tTTL\tSTATE\tIN\tCACHE\tURL", len(all.Objects), func(w io.Writer, i int) {
				o := all.Objects[i]
				fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", o.Status, o.Size, seconds(o.Age), seconds(o.TTL), plain(o.State), o.Where, plain(o.Cache), plain(o.URL))
			})
		},
	}
	flags.add(c)
	return c
}

// seconds is a time that is given in seconds.
func seconds(s float64) string {
	return (time.Duration(s*1000) * time.Millisecond).Round(time.Second).String()
}

func (a *app) lookCache() *cobra.Command {
	var flags cacheFlags
	c := &cobra.Command{
		Use: "look URL", Short: "Say what is stored for a URL: all variants, how old, and for how long they are fresh",
		Long: `Say what is stored for a URL: all variants with their age, for how long they are fresh, and
if they are not, why. The exit code is 1 when nothing is stored for it.`,
		Example: `  cardea cache look https://shop.example.com/products/7`,
		Args:    wants("URL"),
		RunE: func(_ *cobra.Command, args []string) error {
			all, body, err := flags.objects("/caches/look", url.Values{"url": args})
			if err != nil {
				return err
			}
			if a.json {
				_, _ = a.Out.Write(body)
			}
			switch {
			case len(all.Objects) == 0 && a.json:
				return &saidError{}
			case len(all.Objects) == 0:
				return wrong(fmt.Errorf("nothing is stored for %s", plain(all.URL)))
			case !a.json:
				for i := range all.Objects {
					a.printStored(&all.Objects[i])
				}
			}
			return nil
		},
	}
	flags.add(c)
	return c
}

// printStored tells all of a stored answer.
func (a *app) printStored(o *admin.InCache) {
	fmt.Fprintf(a.Out, "%s %s\n", o.Method, plain(o.URL))
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(a.Out, "  %-8s %s\n", name, plain(value))
		}
	}
	row("status", fmt.Sprintf("%d, %d bytes", o.Status, o.Size))
	row("state", o.State)
	switch {
	case o.TTL >= 0:
		row("fresh", fmt.Sprintf("for %s more, age %s", seconds(o.TTL), seconds(o.Age)))
	default:
		row("fresh", fmt.Sprintf("not since %s, age %s", seconds(-o.TTL), seconds(o.Age)))
	}
	row("stored", o.Stored.UTC().Format(time.RFC3339))
	row("in", o.Cache+", "+o.Where)
	row("route", o.Route)
	row("tags", strings.Join(o.Tags, " "))
	row("encoded", strings.Join(o.Encoded, " "))
	for _, name := range slices.Sorted(maps.Keys(o.Vary)) {
		row("for", name+": "+o.Vary[name])
	}
	for _, name := range slices.Sorted(maps.Keys(o.Header)) {
		row("header", name+": "+o.Header[name])
	}
}

func (a *app) purgeCache() *cobra.Command {
	var flags cacheFlags
	var prefixes, tags []string
	var all, soft bool
	c := &cobra.Command{
		Use: "purge [URL]…", Short: "Have what is stored not be used any more: by URL, prefix, tag, or all",
		Long: `Have what is stored not be used any more: by URL, by prefixes of URLs, by tags, or all.
Once it has ended, no request is answered with what was stored before, nor with what was
being fetched meanwhile. With --soft it is stale, and may serve while it is fetched anew.`,
		Example: `  cardea cache purge https://shop.example.com/products/7
  cardea cache purge --tag product-7 --tag prices
  cardea cache purge --prefix https://shop.example.com/products/ --soft
  cardea cache purge --all`,
		RunE: func(_ *cobra.Command, args []string) error {
			purges := purgesOf(args, prefixes, tags, all, soft)
			if len(purges) == 0 {
				return errors.New("nothing to purge is given: expected URLs, --prefix, --tag or --all")
			}
			if all && len(purges) > 1 {
				return errors.New("--all is given, and more: expected one of the two")
			}
			return a.purgeAll(&flags.adminFlags, flags.cache, purges)
		},
	}
	flags.adminFlags.add(c)
	flags.addCache(c)
	c.Flags().StringArrayVar(&prefixes, "prefix", nil, "with what the URLs begin: https://host/path; may be given more than once")
	c.Flags().StringArrayVar(&tags, "tag", nil, "a tag, of the fields Surrogate-Key or Cache-Tag; may be given more than once")
	c.Flags().BoolVar(&all, "all", false, "all that is stored")
	c.Flags().BoolVar(&soft, "soft", false, "it is stale from now on, but may serve where stale answers may")
	return c
}

// purgesOf are the purges that a command line asks for.
func purgesOf(urls, prefixes, tags []string, all, soft bool) (purges []filter.Purge) {
	for _, u := range urls {
		purges = append(purges, filter.Purge{URL: u, Soft: soft})
	}
	for _, p := range prefixes {
		purges = append(purges, filter.Purge{Prefix: p, Soft: soft})
	}
	for _, t := range tags {
		purges = append(purges, filter.Purge{Tag: t, Soft: soft})
	}
	if all {
		purges = append(purges, filter.Purge{All: true, Soft: soft})
	}
	return purges
}

// purgeAll asks for purges, one after the other, and ends at the first that fails.
func (a *app) purgeAll(running *adminFlags, cache string, purges []filter.Purge) error {
	reports := []admin.PurgeReport{}
	for _, p := range purges {
		body, status, err := running.call("POST", "/caches/purge", admin.PurgeOrder{Cache: cache, Purge: p})
		if err != nil {
			return wrong(err)
		}
		if status != http.StatusOK {
			return wrong(adminError(body, status))
		}
		var report admin.PurgeReport
		if err := json.Unmarshal(body, &report); err != nil {
			return wrong(fmt.Errorf("cannot read the answer of the admin API: %w", err))
		}
		reports = append(reports, report)
		if !a.json {
			a.printPurged(&report)
		}
	}
	if a.json {
		a.printJSON(map[string]any{"ok": true, "purges": reports})
	}
	return nil
}

func (a *app) printPurged(report *admin.PurgeReport) {
	how := "purged"
	if report.Purge.Soft {
		how = "softly purged"
	}
	for _, c := range report.Caches {
		where := ""
		if c.Shared {
			where = ", and in all gateways that share its store"
		}
		fmt.Fprintf(a.Out, "%s %s in %s%s\n", how, plain(admin.DescribePurge(report.Purge)), plain(c.Cache), where)
	}
}
