package token

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
)

// Invalid refuses a token, for a reason that operators see.
func Invalid(format string, args ...any) *filter.Error {
	return filter.Reject(filter.TokenInvalid, "").Because(fmt.Errorf(format, args...))
}

// Unavailable says that the token cannot be checked now.
func Unavailable(cause error) *filter.Error {
	return filter.Reject(filter.AuthUnavailable, "").Because(cause)
}

// CheckAudience checks that the token is for one of the wanted; none wanted is any.
func (c *Claims) CheckAudience(wanted []string) error {
	if len(wanted) == 0 || slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(wanted, a) }) {
		return nil
	}
	if len(c.Audience) == 0 {
		return Invalid("there is no `aud`, wanted %s", strings.Join(wanted, " or "))
	}
	return Invalid("`aud` is [%s], wanted %s", strings.Join(c.Audience, ", "), strings.Join(wanted, " or "))
}

// Expired says whether the token is good no longer.
func (c *Claims) Expired(now time.Time, leeway time.Duration) bool {
	return c.Expires != 0 && !now.Before(time.Unix(c.Expires, 0).Add(leeway))
}

// CheckTimes checks that the token is good at a time.
func (c *Claims) CheckTimes(now time.Time, leeway time.Duration) error {
	switch {
	case c.Expired(now, leeway):
		return filter.Reject(filter.TokenExpired, "").Because(fmt.Errorf("`exp` is %s, which is %s ago", moment(c.Expires), now.Sub(time.Unix(c.Expires, 0)).Round(time.Second)))
	case c.NotBefore != 0 && now.Add(leeway).Before(time.Unix(c.NotBefore, 0)):
		return Invalid("`nbf` is %s, which is to come", moment(c.NotBefore))
	case c.IssuedAt != 0 && now.Add(leeway).Before(time.Unix(c.IssuedAt, 0)):
		return Invalid("`iat` is %s, which is to come", moment(c.IssuedAt))
	}
	return nil
}

func moment(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }

// checkRequired checks the claims that must be there.
func (c *Claims) checkRequired(required map[string][]string) error {
	for _, name := range slices.Sorted(maps.Keys(required)) {
		wanted := required[name]
		v, there := c.At(name)
		switch {
		case !there || v == nil:
			return Invalid("there is no `%s`", name)
		case slices.Contains(wanted, "*"):
		case !slices.ContainsFunc(values(v), func(s string) bool { return slices.Contains(wanted, s) }):
			return Invalid("`%s` is %v, wanted %s", name, v, strings.Join(wanted, " or "))
		}
	}
	return nil
}

// groups are the caller's groups.
func (c *Claims) groups(paths []string) []string {
	var all []string
	for _, path := range paths {
		v, _ := c.At(path)
		for _, group := range values(v) {
			if group != "" && !slices.Contains(all, group) {
				all = append(all, group)
			}
		}
	}
	return all
}

// headerValue is a claim as the value of a field; "" where there is none.
func (c *Claims) headerValue(path string) (string, error) {
	v, there := c.At(path)
	if !there || v == nil {
		return "", nil
	}
	texts := values(v)
	if texts == nil {
		if list, ok := v.([]any); ok && len(list) == 0 {
			return "", nil
		}
		return "", fmt.Errorf("`%s` is neither a text nor a list of them, and cannot be a field", path)
	}
	_, list := v.([]any)
	for _, text := range texts {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) || list && strings.Contains(text, ",") {
			return "", fmt.Errorf("`%s` has characters that a field cannot have", path)
		}
	}
	return strings.TrimSpace(strings.Join(texts, ",")), nil
}
