package sequence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/redis"
)

// remote is the Redis or Valkey in which gateways share what they do. There is one for all sequences that use a server.
type remote struct {
	server  *redis.Server
	outage  *redis.Outage
	scripts scripts
	failed  func()
	group   sync.WaitGroup // questions
}

// newRemote makes a store of a server. Failed is called when it was asked and did not answer.
func newRemote(server *redis.Server, log *slog.Logger, failed func()) *remote {
	st := &remote{server: server, scripts: newScripts(), failed: failed}
	st.outage = redis.NewOutage(redis.OutageOptions{
		Server: server, Log: log, Probe: st.probe,
		Lost:    "the store of sequences cannot be reached",
		Back:    "the store of sequences can be reached again",
		Refused: "the store of sequences refuses a question",
	})
	return st
}

// ask runs a script, and waits until the context ends: the library may take longer, where it connects. All scripts may be run twice.
func (st *remote) ask(ctx context.Context, script *rueidis.Lua, keys []string, args ...string) ([]string, error) {
	var answer []string
	done := make(chan error, 1)
	st.group.Go(func() {
		done <- st.server.Ask(ctx, func(ctx context.Context, client rueidis.Client) (err error) {
			result := script.Exec(ctx, client, keys, args)
			if result.NonRedisError() != nil && ctx.Err() == nil { // servers close idle connections
				result = script.Exec(ctx, client, keys, args)
			}
			answer, err = result.AsStrSlice()
			return err
		})
	})
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	switch {
	case err == nil:
		st.outage.InTime()
		return answer, nil
	case errors.Is(ctx.Err(), context.Canceled): // whoever asked has left, which says nothing of the store
	case ctx.Err() != nil:
		st.failed()
		st.outage.Late(keys[0])
	default:
		st.failed()
		st.outage.Failed(keys[0], err)
	}
	return nil, errors.Join(errStore, err)
}

// word is ask for scripts that answer with a word, and perhaps a text.
func (st *remote) word(ctx context.Context, script *rueidis.Lua, keys []string, args ...string) (word, text string, err error) {
	answer, err := st.ask(ctx, script, keys, args...)
	switch {
	case err != nil:
		return "", "", err
	case len(answer) == 0:
		return "", "", errors.Join(errStore, redis.ErrAnswer)
	case len(answer) > 1:
		text = answer[1]
	}
	return answer[0], text, nil
}

func (st *remote) claim(ctx context.Context, k *shared, c *claim) (word, text string, err error) {
	if st.outage.Down() {
		return "", "", errStore
	}
	return st.word(ctx, st.scripts.claim, keys(k, c.id), c.token, c.fingerprint, milliseconds(k.lease), milliseconds(abandonedLife), k.digest, c.head, c.id, c.progress, k.sealedBy())
}

func (st *remote) note(ctx context.Context, k *shared, id, token string, version int, fields ...string) (word string, err error) {
	args := append([]string{token, milliseconds(k.lease), milliseconds(abandonedLife), strconv.Itoa(version)}, fields...)
	word, _, err = st.word(ctx, st.scripts.note, []string{k.record(id)}, args...)
	return word, err
}

func (st *remote) finish(ctx context.Context, k *shared, f *finish) (word string, err error) {
	word, _, err = st.word(ctx, st.scripts.finish, keys(k, f.id), f.token, words[f.how], milliseconds(f.life), f.progress, f.answer, f.id)
	return word, err
}

func (st *remote) yield(ctx context.Context, k *shared, id, token string) error {
	_, _, err := st.word(ctx, st.scripts.yield, keys(k, id), token, id)
	return err
}

func (st *remote) list(ctx context.Context, k *shared, most int) (abandoned int, ids []string, err error) {
	if st.outage.Down() {
		return 0, nil, errStore
	}
	found, err := st.ask(ctx, st.scripts.list, []string{index(k)}, rights(k, strconv.Itoa(most), milliseconds(k.lease), k.digest, "", "", "")...)
	if err != nil {
		return 0, nil, err
	}
	if len(found) > 0 {
		abandoned, err = strconv.Atoi(found[0])
	}
	if len(found) == 0 || err != nil {
		return 0, nil, errors.Join(errStore, redis.ErrAnswer)
	}
	return abandoned, found[1:], nil
}

func (st *remote) take(ctx context.Context, k *shared, id, token string) (word string, fields map[string]string, err error) {
	answer, err := st.ask(ctx, st.scripts.take, keys(k, id), rights(k, token, milliseconds(k.lease), k.digest, id, milliseconds(memory), fmt.Sprint(maxTaken))...)
	switch {
	case err != nil:
		return "", nil, err
	case len(answer) == 0:
		return "", nil, errors.Join(errStore, redis.ErrAnswer)
	case answer[0] == "lost" && len(answer) > 1:
		return answer[0], map[string]string{"p": answer[1]}, nil
	}
	fields = map[string]string{}
	for i := 1; i+1 < len(answer); i += 2 {
		fields[answer[i]] = answer[i+1]
	}
	return answer[0], fields, nil
}

func (st *remote) down() bool { return st.outage.Down() }

// index is the set of what is open.
func index(k *shared) string { return k.place + "open" }

// keys are those of the scripts that change whether a record is open.
func keys(k *shared, id string) []string { return []string{k.record(id), index(k)} }

// rights are the last arguments of the scripts that look for what was abandoned: what this gateway can undo.
func rights(k *shared, first ...string) []string { return append(first, k.opens()...) }

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// probe finds out whether the server can be written to, where a key is.
func (st *remote) probe(ctx context.Context, key string) error {
	err := st.server.Ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		return client.Do(ctx, client.B().Set().Key(probed(key)).Value("1").PxMilliseconds(time.Minute.Milliseconds()).Build()).Error()
	})
	if err == nil {
		return nil
	}
	if _, down := redis.Classify(err); down {
		return err
	}
	return nil
}

// prefix is what all keys begin with.
const prefix = "cardea:sequence:{"

// placeOf is what the keys of a route begin with. What stands in braces has a cluster keep them in one place.
func placeOf(route string) string {
	sum := sha256.Sum256([]byte(route))
	return prefix + hex.EncodeToString(sum[:8]) + "}:"
}

// probed is a key where another is, in which there is nothing.
func probed(key string) string {
	const end = len(prefix) + 16 + len("}:")
	return key[:min(end, len(key))] + "probe"
}

// Close ends the probe, and waits for questions.
func (st *remote) Close() error {
	err := st.outage.Close()
	st.group.Wait()
	return err
}
