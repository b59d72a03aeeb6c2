package journal

import (
	"errors"
	"os"
	"time"

	"cardea.dev/cardea/internal/folder"
)

// ends are the keys of records that are forgotten, by the minute in which they are.
type ends map[int64][]string

const minute = int64(time.Minute / time.Millisecond)

// note notes when a record is forgotten.
func (e ends) note(key string, until int64) {
	if until > 0 {
		at := until/minute + 1
		e[at] = append(e[at], key)
	}
}

// sweep forgets what is over.
func (j *Journal[H]) sweep() {
	j.untidy = false
	now := j.o.Now().UnixMilli()
	for at, keys := range j.ends {
		if at > now/minute {
			continue
		}
		delete(j.ends, at)
		for _, key := range keys {
			if r := j.records[key]; r != nil && r.over(now) {
				delete(j.records, key)
				j.count(r, -1)
			}
		}
	}
}

// growth is how many times as long as what is live the files are before that is written anew.
const growth = 4

// tidy removes the oldest files as far as nothing refers to them, and copies what is live in them where too much else is.
func (j *Journal[H]) tidy() {
	if j.untidy || !j.shorten() {
		return
	}
	total := int64(0)
	for _, f := range j.files {
		total += f.size
	}
	if len(j.files) > 1 && total > growth*max(j.live, j.o.File) && j.renew(j.files[0]) {
		j.shorten()
	}
}

// shorten removes the oldest files that nothing refers to. Their order matters: what a later one says of a record must not go before what an earlier one said.
func (j *Journal[H]) shorten() bool {
	for len(j.files) > 1 && j.files[0].live == 0 {
		f := j.files[0]
		err := os.Remove(f.Name())
		if err == nil || errors.Is(err, os.ErrNotExist) {
			err = folder.Sync(j.o.Dir)
		}
		if err != nil {
			return j.later(err)
		}
		_ = f.Close()
		j.files = j.files[1:]
	}
	return true
}

// renew writes anew all that refers to a file.
func (j *Journal[H]) renew(old *file) bool {
	tx := newTx(j)
	for key, r := range j.records {
		if !r.in(old) {
			continue
		}
		parts, err := tx.Parts(r)
		if err != nil {
			return j.later(err)
		}
		var until time.Time
		if r.until > 0 {
			until = time.UnixMilli(r.until)
		}
		tx.Put(key, r.Head, until, parts...)
	}
	if err := tx.commit(); err != nil {
		return j.later(err)
	}
	return true
}

// later leaves the oldest file where it is, for a minute.
func (j *Journal[H]) later(err error) bool {
	j.o.Log.Warn("the oldest file of the journal cannot be removed", "directory", j.o.Dir, "error", err)
	j.untidy = true
	return false
}

// in says whether a record refers to a file.
func (r *Record[H]) in(f *file) bool {
	if r.head.in == f {
		return true
	}
	for _, p := range r.parts {
		if p.in == f {
			return true
		}
	}
	return false
}
