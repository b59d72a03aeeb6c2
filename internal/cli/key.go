package cli

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// keyLetters are what keys are made of: no letter needs an escape anywhere, and a double click takes the whole key.
const keyLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const (
	keySize   = 32 // letters: 190 bits
	maxPrefix = 32
)

func (a *app) key() *cobra.Command {
	var prefix string
	c := &cobra.Command{
		Use: "key", Short: "Make an API key, for a consumer and the policy api_key",
		Long: `Make an API key. The key is for the caller, and is shown this once; the line with its
hash is for the configuration, below consumers.NAME.keys.`,
		Example: `  cardea key
  cardea key --prefix acme_`,
		Args: wants(),
		RunE: func(*cobra.Command, []string) error {
			if len(prefix) > maxPrefix || strings.Trim(prefix, keyLetters+"_-.") != "" {
				return fmt.Errorf("cannot use prefix %q: expected at most %d letters, digits, and any of _ - .", prefix, maxPrefix)
			}
			key, err := newKey(prefix)
			if err != nil {
				return wrong(err)
			}
			sum := sha256.Sum256([]byte(key))
			hash, label := "sha256:"+hex.EncodeToString(sum[:]), key[:len(prefix)+4]+"…"
			line := fmt.Sprintf("- {key: %q, label: %q}", hash, label)
			if a.json {
				a.printJSON(map[string]string{"key": key, "hash": hash, "label": label, "line": line})
				return nil
			}
			fmt.Fprintf(a.Out, "The key, which is shown this once:\n\n  %s\n\nThe line for consumers.NAME.keys:\n\n  %s\n", key, line)
			return nil
		},
	}
	c.Flags().StringVar(&prefix, "prefix", "ck_", "what the key begins with, so that it is known where it is found")
	return c
}

// newKey makes a key by chance.
func newKey(prefix string) (string, error) {
	key := []byte(prefix)
	var random [8 * keySize]byte
	_, _ = rand.Read(random[:]) // it never fails
	const even = 256 / len(keyLetters) * len(keyLetters)
	for _, b := range random {
		if int(b) < even && len(key) < len(prefix)+keySize { // each letter is as likely as another
			key = append(key, keyLetters[int(b)%len(keyLetters)])
		}
	}
	if len(key) < len(prefix)+keySize {
		return "", errors.New("cannot make a key: chance gave too little")
	}
	return string(key), nil
}
