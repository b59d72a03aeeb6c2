package sequence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/journal"
)

// disk is the store of one gateway, in a directory. There is one for all sequences that use the directory. What it answers is what the scripts of the remote one
// do; the parts of its records are their fields. Whatever runs when it is opened was abandoned: whoever ran it has ended.
type disk struct {
	journal *journal.Journal[record]
	log     *slog.Logger
	failed  func()
	opened  time.Time

	// Of the journal's goroutine alone.
	leases map[string]lease    // by the key of a record
	open   map[string]struct{} // keys of records that run, and of some that do not any more
}

// record is what is known of a sequence. It is written as JSON: names are never changed.
type record struct {
	State       string `json:"s"` // running, complete, undone, or lost
	Token       string `json:"t"` // of whoever has it
	Fingerprint string `json:"f"`
	Progress    string `json:"p"`
	Again       bool   `json:"c,omitempty"`  // all was done before
	By          string `json:"by,omitempty"` // by which token it was complete
	Digest      string `json:"d"`
	Key         string `json:"e,omitempty"` // of the encryption
	Version     int    `json:"v,omitempty"` // of the journal
	Taken       int    `json:"k,omitempty"` // how often it was taken
	Taker       string `json:"x,omitempty"` // who took it for lost
	Seen        int64  `json:"at"`          // s: the last sign of life that is on the disk
}

// lease is until when a record is not abandoned.
type lease struct {
	token string
	until time.Time
}

const running = "running"

// keptDisk returns the store in a directory, which outlives a reload.
func keptDisk(env *filter.Env, path string, failed func()) (*disk, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the directory %s: %w", path, errors.Unwrap(err))
	}
	path, err := filepath.EvalSymlinks(path) // all of its names are one
	if err != nil {
		return nil, err
	}
	return filter.Keep(env, "sequence disk:"+path, func() (*disk, error) { return openDisk(path, env.Log, failed) })
}

// dirOf is the directory of a sequence.
func dirOf(env *filter.Env, c *Config) string {
	if filepath.IsAbs(c.Disk) {
		return filepath.Clean(c.Disk)
	}
	return filepath.Join(env.Dir, c.Disk)
}

// checkDisk says what is wrong with a directory that is not to be used now.
func checkDisk(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no directory", path)
	}
	return nil
}

