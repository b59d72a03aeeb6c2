package basic

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/password"
)

// maxFile is how large a file of users may be.
const maxFile = 64 << 20

// user is a user with a password.
type user struct {
	text     string // of the hash
	hash     *password.Hash
	identity *filter.Identity
}

// users are users by name. They never change.
type users map[string]*user

// roster makes users, and knows their groups.
type roster struct{ groups map[string][]string } // user → groups

// newRoster turns groups of users into users with groups.
func newRoster(groups map[string][]string) roster {
	r := roster{groups: map[string][]string{}}
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		for _, name := range groups[group] {
			if !slices.Contains(r.groups[name], group) {
				r.groups[name] = append(r.groups[name], group)
			}
		}
	}
	return r
}

func (r roster) user(name, text string) (*user, error) {
	hash, err := password.Parse(text)
	if err != nil {
		return nil, err
	}
	return &user{text: text, hash: hash, identity: &filter.Identity{Subject: name, Groups: r.groups[name], Method: "basic"}}, nil
}

// inline makes the users of a configuration.
func (r roster) inline(settings map[string]config.Secret) (users, error) {
	all := make(users, len(settings))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		u, err := r.user(name, settings[name].Reveal())
		if err != nil {
			errs = append(errs, config.FieldErrorf("users."+name, "user %s: %w", name, err))
			continue
		}
		all[name] = u
	}
	return all, errors.Join(errs...)
}

// htpasswd reads a file of users. Its errors name the line, and never show a hash.
func (r roster) htpasswd(name string, text []byte) (users, error) {
	all := users{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		who, hash, ok := strings.Cut(string(line), ":")
		if !ok {
			return nil, fmt.Errorf("%s:%d: expected USER:HASH", name, number)
		}
		if err := checkName(who); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		if all[who] != nil {
			return nil, fmt.Errorf("%s:%d: the user %s is there twice", name, number, who)
		}
		u, err := r.user(who, hash)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: user %s: %w", name, number, who, err)
		}
		all[who] = u
	}
	return all, nil
}

// first is the first user by name, or nil.
func (u users) first() *user {
	if len(u) == 0 {
		return nil
	}
	return u[slices.Min(slices.Collect(maps.Keys(u)))]
}
