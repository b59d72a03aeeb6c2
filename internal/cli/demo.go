package cli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"cardea.dev/cardea/internal/control"
	"cardea.dev/cardea/internal/demo"
)

func (a *app) demo() *cobra.Command {
	var address, adminAddress, folder string
	c := &cobra.Command{
		Use: "demo", Short: "Start sample services and a gateway in front of them, to try it out",
		Args: wants(),
		RunE: func(*cobra.Command, []string) error {
			services, err := demo.Start()
			if err != nil {
				return wrong(err)
			}
			defer services.Close()
			path, err := writeDemo(folder, demo.Config(services, address, adminAddress))
			if err != nil {
				return wrong(err)
			}
			log, err := a.logger()
			if err != nil {
				return err
			}
			err = a.serve(path, log, true, func(g *control.Gateway) { a.welcome(path, address, adminAddress, g) })
			if err != nil && strings.Contains(err.Error(), "address already in use") {
				fmt.Fprintf(a.Err, "\nThe port is taken. Choose others with --listen and --admin, for example:\n  cardea demo --listen 127.0.0.1:0 --admin 127.0.0.1:0\n\n")
			}
			return err
		},
	}
	a.runFlags(c)
	c.Flags().StringVar(&address, "listen", "127.0.0.1:8080", "where the gateway listens")
	c.Flags().StringVar(&adminAddress, "admin", "127.0.0.1:9090", "where the admin API listens")
	c.Flags().StringVar(&folder, "dir", "", "where the configuration file is written (default a temporary folder)")
	return c
}

func writeDemo(folder, text string) (path string, err error) {
	if folder == "" {
		folder, err = os.MkdirTemp("", "cardea-demo-")
	} else {
		err = os.MkdirAll(folder, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("cannot make a folder for the demo: %w", err)
	}
	path = filepath.Join(folder, "cardea.yaml")
	if there, err := os.ReadFile(path); err == nil && !demo.IsConfig(string(there)) {
		return "", fmt.Errorf("cannot write the demo's configuration: %s is there already, and is not the demo's", path)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("cannot write the demo's configuration: %w", err)
	}
	return path, nil
}

// welcome says what runs and what to try. Ports that were free ones are told as they are.
func (a *app) welcome(path, address, adminAddress string, g *control.Gateway) {
	if addrs := g.Listen.Addrs(); len(addrs) > 0 {
		if _, _, err := net.SplitHostPort(addrs[0].Actual); err == nil {
			address = addrs[0].Actual
		}
	}
	if actual := g.AdminAddr(); actual != "" {
		adminAddress = actual
	}
	fmt.Fprintf(a.Out, "\nThe gateway listens on http://%s, for operators on http://%s.\nIts configuration, which you may change while it runs:\n\n  %s\n\nTry:\n\n", address, adminAddress, path)
	for _, line := range demo.Try(os.Args[0], address, adminAddress) {
		fmt.Fprintf(a.Out, "  %s\n", line)
	}
	fmt.Fprint(a.Out, "\nCtrl-C ends it.\n\n")
}
