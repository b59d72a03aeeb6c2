package sharedlimit

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

const (
	firstProbe = 50 * time.Millisecond
	lastProbe  = time.Second
)

// states are how errors begin that say something of the server, and nothing of a key.
var states = []string{
	"READONLY", "LOADING", "OOM", "MISCONF", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "NOPERM", "NOAUTH", "WRONGPASS", "BUSY", "UNKILLABLE",
}

// classify says what kind of failure it is, and whether the server is down: not where one key has something else in it.
func classify(err error) (reason string, down bool) {
	answer, ok := rueidis.IsRedisErr(err)
	if !ok && !errors.Is(err, errShape) {
		return "connection", true
	}
	return "refused", ok && slices.ContainsFunc(states, func(state string) bool { return strings.HasPrefix(answer.Error(), state) })
}

// complain logs that a server does not do for one key what it does for others, once in a while.
func (l *link) complain(err error) {
	now := time.Now().Unix()
	if last := l.complained.Load(); now-last >= 60 && l.complained.CompareAndSwap(last, now) {
		l.log.Warn("the store refuses to count a limit", "store", l.server.Name(), "err", err)
	}
}

// fail notes that the server is down, and begins to probe it: the one of a cluster that has the key.
func (l *link) fail(key string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.down.Load() {
		return
	}
	l.down.Store(true)
	l.m.up.Set(0)
	l.log.Error("limits cannot be counted in the store; what is configured for that holds until it is back", "store", l.server.Name(), "err", err)
	l.group.Go(func() { l.probe(key) })
}

// probe asks the server now and then until it answers in time. It brings the script.
func (l *link) probe(key string) {
	pause, began := firstProbe, time.Now()
	for {
		wait := time.NewTimer(pause/2 + rand.N(pause)) // gateways do not come all at once
		select {
		case <-l.ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		pause = min(2*pause, lastProbe)
		if l.answers(key) {
			break
		}
	}
	l.slow.Store(0)
	l.down.Store(false)
	l.m.up.Set(1)
	l.log.Info("limits are counted in the store again", "store", l.server.Name(), "after", time.Since(began).Round(time.Millisecond))
}

// answers says whether the server can count, and does so in time.
func (l *link) answers(key string) bool {
	all := []*call{{key: prefix + "probe", op: "charge", cost: 1, rules: probeRules}, {key: key, op: "take", rules: probeRules}}
	for range 2 { // the first answer on a new connection may take longer than others do
		began := time.Now()
		err := l.server.Ask(l.ctx, func(ctx context.Context, client rueidis.Client) error {
			for _, c := range all {
				if err := c.read(client.Do(ctx, l.command(client, c, true))); err != nil {
					if _, down := classify(err); down {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return false
		}
		if time.Since(began) <= 2*time.Duration(l.limit.Load()) {
			return true
		}
	}
	return false
}

// probeRules count to 1 in a second.
var probeRules = []compiled{{args: [4]string{"g", "1000000", "1", "1000000"}, most: 1}}
