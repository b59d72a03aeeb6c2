package rewrite

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/pathtemplate"
)

// replacement puts pieces in the place of what a regular expression matches.
type replacement struct {
	regex  *regexp.Regexp
	pieces []piece
}

// piece is a piece of a path, or a group.
type piece struct {
	pathtemplate.Pieces
	group int // of the regular expression, from 1; 0 for none
}

func newReplacement(env *filter.Env, regex, to string) (*replacement, error) {
	re, err := regexp.Compile(regex)
	if err != nil {
		return nil, config.FieldErrorf("regex", "%q is not a regular expression: %s", regex, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	r := &replacement{regex: re}
	parts, err := pathtemplate.Parts(env, to, nil)
	if err != nil {
		return nil, config.FieldErrorf("to", "%w", err)
	}
	for _, part := range parts {
		if part.Value != nil {
			r.pieces = append(r.pieces, piece{Pieces: pathtemplate.Pieces{pathtemplate.Value(env, part)}})
			continue
		}
		if err := r.addText(part.Text); err != nil {
			return nil, config.FieldErrorf("to", "%w", err)
		}
	}
	var all pathtemplate.Pieces
	for _, p := range r.pieces {
		all = append(all, p.Pieces...)
		if p.group > 0 {
			all = append(all, pathtemplate.Piece{}) // it may be anything
		}
	}
	if err := all.Check(); err != nil {
		return nil, config.FieldErrorf("to", "%w", err)
	}
	return r, nil
}

// addText adds a text in which `$` begins a group.
func (r *replacement) addText(text string) error {
	if strings.Contains(text, "?") {
		return errors.New("`to` is a path and cannot have a `?`; use `query`, or `path` with parameters of the match")
	}
	for text != "" {
		before, after, found := strings.Cut(text, "$")
		pieces, err := pathtemplate.Pieces(nil).AppendText(before)
		if err != nil {
			return err
		}
		r.pieces = append(r.pieces, piece{Pieces: pieces})
		if !found {
			return nil
		}
		if text, found = strings.CutPrefix(after, "$"); found {
			dollar, _ := pathtemplate.Pieces(nil).AppendText("$")
			r.pieces = append(r.pieces, piece{Pieces: dollar})
			continue
		}
		if text, err = r.addGroup(after); err != nil {
			return err
		}
	}
	return nil
}

// addGroup adds the group whose number or name is at the front of a text, and returns the rest.
func (r *replacement) addGroup(text string) (rest string, err error) {
	word := text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
	if word != "" {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > r.regex.NumSubexp() {
			return "", fmt.Errorf("there is no group $%s: `regex` has %d", word, r.regex.NumSubexp())
		}
		r.pieces = append(r.pieces, piece{group: n})
		return text[len(word):], nil
	}
	word = text[:len(text)-len(strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"))]
	if word == "" {
		return "", errors.New("a `$` must be followed by the number or name of a group; write $$ for the character")
	}
	n := r.regex.SubexpIndex(word)
	if n < 0 {
		return "", fmt.Errorf("there is no group $%s in `regex`", word)
	}
	r.pieces = append(r.pieces, piece{group: n})
	return text[len(word):], nil
}

// apply replaces all that matches in an escaped path.
func (r *replacement) apply(ex *filter.Exchange, path string) (string, error) {
	matches := r.regex.FindAllStringSubmatchIndex(path, -1)
	if matches == nil {
		return path, nil
	}
	var b []byte
	end := 0
	for _, m := range matches {
		b = append(b, path[end:m[0]]...)
		end = m[1]
		for i := range r.pieces {
			p := &r.pieces[i]
			if p.group > 0 {
				if from := m[2*p.group]; from >= 0 {
					b = append(b, path[from:m[2*p.group+1]]...)
				}
				continue
			}
			for j := range p.Pieces {
				var err error
				if b, err = p.Pieces[j].Append(b, ex); err != nil {
					return "", err
				}
			}
		}
	}
	return string(append(b, path[end:]...)), nil
}
