package acme

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// redis is a store in Redis, or in what speaks like it. There is about one command an hour for each name: each has a connection of
// its own, so that none is kept, and none can be found broken.
type redis struct {
	address, user, password string
	db                      int
	tls                     *tls.Config // nil: plain
}

// redisPrefix is what all keys in Redis begin with.
const redisPrefix = "cardea:acme:"

// redisWait is how long one command may take, with its connection.
const redisWait = 5 * time.Second

// newRedis reads a URL. It connects to nothing. What is wrong with it is not shown: there may be a password in it.
func newRedis(text string) (*redis, error) {
	wrong := errors.New("the URL is none of Redis: redis://HOST:PORT or redis://USER:PASSWORD@HOST:PORT/NUMBER, and with TLS rediss://")
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, wrong
	}
	r := &redis{address: u.Host, user: u.User.Username()}
	r.password, _ = u.User.Password()
	if u.Port() == "" {
		r.address = net.JoinHostPort(u.Hostname(), "6379")
	}
	if number := strings.Trim(u.Path, "/"); number != "" {
		if r.db, err = strconv.Atoi(number); err != nil || r.db < 0 {
			return nil, wrong
		}
	}
	if u.Scheme == "rediss" {
		r.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	return r, nil
}

func (r *redis) load(ctx context.Context, name string) ([]byte, error) {
	return r.do(ctx, "GET", redisPrefix+name)
}

func (r *redis) save(ctx context.Context, name string, data []byte) error {
	_, err := r.do(ctx, "SET", redisPrefix+name, string(data))
	return err
}

func (r *redis) remove(ctx context.Context, name string) error {
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
func (r *redis) lock(ctx context.Context, name string) (func(), error) {
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
func (r *redis) do(ctx context.Context, command ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, redisWait)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.address)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })() // ends what waits
	c := raw
	if r.tls != nil {
		c = tls.Client(raw, r.tls)
	}
	var commands [][]string
	switch {
	case r.user != "":
		commands = append(commands, []string{"AUTH", r.user, r.password})
	case r.password != "":
		commands = append(commands, []string{"AUTH", r.password})
	}
	if r.db != 0 {
		commands = append(commands, []string{"SELECT", strconv.Itoa(r.db)})
	}
	commands = append(commands, command)
	if _, err := c.Write(encodeCommands(commands)); err != nil {
		return nil, err
	}
	in := bufio.NewReader(c)
	var reply []byte
	for range commands {
		if reply, err = readReply(in); err != nil {
			return nil, err
		}
	}
	return reply, nil
}

// encodeCommands writes commands as Redis reads them: arrays of strings with their lengths.
func encodeCommands(commands [][]string) []byte {
	var b []byte
	for _, words := range commands {
		b = fmt.Appendf(b, "*%d\r\n", len(words))
		for _, word := range words {
			b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(word), word)
		}
	}
	return b
}

// largestReply bounds what a server may say. Chains of certificates have a few kilobytes.
const largestReply = 1 << 20

// readReply reads one reply: a text, a number, or a string with its length. What there is not is errNotStored.
func readReply(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, errors.New("the server does not speak as Redis does")
	}
	kind, text := line[0], string(line[1:len(line)-2])
	switch kind {
	case '+', ':':
		return []byte(text), nil
	case '-':
		return nil, fmt.Errorf("redis says: %s", text)
	case '$':
		n, err := strconv.Atoi(text)
		if err != nil || n < -1 || n > largestReply {
			return nil, fmt.Errorf("redis answers with %s bytes", text)
		}
		if n == -1 {
			return nil, errNotStored
		}
		data := make([]byte, n+2)
		if _, err := io.ReadFull(in, data); err != nil {
			return nil, err
		}
		return data[:n], nil
	}
	return nil, errors.New("the server does not speak as Redis does")
}
