package quota

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/redis"
)

// script counts in all keys, or in none, in one step. A calendar's key is a number; a rolling period's is a hash of its slots. It answers the
// index of a key that refuses, or 0, and for each key what is used, the first slot, and the slot whose falling out leaves enough.
//
// Counts stop at 2^53, up to which the numbers of scripts are exact.
//
// ARGV: cost, needed, and for each key: amount (-1: unlimited), slot ("" for a calendar), slots in a period, time to live in milliseconds.
const script = `
local cost, need = tonumber(ARGV[1]), tonumber(ARGV[2])
local refused, answer, newest = 0, {0}, {}
for i, key in ipairs(KEYS) do
  local at = 4 * i - 1
  local amount, slot, slots = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local used, first, enough = 0, 0, 0
  if slot then
    local all, labels, old = redis.call('HGETALL', key), {}, {}
    local by = {}
    for j = 1, #all, 2 do
      local label = tonumber(all[j])
      if label >= slot - slots and label <= slot + slots then
        labels[#labels + 1], by[label] = label, tonumber(all[j + 1])
        used = used + by[label]
      else
        old[#old + 1] = all[j]
      end
    end
    if #old > 0 then redis.call('HDEL', key, unpack(old)) end
    table.sort(labels)
    newest[i] = math.max(slot, labels[#labels] or slot)
    first = labels[1] or 0
    local left = used
    for _, label in ipairs(labels) do
      if amount >= 0 and left + need > amount then enough = label end
      left = left - by[label]
    end
  else
    used = tonumber(redis.call('GET', key) or '0')
  end
  if amount >= 0 and used + need > amount and refused == 0 then refused = i end
  answer[3 * i - 1], answer[3 * i], answer[3 * i + 1] = used, first, enough
end
answer[1] = refused
if refused > 0 or cost == 0 then return answer end
for i, key in ipairs(KEYS) do
  local add = math.max(0, math.min(cost, 9007199254740992 - answer[3 * i - 1]))
  if newest[i] then
    redis.call('HINCRBY', key, string.format('%.0f', newest[i]), string.format('%.0f', add))
  else
    redis.call('INCRBY', key, string.format('%.0f', add))
  end
  redis.call('PEXPIRE', key, ARGV[4 * i + 2])
  answer[3 * i - 1] = answer[3 * i - 1] + add
end
return answer
`

// question is a run of the script.
type question struct{ keys, args []string }

func newQuestion(asks []Ask, cost, need int64) question {
	q := question{make([]string, 0, len(asks)), make([]string, 0, 2+4*len(asks))}
	q.args = append(q.args, strconv.FormatInt(cost, 10), strconv.FormatInt(need, 10))
	for i := range asks {
		amount, more := asks[i].Amount, asks[i].args()
		if amount == Unlimited {
			amount = -1
		}
		q.keys = append(q.keys, asks[i].key())
		q.args = append(append(q.args, strconv.FormatInt(amount, 10)), more[:]...)
	}
	return q
}

// exec runs the script. It asks once more where the connection was closed: servers close idle ones.
func (s *Shared) exec(ctx context.Context, client rueidis.Client, q question) ([]int64, error) {
	result := s.lua.Exec(ctx, client, q.keys, q.args)
	if result.NonRedisError() != nil && ctx.Err() == nil {
		result = s.lua.Exec(ctx, client, q.keys, q.args)
	}
	answer, err := result.AsIntSlice()
	if err == nil && len(answer) != 1+3*len(q.keys) {
		return nil, redis.ErrAnswer
	}
	return answer, err
}

// probed is a key that nothing is counted in.
const probed = "cardea:quota:{probe}:"

// probe counts where a key is, as requests do: what a server can only read does not do.
func (s *Shared) probe(ctx context.Context, key string) error {
	place, _, _ := strings.Cut(key, "}")
	q := question{[]string{place + "}:probe"}, []string{"1", "0", "-1", "", "0", milliseconds(time.Minute)}}
	err := s.o.Server.Ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		_, err := s.exec(ctx, client, q)
		return err
	})
	if err == nil {
		return nil
	}
	if _, down := redis.Classify(err); down {
		return err
	}
	return nil // of the key alone, which is no one's
}

// tell adds what the store is owed. It returns a key that it failed at.
func (s *Shared) tell(ctx context.Context, client rueidis.Client, keys []string, debts []debt) (failed string, err error) {
	execs := make([]rueidis.LuaExec, len(keys))
	for i, key := range keys {
		d := debts[i]
		execs[i] = rueidis.LuaExec{
			Keys: []string{key[:strings.LastIndexByte(key, ' ')]},
			Args: []string{strconv.FormatInt(d.cost, 10), "0", "-1", d.args[0], d.args[1], d.args[2]},
		}
	}
	for i, result := range s.lua.ExecMulti(ctx, client, execs...) {
		e := result.Error()
		if e != nil && !spoilt(e) {
			failed, err = keys[i], e
			continue
		}
		if e != nil { // it will never do, and must not hold up the others
			s.failed(keys[i], e)
		}
		s.paid(keys[i], debts[i].cost)
	}
	return failed, err
}

// spoilt says whether a key has something else in it, by somebody else.
func spoilt(err error) bool {
	answer, ok := rueidis.IsRedisErr(err)
	if !ok {
		return false
	}
	if _, down := redis.Classify(err); down || answer.IsTryAgain() || answer.IsClusterDown() {
		return false
	}
	_, moved := answer.IsMoved()
	_, ask := answer.IsAsk()
	return !moved && !ask
}

// key is a quota's key in the store. The period of a calendar is part of it, so that none is begun twice when a clock is put back. What stands in
// braces is the same for all quotas of a policy, and has a cluster keep them in one place.
func (q *Ask) key() string {
	scope, per, _ := strings.Cut(q.Series.name, " per ")
	key := "cardea:quota:{" + scope + "}:" + per + ":" + q.Series.period.String() + ":" + idText(q.ID)
	if q.Series.period.Unit != "" {
		key += ":" + strconv.FormatInt(q.Span.Label, 10)
	}
	return key
}

// args are a key's arguments of the script, but for the amount. It lives for as long as clocks may be put back after its end.
func (q *Ask) args() [3]string {
	p := q.Series.period
	if p.Unit == "" {
		return [3]string{strconv.FormatInt(q.Span.Label, 10), strconv.Itoa(slots), milliseconds(p.Rolling + 2*p.Rolling/slots)}
	}
	return [3]string{"", "0", milliseconds(p.Length() + min(p.Length(), ahead) + time.Hour)}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Reset forgets what was counted for a key, in the store and here.
func (s *Shared) Reset(ctx context.Context, series *Series, span Span, key string) (bool, error) {
	known, err := s.local.Reset(ctx, series, span, key)
	if err != nil {
		return known, err
	}
	var keys []string
	for _, id := range idsOf(key) {
		q := Ask{Series: series, ID: id, Span: span}
		keys = append(keys, q.key())
	}
	var n int64
	err = s.o.Server.Ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		n, err = client.Do(ctx, client.B().Del().Key(keys...).Build()).AsInt64()
		return err
	})
	if err != nil {
		return known, errors.Join(ErrUnavailable, err)
	}
	return known || n > 0, nil
}
