package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/control/acme"
	"cardea.dev/cardea/internal/engine"
	"cardea.dev/cardea/internal/engine/listen"
	"cardea.dev/cardea/internal/keep"
	"cardea.dev/cardea/observe"
)

// compiled compiles a configuration without starting anything. The caller discards the snapshot.
func (a *app) compiled(path string) (*engine.Snapshot, config.Errors, error) {
	cfg, found := a.load(path)
	return a.build(path, cfg, found)
}

func (a *app) build(path string, cfg *config.Config, found error) (*engine.Snapshot, config.Errors, error) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	return compile.Build(cfg, compile.Options{
		Kinds: a.kinds, Keeper: keep.New(), Metrics: observe.NewMetrics(), Log: quiet,
		Version: Version(), Quarantine: a.quarantine, Dir: dir(path), Found: found, Offline: true,
	})
}

func (a *app) check() *cobra.Command {
	c := &cobra.Command{
		Use: "check FILE", Short: "Say all that is wrong with a configuration, without starting anything",
		Long: "Say all that is wrong with a configuration, a file or a folder of them, without starting anything.\nThe exit code is 0 when it is right, and 1 when it is wrong.",
		Args: wants("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, found := a.load(args[0])
			s, warnings, err := a.build(args[0], cfg, found)
			if err == nil {
				defer func() { _ = s.Discard() }()
			}
			if err = withListeners(err, cfg, dir(args[0])); err != nil {
				return wrong(err)
			}
			a.printCheck(args[0], s, warnings)
			return nil
		},
	}
	c.Flags().BoolVar(&a.quarantine, "quarantine", false, "leave out routes that are wrong, as run --quarantine does")
	return c
}

// withListeners adds to an error what is wrong with the listeners, such as certificates, unless they could not even be read.
func withListeners(err error, cfg *config.Config, dir string) error {
	var errs config.Errors
	if cfg == nil || err != nil && !errors.As(err, &errs) {
		return err
	}
	if slices.ContainsFunc(errs, func(e *config.Error) bool { return strings.HasPrefix(e.Path, "listen") }) {
		return err
	}
	return slices.Concat(errs, cfg.Self.Field("listen").Locate(errors.Join(listen.Check(cfg.Listen, dir), acme.Check(cfg, dir)))).Err()
}

func (a *app) printCheck(path string, s *engine.Snapshot, warnings config.Errors) {
	if a.json {
		a.printJSON(map[string]any{
			"ok": true, "routes": s.RouteCount(), "upstreams": len(s.Upstreams),
			"warnings": append(config.Errors{}, warnings...), "left_out": append([]engine.LeftOut{}, s.Left...),
		})
		return
	}
	for _, w := range warnings {
		fmt.Fprintf(a.Err, "%v\n", w)
	}
	for _, left := range s.Left {
		fmt.Fprintf(a.Err, "left out: %s %s\n%s\n", left.Kind, left.Name, left.Text)
	}
	fmt.Fprintf(a.Out, "%s is right: %s, %s\n", path, count(s.RouteCount(), "route"), count(len(s.Upstreams), "upstream"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (a *app) routes() *cobra.Command {
	return &cobra.Command{
		Use: "routes FILE", Short: "List the routes of a configuration, with their policies and targets", Args: wants("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, _, err := a.compiled(args[0])
			if err != nil {
				return wrong(err)
			}
			defer func() { _ = s.Discard() }()
			a.printRoutes(s)
			return nil
		},
	}
}

func (a *app) printRoutes(s *engine.Snapshot) {
	listed := engine.ListRoutes(s)
	if a.json {
		a.printJSON(map[string]any{"routes": listed})
		return
	}
	for _, r := range listed {
		fmt.Fprintf(a.Out, "%s\n", r.Name)
		if r.Match != r.Name {
			fmt.Fprintf(a.Out, "    match     %s\n", r.Match)
		}
		for _, p := range r.Policies {
			fmt.Fprintf(a.Out, "    %-9s %s\n", p.Stage, p.Policy)
		}
		fmt.Fprintf(a.Out, "    target    %s\n    at        %s\n", r.Target, r.Where)
	}
}
