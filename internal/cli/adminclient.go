package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cardea.dev/cardea/config"
)

// adminFlags say how the admin API of a running gateway is reached.
type adminFlags struct {
	on      bool
	address string
	token   string
}

func (f *adminFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.address, "admin", "127.0.0.1:9090", "where the admin API listens: an address, its URL, or unix:/path")
	c.Flags().StringVar(&f.token, "admin-token-file", "", "a file with the admin API's token (or set CARDEA_ADMIN_TOKEN)")
}

// call asks the admin API.
func (f *adminFlags) call(method, path string, body any) (answer []byte, status int, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, 0, err
	}
	client := &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{}}
	host := strings.TrimSuffix(strings.TrimPrefix(f.address, "http://"), "/")
	if socket, ok := strings.CutPrefix(f.address, "unix:"); ok {
		host = "cardea"
		client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}
	}
	r, err := http.NewRequest(method, "http://"+host+path, bytes.NewReader(text))
	if err != nil {
		return nil, 0, fmt.Errorf("cannot ask the admin API at %s: %w", f.address, err)
	}
	r.Header.Set("Content-Type", "application/json")
	if err := f.authorize(r); err != nil {
		return nil, 0, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot reach the admin API at %s (is the gateway running?): %w", f.address, err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read the answer of the admin API: %w", err)
	}
	return answer, resp.StatusCode, nil
}

func (f *adminFlags) authorize(r *http.Request) error {
	token := os.Getenv("CARDEA_ADMIN_TOKEN")
	if f.token != "" {
		text, err := os.ReadFile(f.token)
		if err != nil {
			return fmt.Errorf("cannot read the admin token: %w", err)
		}
		token = strings.TrimSpace(string(text))
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return nil
}

// adminError is what the admin API said was wrong.
func adminError(body []byte, status int) error {
	var p struct{ Detail string }
	if json.Unmarshal(body, &p) == nil && p.Detail != "" {
		return errors.New(p.Detail)
	}
	return fmt.Errorf("the admin API answered %d", status)
}

func (a *app) reload() *cobra.Command {
	var running adminFlags
	c := &cobra.Command{
		Use: "reload", Short: "Have the running gateway load its configuration anew",
		Long: "Have the running gateway load its configuration anew. The exit code is 0 when the new one runs, and 1 when it is\nwrong: the errors are printed, and what ran goes on running.",
		Args: wants(),
		RunE: func(*cobra.Command, []string) error {
			body, status, err := running.call("POST", "/reload", nil)
			if err != nil {
				return wrong(err)
			}
			return a.printReload(body, status)
		},
	}
	running.add(c)
	return c
}

func (a *app) printReload(body []byte, status int) error {
	var report struct {
		Error  string
		Routes int
		Took   config.Duration
	}
	if status != http.StatusOK && status != http.StatusUnprocessableEntity {
		return wrong(adminError(body, status))
	}
	if err := json.Unmarshal(body, &report); err != nil {
		return wrong(fmt.Errorf("cannot read the answer of the admin API: %w", err))
	}
	if a.json {
		_, _ = a.Out.Write(body)
		if status != http.StatusOK {
			return &saidError{}
		}
		return nil
	}
	if status != http.StatusOK {
		return wrong(errors.New(report.Error + "\nnothing changed: what ran goes on running"))
	}
	fmt.Fprintf(a.Out, "reloaded: %s, in %s\n", count(report.Routes, "route"), report.Took)
	return nil
}
