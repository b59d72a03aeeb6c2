package form

import (
	"mime"
	"strings"
)

func parseType(value string) (string, map[string]string, error) {
	if value == "" {
		return "text/plain", nil, nil
	}
	return mime.ParseMediaType(value)
}

func isText(contentType string) bool {
	name, _, err := parseType(contentType)
	return err == nil && name == "text/plain"
}

// isFile says whether a part has a file name, be it an empty one.
func isFile(disposition string) bool {
	_, params, err := mime.ParseMediaType(disposition)
	_, named := params["filename"]
	return err != nil || named || strings.Contains(strings.ToLower(disposition), "filename*")
}
