package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"cardea.dev/cardea/internal/openapi"
)

func (a *app) importing() *cobra.Command {
	c := &cobra.Command{
		Use: "import", Short: "Write a configuration from something else: an OpenAPI document",
		Example: `  cardea import openapi petstore.yaml -o cardea.yaml`,
		Args:    wants(),
		RunE:    func(*cobra.Command, []string) error { return errors.New("expected openapi") },
	}
	c.AddCommand(a.importOpenAPI())
	return c
}

func (a *app) importOpenAPI() *cobra.Command {
	var output, mode string
	c := &cobra.Command{
		Use: "openapi FILE", Short: "Write a configuration with a route for each operation of an OpenAPI document",
		Long: `Write a configuration with a route for each operation of an OpenAPI document (3.0 or 3.1, YAML
or JSON), and an upstream for each of its servers. Requests are checked as the document says.`,
		Example: `  cardea import openapi petstore.yaml -o cardea.yaml`,
		Args:    wants("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if mode != "enforce" && mode != "report" {
				return fmt.Errorf("cannot use the mode %q: expected enforce or report", mode)
			}
			i := openapi.Import{File: args[0], Dir: filepath.Dir(output)}
			if mode == "report" {
				i.Mode = mode
			}
			text, err := i.Write()
			if err != nil {
				return wrong(err)
			}
			return wrong(a.writeNew(output, text))
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "the file to write, which must not be there yet (default: the standard output)")
	c.Flags().StringVar(&mode, "mode", "enforce", "what becomes of requests that are not as the document says: enforce or report")
	return c
}

// writeNew writes a file that is not there yet, or the standard output.
func (a *app) writeNew(name, text string) error {
	if name == "" {
		if a.json {
			a.printJSON(map[string]string{"configuration": text})
			return nil
		}
		fmt.Fprint(a.Out, text)
		return nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	if a.json {
		a.printJSON(map[string]string{"file": name})
		return nil
	}
	fmt.Fprintf(a.Out, "wrote %s\n", name)
	return nil
}
