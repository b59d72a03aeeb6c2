package cli

import (
	"github.com/spf13/cobra"

	"cardea.dev/cardea/internal/compile"
)

func (a *app) schema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of configuration files, for editors",
		Long: "Print the JSON Schema of configuration files. Editors that know it complete and check them:\n\n  cardea schema > cardea.schema.json\n\nand, as the first line of a file:\n\n  # yaml-language-server: $schema=cardea.schema.json",
		Args: wants(),
		RunE: func(*cobra.Command, []string) error {
			_, err := a.Out.Write(compile.Schema(a.kinds))
			return err
		},
	}
}
