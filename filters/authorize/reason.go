package authorize

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"cardea.dev/cardea/filter"
)

// reason tells operators why a rule holds or does not, and with which values. Of one that does not hold, it names what does not.
func (r *rule) reason(ex *filter.Exchange) string {
	var good, bad []string
	say := func(ok bool, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if ok {
			good = append(good, text)
		} else {
			bad = append(bad, text)
		}
	}
	var who filter.Identity
	if ex.Identity != nil {
		who = *ex.Identity
	}
	if len(r.methods) > 0 {
		say(hasMethod(r.methods, ex.Original.Method), "the method is %s, wanted %s", ex.Original.Method, oneOf(r.methods))
	}
	if ex.Identity == nil && len(r.consumers)+len(r.groups)+len(r.allGroups)+len(r.scopes) > 0 {
		say(false, "the caller is not known, wanted %s", r.wantedOfCaller())
	} else {
		if len(r.consumers) > 0 {
			say(contains(r.consumers, who.Consumer), "the consumer is %q, wanted %s", who.Consumer, oneOf(r.consumers))
		}
		if len(r.groups) > 0 {
			say(containsAny(who.Groups, r.groups), "groups are %s, wanted %s", list(who.Groups), oneOf(r.groups))
		}
		if len(r.allGroups) > 0 {
			say(containsAll(who.Groups, r.allGroups), "groups are %s, wanted all of %s", list(who.Groups), strings.Join(r.allGroups, ", "))
		}
		if len(r.scopes) > 0 {
			say(containsAll(who.Scopes, r.scopes), "scopes are %s, wanted all of %s", list(who.Scopes), strings.Join(r.scopes, ", "))
		}
	}
	if r.when != nil {
		held, err := r.when(ex)
		say(held && err == nil, "%s", r.expressionReason(ex, held, err))
	}
	if len(bad) > 0 {
		return strings.Join(bad, ", and ")
	}
	return strings.Join(good, ", and ")
}

// wantedOfCaller is what a rule wants a caller to be.
func (r *rule) wantedOfCaller() string {
	var parts []string
	add := func(what string, names []string) {
		if len(names) > 0 {
			parts = append(parts, what+" "+strings.Join(names, ", "))
		}
	}
	add("one of the consumers", r.consumers)
	add("one of the groups", r.groups)
	add("all of the groups", r.allGroups)
	add("all of the scopes", r.scopes)
	return strings.Join(parts, " and ")
}

// expressionReason says what the expression came to.
func (r *rule) expressionReason(ex *filter.Exchange, held bool, err error) string {
	if err != nil {
		return r.failure(err)
	}
	verb := "does not hold"
	if held {
		verb = "holds"
	}
	text := "`" + cut(r.source, 160) + "` " + verb
	var values []string
	for _, s := range r.shown {
		value, ok := s.value(ex)
		if !ok {
			values = append(values, s.name+" is absent")
			continue
		}
		values = append(values, fmt.Sprintf("%s is %q", s.name, cut(value, 80)))
	}
	if len(values) > 0 {
		text += " (" + strings.Join(values, ", ") + ")"
	}
	return text
}

// failure says why the expression could not be evaluated. The error itself quotes the expression, and what it has from elsewhere.
func (r *rule) failure(err error) string {
	if r.hides {
		return "cannot evaluate `" + cut(r.source, 160) + "`"
	}
	return cut(err.Error(), 300)
}

// cut shortens a text, at the end of a character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}

func contains(list []string, one string) bool { return containsAny(list, []string{one}) }

func oneOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return "one of " + strings.Join(names, ", ")
}

// list writes names that a token may have brought: not too many, and nothing in them that disturbs a terminal.
func list(names []string) string {
	const most = 20
	shown := make([]string, 0, min(len(names), most+1))
	for i, name := range names {
		if i == most {
			shown = append(shown, fmt.Sprintf("and %d more", len(names)-most))
			break
		}
		name = cut(name, 80)
		if quoted := strconv.Quote(name); quoted != `"`+name+`"` || strings.Contains(name, ",") {
			name = quoted
		}
		shown = append(shown, name)
	}
	return "[" + strings.Join(shown, ", ") + "]"
}
