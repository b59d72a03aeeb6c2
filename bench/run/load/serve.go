//go:build linux

package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Reply is what Serve writes for a job: its result, or why nothing was measured.
type Reply struct {
	Result Result
	Failed string
}

// Serve does the jobs that come as JSON, one after another, and writes a Reply to each, until there are no more.
func Serve(in io.Reader, out io.Writer, clock Clock) error {
	jobs, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var job Job
		err := jobs.Decode(&job)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read a job: %w", err)
		}
		var reply Reply
		if reply.Result, err = Run(job, clock); err != nil {
			reply.Failed = err.Error()
		}
		if err := replies.Encode(reply); err != nil {
			return fmt.Errorf("cannot write a result: %w", err)
		}
	}
}
