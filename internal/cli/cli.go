// Package cli is the command line: commands, flags, exit codes, and what is printed. All that a command does beyond reading its
// arguments and printing its result is done by the packages it calls. Only package cardea imports it.
package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/compile"
)

// Exit codes.
const (
	exitOK    = 0
	exitWrong = 1 // the configuration, or what was asked, is wrong
	exitUsage = 2 // the command line is wrong
)

// maxInput is more than a configuration may have, so that one with too much is refused and not cut.
const maxInput = 64 << 20

// Streams are where a command reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Main runs the command that args name and returns the exit code of the process.
func Main(args []string, s Streams, extra ...filter.Kind) int {
	a := &app{Streams: s, kinds: compile.Builtin(extra...)}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	command, err := root.ExecuteC()
	if err == nil {
		return exitOK
	}
	var said *saidError
	if errors.As(err, &said) {
		return exitWrong
	}
	var wrong *wrongError
	if errors.As(err, &wrong) {
		a.printError(wrong.err)
		return exitWrong
	}
	fmt.Fprintf(s.Err, "cardea: %v\n", err)
	if command != root {
		fmt.Fprintf(s.Err, "usage: %s\n", command.UseLine())
	}
	return exitUsage
}

// wrongError is an error of what was asked, not of how it was asked.
type wrongError struct{ err error }

func (e *wrongError) Error() string { return e.err.Error() }

func wrong(err error) error {
	if err == nil {
		return nil
	}
	return &wrongError{err}
}

// saidError ends a command with exit code 1, all being printed already.
type saidError struct{}

func (*saidError) Error() string { return "" }

type app struct {
	Streams
	kinds      compile.Kinds
	json       bool
	logLevel   string
	logFormat  string
	quarantine bool
	input      []byte // the standard input, once it has been read
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "cardea",
		Short: "An API gateway: one binary in front of your services",
		Long: `Cardea is an API gateway: it routes, secures, limits, transforms, measures and explains
every request, as one file says.

Try it:          cardea demo
Run it:          cardea run cardea.yaml
Check a file:    cardea check cardea.yaml
Ask it why:      cardea explain cardea.yaml GET https://api.example.com/orders/7`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print the result as JSON")
	root.Version = versionText()
	root.SetVersionTemplate("{{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommand(help(root))
	root.AddCommand(a.run(), a.demo(), a.check(), a.explain(), a.routes(), a.schema(), a.importing(), a.reload(), a.top(), a.limits(), a.cache(), a.hash(), a.key(), a.version())
	return root
}

// help tells of a command. Cobra's own one takes an unknown name for a fine one.
func help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Tell more of a command", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			about, _, err := root.Find(args)
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// wants checks that a command has one argument for each name, and says which is missing or one too many.
func wants(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing", names[len(args)])
		case len(args) > len(names):
			return fmt.Errorf("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// load reads a configuration: a file, a folder, or "-". The standard input can be read once only, so that its text is kept.
func (a *app) load(path string) (*config.Config, error) {
	if path != "-" {
		return config.Load(path, config.Options{})
	}
	if a.input == nil {
		text, err := io.ReadAll(io.LimitReader(a.In, maxInput))
		if err != nil {
			return nil, fmt.Errorf("cannot read the configuration from the standard input: %w", err)
		}
		a.input = text
	}
	return config.Parse("-", a.input, config.Options{})
}

// dir is where relative names in a configuration start.
func dir(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return path
	}
	return filepath.Dir(path)
}

// logger makes the operational log.
func (a *app) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return nil, fmt.Errorf("cannot use log level %q: expected debug, info, warn or error", a.logLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	switch a.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(a.Err, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.Err, o)), nil
	}
	return nil, fmt.Errorf("cannot use log format %q: expected text or json", a.logFormat)
}

// printError prints what is wrong, as JSON where that was asked for.
func (a *app) printError(err error) {
	var all config.Errors
	if !errors.As(err, &all) {
		all = nil
	}
	if a.json {
		a.printJSON(map[string]any{"ok": false, "error": err.Error(), "errors": all})
		return
	}
	fmt.Fprintf(a.Err, "%v\n", err)
	if n := len(all); n > 1 {
		fmt.Fprintf(a.Err, "\n%d errors\n", n)
	}
}

func (a *app) printJSON(v any) {
	e := json.NewEncoder(a.Out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
}

// Version is the version of the program: that of its module, or of its commit.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				version = "devel-" + s.Value[:12]
			}
		}
	}
	return version
}

// versionText is the version for people, with that of Go.
func versionText() string { return fmt.Sprintf("cardea %s (%s)", Version(), runtime.Version()) }

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which version this is", Args: wants(),
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				a.printJSON(map[string]string{"version": Version(), "go": runtime.Version()})
				return nil
			}
			fmt.Fprintln(a.Out, versionText())
			return nil
		},
	}
}
