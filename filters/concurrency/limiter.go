package concurrency

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/line"
)

// limiter is what outlives a reload: what is under way, by key. The limits themselves come with the requests.
type limiter struct {
	lines *line.Lines[limit.ID]
	info  atomic.Pointer[filter.LimiterInfo] // of the policy that was asked last

	mu    sync.Mutex
	built *filter.LimiterInfo // of the policy that was built last
}

var _ filter.Limiter = (*limiter)(nil)

// newInfo describes a policy.
func newInfo(scope, text, per string) *filter.LimiterInfo {
	name := kindName + " " + scope + " " + text
	if scope == "" {
		name = kindName + " " + text
	}
	return &filter.LimiterInfo{Name: name, Policy: kindName, Scope: scope, Limit: text, Per: per, Store: "memory"}
}

// keptLimiter returns what counts for a policy at a place in the configuration, with its description: with another limit it is the same one.
func keptLimiter(env *filter.Env, info *filter.LimiterInfo, absent string) (*limiter, *filter.LimiterInfo, error) {
	key := strings.Join([]string{kindName, info.Scope, info.Per, absent}, "\x00")
	l, err := filter.Keep(env, key, func() (*limiter, error) {
		l := &limiter{lines: line.New[limit.ID](), built: info}
		l.info.Store(info)
		return l, nil
	})
	if err != nil {
		return nil, nil, err
	}
	return l, l.same(info), nil
}

// same returns one description for all routes that inherit a policy, so that their requests do not take turns in telling it.
func (l *limiter) same(info *filter.LimiterInfo) *filter.LimiterInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *l.built != *info {
		l.built = info
	}
	return l.built
}

// tell has the limiter described as the policy is that is asked. One that was built and never ran does not show.
func (l *limiter) tell(info *filter.LimiterInfo) {
	if l.info.Load() != info {
		l.info.Store(info)
	}
}

// Limiter describes it.
func (l *limiter) Limiter() filter.LimiterInfo {
	info := *l.info.Load()
	info.Keys = int64(l.lines.Len())
	return info
}

// Top lists the keys of which most is under way.
func (l *limiter) Top(n int) []filter.KeyUsage {
	top := l.lines.Top(n)
	usage := make([]filter.KeyUsage, len(top))
	for i, s := range top {
		usage[i] = filter.KeyUsage{Key: s.Key.String(), Used: int64(s.Active), Limit: int64(s.Limit), Refused: s.Refused}
	}
	return usage
}

// Reset counts what is under way of a key no longer.
func (l *limiter) Reset(_ context.Context, key string) (bool, error) {
	return l.lines.Forget(func(id limit.ID) bool { return id.String() == key }), nil
}
