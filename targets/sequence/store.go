package sequence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/redis"
)

// errStore says that the store cannot be asked.
var errStore = errors.New("the store of sequences cannot be reached")

// store is the Redis or Valkey in which gateways share what they do. There is one for all sequences that use a server.
type store struct {
	server  *redis.Server
	outage  *redis.Outage
	scripts scripts
	failed  func()
	group   sync.WaitGroup // questions
}

// newStore makes a store. Failed is called when it was asked and did not answer.
func newStore(server *redis.Server, log *slog.Logger, failed func()) *store {
	st := &store{server: server, scripts: newScripts(), failed: failed}
	st.outage = redis.NewOutage(redis.OutageOptions{
		Server: server, Log: log, Probe: st.probe,
		Lost:    "the store of sequences cannot be reached",
		Back:    "the store of sequences can be reached again",
		Refused: "the store of sequences refuses a question",
	})
	return st
}

// ask runs a script, and waits until the context ends: the library may take longer, where it connects. All scripts may be run twice.
func (st *store) ask(ctx context.Context, script *rueidis.Lua, keys []string, args ...string) ([]string, error) {
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
func (st *store) word(ctx context.Context, script *rueidis.Lua, keys []string, args ...string) (word, text string, err error) {
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

// probe finds out whether the server can be written to, where a key is.
func (st *store) probe(ctx context.Context, key string) error {
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
func (st *store) Close() error {
	err := st.outage.Close()
	st.group.Wait()
	return err
}
