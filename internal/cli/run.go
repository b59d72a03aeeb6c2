package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/control"
	"cardea.dev/cardea/internal/control/watch"
	"cardea.dev/cardea/internal/engine/listen"
)

func (a *app) run() *cobra.Command {
	var watching bool
	c := &cobra.Command{
		Use: "run FILE", Short: "Run the gateway",
		Long: `Run the gateway as a configuration says: a file, or a folder of them.

SIGHUP, a change of the files and 'cardea reload' load it anew; one that is wrong changes
nothing. SIGUSR1 opens log files anew. SIGTERM and SIGINT drain and end it; a second one
ends it at once.`,
		Args: wants("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			log, err := a.logger()
			if err != nil {
				return err
			}
			return a.serve(args[0], log, watching, nil)
		},
	}
	a.runFlags(c)
	c.Flags().BoolVar(&watching, "watch", true, "reload when the files change")
	c.Flags().BoolVar(&a.quarantine, "quarantine", false, "leave out routes that are wrong, and report them, instead of refusing the whole configuration")
	return c
}

func (a *app) runFlags(c *cobra.Command) {
	c.Flags().StringVar(&a.logLevel, "log-level", "info", "of the operational log: debug, info, warn or error")
	c.Flags().StringVar(&a.logFormat, "log-format", "text", "of the operational log: text or json")
}

// serve runs a gateway until it is told to end. Started is called once it serves; it may be nil.
func (a *app) serve(path string, log *slog.Logger, watching bool, started func(*control.Gateway)) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	defer signal.Stop(signals)
	g := control.New(control.Options{
		Load: func() (*config.Config, error) { return a.load(path) }, Dir: dir(path), Kinds: a.kinds, Log: log,
		Version: Version(), Quarantine: a.quarantine,
	})
	watchers, unwatch := context.WithCancel(ctx)
	defer unwatch()
	runs := make(chan struct{})
	if watching && path != "-" {
		go a.watch(watchers, runs, path, g, log) // from before the files are read: no change goes unseen
	}
	if _, err := g.Start(ctx); err != nil {
		g.Close()
		return wrong(err)
	}
	close(runs)
	a.notify(log, "READY=1")
	if started != nil {
		started(g)
	}
	a.obey(ctx, g, log, signals)
	unwatch() // a change is of no interest any more
	a.notify(log, "STOPPING=1")
	a.shutdown(ctx, g, log, signals)
	return nil
}

// watch reloads when the files change, once the gateway runs. It ends with ctx.
func (a *app) watch(ctx context.Context, runs <-chan struct{}, path string, g *control.Gateway, log *slog.Logger) {
	files := func() ([]string, error) { return config.Files(path) }
	err := watch.Watch(ctx, watch.Sources{Files: files, Used: g.Used}, func() {
		select {
		case <-ctx.Done():
		case <-runs:
			a.reloadNow(ctx, g, log, "file change")
		}
	})
	if err == nil {
		return
	}
	select {
	case <-ctx.Done():
	case <-runs:
		log.Warn("cannot watch the configuration: send SIGHUP after a change", "error", err)
	}
}

// obey does what signals say, until one says to end.
func (a *app) obey(ctx context.Context, g *control.Gateway, log *slog.Logger, signals <-chan os.Signal) {
	for s := range signals {
		switch s {
		case syscall.SIGHUP:
			a.reloadNow(ctx, g, log, "SIGHUP")
		case syscall.SIGUSR1:
			reopenLogs(g, log)
		default:
			return
		}
	}
}

// shutdown drains the gateway. A second signal to end cuts it short; log files can still be opened anew.
func (a *app) shutdown(ctx context.Context, g *control.Gateway, log *slog.Logger, signals <-chan os.Signal) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the process
		for s := range signals {
			switch s {
			case syscall.SIGHUP:
				log.Warn("the configuration is not loaded anew: the gateway is shutting down")
			case syscall.SIGUSR1:
				reopenLogs(g, log)
			default:
				log.Warn("told to end twice: cutting what runs")
				cancel()
			}
		}
	}()
	g.Shutdown(ctx)
}

func reopenLogs(g *control.Gateway, log *slog.Logger) {
	log.Info("opening log files anew")
	g.ReopenLogs()
}

func (a *app) reloadNow(ctx context.Context, g *control.Gateway, log *slog.Logger, trigger string) {
	a.notify(log, "RELOADING=1")
	_, _ = g.Reload(ctx, trigger) // it logs and counts its errors itself
	a.notify(log, "READY=1")
}

// notify tells systemd, where it started us.
func (a *app) notify(log *slog.Logger, state string) {
	if err := listen.Notify(state); err != nil {
		log.Warn("cannot notify systemd", "error", fmt.Sprint(err))
	}
}
