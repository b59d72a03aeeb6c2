package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cardea.dev/cardea/internal/password"
)

// maxPassword is how long a password may be, in bytes, as for the policy `basic`.
const maxPassword = 1024

func (a *app) hash() *cobra.Command {
	var useBcrypt bool
	c := &cobra.Command{
		Use: "hash", Short: "Hash a password, for consumers and the policy basic",
		Long: `Hash a password. It is read from the terminal, which does not show it, or else from the
first line of the standard input. The hash is argon2id, or with --bcrypt bcrypt.`,
		Example: `  cardea hash
  cardea hash < password.txt`,
		Args: wants(),
		RunE: func(*cobra.Command, []string) error {
			text, err := a.readPassword()
			if err != nil {
				return wrong(err)
			}
			defer clear(text)
			hash := ""
			if useBcrypt {
				if hash, err = password.NewBcrypt(text); err != nil {
					return wrong(err)
				}
			} else {
				hash = password.New(text)
			}
			if a.json {
				a.printJSON(map[string]string{"hash": hash})
				return nil
			}
			fmt.Fprintln(a.Out, hash)
			return nil
		},
	}
	c.Flags().BoolVar(&useBcrypt, "bcrypt", false, "make a bcrypt hash, which other programs know too")
	return c
}

// readPassword reads a password, twice from a terminal.
func (a *app) readPassword() ([]byte, error) {
	text, err := a.askPassword()
	switch {
	case err != nil:
		return nil, err
	case len(text) == 0:
		return nil, errors.New("the password is empty")
	case len(text) > maxPassword:
		return nil, fmt.Errorf("the password has more than %d bytes", maxPassword)
	case bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return nil, errors.New("the password has control characters, which HTTP Basic cannot send")
	}
	return text, nil
}

func (a *app) askPassword() ([]byte, error) {
	file, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(a.In, maxPassword+3)).ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("cannot read the password from the standard input: %w", err)
		}
		return bytes.TrimRight(line, "\r\n"), nil
	}
	first, err := a.prompt(file, "Password: ")
	if err != nil {
		return nil, err
	}
	second, err := a.prompt(file, "The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, errors.New("the two are not the same")
	}
	return first, nil
}

func (a *app) prompt(file *os.File, text string) ([]byte, error) {
	fmt.Fprint(a.Err, text)
	defer fmt.Fprintln(a.Err)
	password, err := term.ReadPassword(int(file.Fd()))
	if err != nil {
		return nil, fmt.Errorf("cannot read the password from the terminal: %w", err)
	}
	return password, nil
}
