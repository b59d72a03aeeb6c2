package acme

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/redis"
)

// remote is a store in Redis, or in what speaks like it. There is about one command an hour for each name: each has a connection of
// its own, so that none is kept, and none can be found broken.
type remote struct{ url string }

// redisPrefix is what all keys in Redis begin with.
const redisPrefix = "cardea:acme:"

// newRemote reads a URL. It connects to nothing.
func newRemote(url string) (*remote, error) {
	_, err := redis.New(url)
	return &remote{url}, err
}

func (r *remote) load(ctx context.Context, name string) ([]byte, error) {
	text, err := r.do(ctx, "GET", redisPrefix+name)
	return []byte(text), err
}

func (r *remote) save(ctx context.Context, name string, data []byte) error {
	_, err := r.do(ctx, "SET", redisPrefix+name, string(data))
	return err
}

func (r *remote) remove(ctx context.Context, name string) error {
	_, err := r.do(ctx, "DEL", redisPrefix+name)
	return err
}

// redisLock is how long a lock outlives its holder, who renews it in a third of that.
const redisLock = 30 * time.Second

// These change a lock only where it is ours still.
const (
	redisUnlock = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0`
	redisRenew  = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) end return 0`
)

// lock sets a key that ends by itself, and renews it until it is unlocked.
func (r *remote) lock(ctx context.Context, name string) (func(), error) {
	key, token, life := redisPrefix+"lock:"+name, rand.Text(), fmt.Sprint(redisLock.Milliseconds())
	for {
		_, err := r.do(ctx, "SET", key, token, "NX", "PX", life)
		if err == nil {
			break
		}
		if !errors.Is(err, errNotStored) { // that is: somebody else holds it
			return nil, err
		}
		pause := time.NewTimer(lockPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil, ctx.Err()
		case <-pause.C:
		}
	}
	held, release := context.WithCancel(context.WithoutCancel(ctx))
	var renewing sync.WaitGroup
	renewing.Go(func() { // ends when it is unlocked
		tick := time.NewTicker(redisLock / 3)
		defer tick.Stop()
		for {
			select {
			case <-held.Done():
				return
			case <-tick.C:
				_, _ = r.do(held, "EVAL", redisRenew, "1", key, token, life)
			}
		}
	})
	return func() {
		release()
		renewing.Wait()
		_, _ = r.do(context.WithoutCancel(ctx), "EVAL", redisUnlock, "1", key, token) // else it ends by itself
	}, nil
}

// do runs a command. What there is not is errNotStored.
func (r *remote) do(ctx context.Context, command ...string) (reply string, err error) {
	server, err := redis.New(r.url)
	if err != nil {
		return "", err
	}
	defer func() { _ = server.Close() }()
	err = server.Ask(ctx, func(ctx context.Context, c rueidis.Client) error {
		at := 1 // where the key stands, by which a cluster knows the server
		if command[0] == "EVAL" {
			at = 3
		}
		message, err := c.Do(ctx, c.B().Arbitrary(command[:at]...).Keys(command[at]).Args(command[at+1:]...).Build()).ToMessage()
		switch {
		case rueidis.IsRedisNil(err):
			return errNotStored
		case err != nil:
			return err
		case message.IsInt64():
			n, err := message.ToInt64()
			reply = strconv.FormatInt(n, 10)
			return err
		}
		reply, err = message.ToString()
		return err
	})
	return reply, err
}
