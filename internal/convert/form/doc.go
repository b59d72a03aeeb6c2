// Package form converts application/x-www-form-urlencoded to JSON and back, and the text fields of multipart/form-data to JSON. Names that
// repeat are a list. It holds the form in memory, within Limits.Buffer.
package form
