package basic

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"cardea.dev/cardea/config"
)

// Config says whose passwords are taken. The short form is File.
type Config struct {
	// File is a file with a user in each line, as htpasswd writes it with -B: "ada:$2y$…". It is read again when it has changed; one that
	// cannot be used is logged, and the last good one goes on being used. A relative name starts at the configuration's folder. By
	// default none.
	File string `yaml:"file,short"`

	// Users are users with the hashes of their passwords, as `cardea hash` prints them: argon2id ("$argon2id$…") or bcrypt ("$2b$…").
	// They come before those of File. By default none.
	Users map[string]config.Secret `yaml:"users"`

	// Consumers takes the passwords of the consumers, too, after those of Users and File. By default on where neither of these is
	// given, and else off.
	Consumers *bool `yaml:"consumers"`

	// Groups are groups of users of Users and File, which policies such as `allow` ask for: {admins: [ada, bob]}. By default none.
	Groups map[string][]string `yaml:"groups"`

	// Realm says what the password is for; browsers show it. By default "restricted".
	Realm string `yaml:"realm"`

	// Remember is how long a password that was right is not checked again, 1h at most. 0 checks it for each request, which is slow. By
	// default 5m.
	Remember config.Duration `yaml:"remember"`

	// Forward leaves the password in the request that the upstream gets. By default off.
	Forward bool `yaml:"forward"`
}

// maxRemember is how long a password may be remembered.
const maxRemember = time.Hour

// Default is what holds where nothing is said.
func (c *Config) Default() { c.Realm, c.Remember = "restricted", config.Duration(5*time.Minute) }

// Validate checks what can be checked without the file.
func (c *Config) Validate() error {
	var errs []error
	if strings.ContainsFunc(c.Realm, unicode.IsControl) || !utf8.ValidString(c.Realm) {
		errs = append(errs, config.FieldErrorf("realm", "the realm has control characters"))
	}
	if d := time.Duration(c.Remember); d < 0 || d > maxRemember {
		errs = append(errs, config.FieldErrorf("remember", "a password can be remembered for 0 to 1h"))
	}
	if c.Consumers != nil && !*c.Consumers && c.File == "" && len(c.Users) == 0 {
		errs = append(errs, errors.New("nobody has a password: name a `file`, or `users`, or leave out `consumers: off`"))
	}
	if len(c.Groups) > 0 && c.File == "" && len(c.Users) == 0 {
		errs = append(errs, config.FieldErrorf("groups", "groups are of users in `file` and `users`; consumers have groups of their own"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Users)) {
		if err := checkName(name); err != nil {
			errs = append(errs, config.FieldErrorf("users", "%w", err))
		}
	}
	return errors.Join(errs...)
}

// takesConsumers says whether the passwords of consumers are taken.
func (c *Config) takesConsumers() bool {
	if c.Consumers != nil {
		return *c.Consumers
	}
	return c.File == "" && len(c.Users) == 0
}

// checkName checks a user's name (RFC 7617, section 2).
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("a user has no name")
	case strings.Contains(name, ":"):
		return fmt.Errorf("the user name %q has a colon, which HTTP Basic cannot send", name)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the user name %q has control characters, or is no UTF-8", name)
	case len(name) > maxValue:
		return fmt.Errorf("a user name has %d bytes, and may have %d at most", len(name), maxValue)
	}
	return nil
}
