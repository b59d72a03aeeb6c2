package oauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Error is what a server says against a request for a token (RFC 6749, section 5.2).
type Error struct {
	Status      int
	Code        string // "invalid_client"; "": it did not say
	Description string // for people; may be empty
}

// Error tells operators what the server said.
func (e *Error) Error() string {
	s := fmt.Sprintf("it answers with status %d", e.Status)
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.Description != "" {
		s += ": " + e.Description
	}
	return s
}

// general says whether the server would say the same to any request.
func (e *Error) general() bool {
	return e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Code == "invalid_client" || e.Code == "unauthorized_client"
}

// maxDescription is how much of a server's text is shown.
const maxDescription = 200

// refusal reads an answer that is none. Texts in which the server repeats a secret are left out.
func refusal(status int, body []byte, secrets ...string) *Error {
	e := &Error{Status: status}
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &answer) == nil {
		e.Code, e.Description = printable(answer.Error, secrets), printable(answer.Description, secrets)
	}
	return e
}

// printable is a text as far as it may be shown.
func printable(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" && (strings.Contains(s, secret) || strings.Contains(s, url.QueryEscape(secret))) {
			return "(a text with a secret in it)"
		}
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0xfffd {
			return -1
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > maxDescription {
		return string(runes[:maxDescription]) + "…"
	}
	return s
}
