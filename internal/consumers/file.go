package consumers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"cardea.dev/cardea/config"
)

// Limits on files of consumers.
const (
	maxLine   = 1 << 20 // bytes of one consumer
	maxErrors = 20      // that are told of one file
)

// fileLine is a line of a file of consumers.
type fileLine struct {
	Name string
	config.Consumer
}

// AddFile adds the consumers of a file: one JSON object a line, with the keys of a consumer in the configuration, in their long form, and
// `name`. All that is wrong is told, up to a number, with its line.
func (c *Consumers) AddFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot read consumers: %w", err)
	}
	defer func() { _ = f.Close() }()
	var errs []error
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; lines.Scan() && len(errs) < maxErrors; n++ {
		if text := bytes.TrimSpace(lines.Bytes()); len(text) > 0 {
			if err := c.addLine(text); err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %w", path, n, err))
			}
		}
	}
	if err := lines.Err(); err != nil {
		errs = append(errs, fmt.Errorf("cannot read consumers of %s: %w", path, err))
	}
	return errors.Join(errs...)
}

// addLine adds the consumer of a line.
func (c *Consumers) addLine(text []byte) error {
	var line fileLine
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&line); err != nil {
		return unreadable(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("expected one JSON object a line, and there is more")
	}
	switch {
	case line.Name == "":
		return errors.New("the consumer has no name")
	case c.named[line.Name] != nil:
		return fmt.Errorf("there is a consumer %q already", line.Name)
	}
	for i := range line.Keys {
		if err := line.Keys[i].Validate(); err != nil {
			return fmt.Errorf("keys[%d]: %w", i, err)
		}
	}
	for i := range line.Subjects {
		if err := line.Subjects[i].Validate(); err != nil {
			return fmt.Errorf("subjects[%d]: %w", i, err)
		}
	}
	return c.add(line.Name, &line.Consumer)
}

// unreadable tells what is wrong with a line, without what it says.
func unreadable(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return fmt.Errorf("%s: expected %s, got a %s", wrongType.Field, wrongType.Type, wrongType.Value)
	}
	return fmt.Errorf("expected a JSON object of a consumer: %w", err)
}