// openDisk opens a directory. Failed is called when it was asked and did not answer.
func openDisk(dir string, log *slog.Logger, failed func()) (*disk, error) {
	d := &disk{log: log, failed: failed, opened: time.Now(), leases: map[string]lease{}, open: map[string]struct{}{}}
	var err error
	if d.journal, err = journal.Open[record](journal.Options{Dir: dir, Log: log}); err != nil {
		return nil, err
	}
	_, err = ask(context.Background(), d, func(tx *journal.Tx[record]) bool {
		tx.Each(func(key string, r *journal.Record[record]) {
			if r.Head.State == running {
				d.open[key] = struct{}{}
			}
		})
		return true
	})
	if err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// Close gives the directory back.
func (d *disk) Close() error { return d.journal.Close() }

// ask has the journal do something.
func ask[R any](ctx context.Context, d *disk, do func(tx *journal.Tx[record]) R) (R, error) {
	got, err := journal.Do(ctx, d.journal, do)
	if err == nil {
		return got, nil
	}
	if !errors.Is(ctx.Err(), context.Canceled) { // whoever asked has left, which says nothing of the disk
		d.failed()
	}
	return got, fmt.Errorf("the directory of sequences cannot be used: %w", err)
}

// answer is what the journal says, or why it cannot be read.
type answer struct {
	word, text string
	fields     map[string]string
	err        error
}

func (d *disk) down() bool { return d.journal.Failing() }

func (d *disk) claim(ctx context.Context, k *shared, c *claim) (word, text string, err error) {
	got, err := ask(ctx, d, func(tx *journal.Tx[record]) answer { return d.claiming(tx, k, c) })
	return got.word, got.text, errors.Join(err, got.err)
}

func (d *disk) claiming(tx *journal.Tx[record], k *shared, c *claim) answer {
	key := k.record(c.id)
	fresh := record{State: running, Token: c.token, Fingerprint: c.fingerprint, Progress: c.progress, Digest: k.digest, Key: k.sealedBy(), Seen: time.Now().Unix()}
	if old := tx.Get(key); old != nil {
		var a answer
		if fresh.Again, a = d.known(tx, key, old, c); a.word != "" || a.err != nil {
			return a
		}
		fresh.By = old.Head.By
	}
	d.leases[key], d.open[key] = lease{c.token, time.Now().Add(k.lease)}, struct{}{}
	if fresh.Again {
		tx.Put(key, fresh, time.Time{})
		return answer{word: "again"}
	}
	var parts []journal.Part
	if c.head != "" {
		parts = []journal.Part{{Name: "h", Value: []byte(c.head)}}
	}
	tx.Put(key, fresh, time.Time{}, parts...)
	return answer{word: "new"}
}

// known says what is to be said of a record that is there, or whether all was done before.
func (d *disk) known(tx *journal.Tx[record], key string, old *journal.Record[record], c *claim) (again bool, a answer) {
	r := &old.Head
	switch {
	case r.Token == c.token:
		return r.Again, answer{}
	case r.Fingerprint != c.fingerprint:
		return false, answer{word: "other"}
	case r.State == words[wasUndone] || r.State == words[isLost]:
		return false, answer{word: r.State, text: r.Progress}
	case r.State == words[complete] && old.Has("a"):
		kept, err := tx.Read(old, "a")
		return false, answer{word: "kept", text: string(kept), err: err}
	case r.State == words[complete]:
		return true, answer{}
	case d.leased(key, r) > 0:
		return false, answer{word: "busy"}
	case r.Again:
		return true, answer{}
	}
	return false, answer{word: "abandoned"}
}

// leased is how long the lease of a record is still good, or, below zero, for how long it has been over.
func (d *disk) leased(key string, r *record) time.Duration {
	if l, is := d.leases[key]; is && l.token == r.Token {
		return time.Until(l.until)
	}
	return -time.Since(d.opened)
}

func (d *disk) note(ctx context.Context, k *shared, id, token string, version int, fields ...string) (word string, err error) {
	return ask(ctx, d, func(tx *journal.Tx[record]) string {
		key := k.record(id)
		old := tx.Get(key)
		if old == nil || old.Head.State != running || old.Head.Token != token {
			return "gone"
		}
		d.leases[key] = lease{token, time.Now().Add(k.lease)}
		if version == 0 || old.Head.Version > version {
			return "ok"
		}
		head := old.Head
		head.Version, head.Seen = version, time.Now().Unix()
		var parts []journal.Part
		for i := 0; i+1 < len(fields); i += 2 {
			if fields[i] == "p" {
				head.Progress = fields[i+1]
				continue
			}
			parts = append(parts, journal.Part{Name: fields[i], Value: []byte(fields[i+1])})
		}
		tx.Add(key, head, time.Time{}, parts...)
		return "ok"
	})
}

func (d *disk) finish(ctx context.Context, k *shared, f *finish) (word string, err error) {
	return ask(ctx, d, func(tx *journal.Tx[record]) string {
		key := k.record(f.id)
		old := tx.Get(key)
		if old == nil {
			return "none"
		}
		r, state := &old.Head, words[f.how]
		switch {
		case r.By == f.token && f.how == complete:
			return "ok"
		case r.Token != f.token:
			return "gone"
		}
		if r.Again {
			state = words[complete]
		}
		switch {
		case r.State == state:
			return "ok"
		case r.State != running && r.State != words[isLost]:
			return "gone"
		case state == words[nothing]:
			tx.Delete(key)
			return "ok"
		}
		head := record{State: state, Token: f.token, Fingerprint: r.Fingerprint, Digest: r.Digest, Progress: f.progress, Seen: time.Now().Unix()}
		if state == words[complete] {
			head.By = cmp.Or(r.By, f.token)
		}
		var parts []journal.Part
		if f.answer != "" {
			parts = []journal.Part{{Name: "a", Value: []byte(f.answer)}}
		}
		tx.Put(key, head, time.Now().Add(f.life), parts...)
		return "ok"
	})
}

func (d *disk) yield(ctx context.Context, k *shared, id, token string) error {
	_, err := ask(ctx, d, func(tx *journal.Tx[record]) bool {
		d.leases[k.record(id)] = lease{token, time.Now()}
		return true
	})
	return err
}

// foreign says whether a gateway cannot undo a record: it has other steps, or another secret.
func (r *record) foreign(k *shared) bool {
	return r.Digest != k.digest || !slices.Contains(k.opens(), r.Key)
}

// patience is how many leases long what was abandoned is left to a gateway that has its steps and its secret.
const patience = 10

// listed is what was abandoned.
type listed struct {
	abandoned int
	ids       []string
}

func (d *disk) list(ctx context.Context, k *shared, most int) (abandoned int, ids []string, err error) {
	got, err := ask(ctx, d, func(tx *journal.Tx[record]) (l listed) {
		for key := range d.open {
			r := tx.Get(key)
			switch {
			case tx.Changed(key):
				continue // it may not be so
			case r == nil || r.Head.State != running:
				delete(d.open, key)
				delete(d.leases, key)
				continue
			}
			over := -d.leased(key, &r.Head)
			id, mine := strings.CutPrefix(key, k.place)
			switch {
			case over < 0:
			case time.Since(time.Unix(r.Head.Seen, 0)) > abandonedLife:
				tx.Delete(key)
			case !r.Head.Again && mine:
				l.abandoned++
				if len(l.ids) < most && (!r.Has("h") || !r.Head.foreign(k) || over >= patience*k.lease) {
					l.ids = append(l.ids, id)
				}
			}
		}
		return l
	})
	return got.abandoned, got.ids, err
}

// unread counts what was abandoned, and whose journal a gateway cannot read.
func (d *disk) unread(k *shared) (int, error) {
	return ask(context.Background(), d, func(tx *journal.Tx[record]) (n int) {
		for key := range d.open {
			r := tx.Get(key)
			if r != nil && strings.HasPrefix(key, k.place) && r.Head.State == running && r.Has("h") && d.leased(key, &r.Head) <= 0 && !slices.Contains(k.opens(), r.Head.Key) {
				n++
			}
		}
		return n
	})
}

func (d *disk) take(ctx context.Context, k *shared, id, token string) (word string, fields map[string]string, err error) {
	got, err := ask(ctx, d, func(tx *journal.Tx[record]) answer { return d.taking(tx, k, id, token) })
	if got.err != nil {
		d.failed()
		d.log.Error("an abandoned sequence cannot be read from the disk", "idempotency_keys", id[:min(32, len(id))]+"-*", "error", got.err)
	}
	return got.word, got.fields, errors.Join(err, got.err)
}

func (d *disk) taking(tx *journal.Tx[record], k *shared, id, token string) answer {
	key := k.record(id)
	old := tx.Get(key)
	switch {
	case old != nil && old.Head.State == words[isLost] && old.Head.Taker == token:
		return answer{word: "lost", fields: map[string]string{"p": old.Head.Progress}}
	case old == nil || old.Head.State != running || old.Head.Again:
		return answer{word: "none"}
	}
	head, over := old.Head, -d.leased(key, &old.Head)
	written, foreign := old.Has("h"), head.foreign(k)
	switch {
	case over < 0 && head.Token != token, written && foreign && over < patience*k.lease:
		return answer{word: "none"}
	case !written || foreign || head.Taken >= maxTaken:
		lost := record{State: words[isLost], Token: head.Token, Taker: token, Fingerprint: head.Fingerprint, Digest: head.Digest, Progress: head.Progress, Seen: head.Seen}
		if written {
			lost.Token = token // else whoever runs it may still say how it has ended
		}
		tx.Put(key, lost, time.Now().Add(memory))
		return answer{word: "lost", fields: map[string]string{"p": head.Progress}}
	}
	parts, err := tx.Parts(old)
	if err != nil {
		return answer{err: err}
	}
	fields := map[string]string{"p": head.Progress}
	for _, p := range parts {
		fields[p.Name] = string(p.Value)
	}
	head.Token, head.Taken, head.Seen = token, head.Taken+1, time.Now().Unix()
	d.leases[key] = lease{token, time.Now().Add(k.lease)}
	tx.Add(key, head, time.Time{})
	return answer{word: "taken", fields: fields}
}
