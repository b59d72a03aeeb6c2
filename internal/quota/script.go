package quota

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
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

// exec runs the script for quotas.
func (s *Shared) exec(ctx context.Context, client rueidis.Client, asks []Ask, cost, need int64) ([]int64, error) {
	keys, args := make([]string, 0, len(asks)), make([]string, 0, 2+4*len(asks))
	args = append(args, strconv.FormatInt(cost, 10), strconv.FormatInt(need, 10))
	for i := range asks {
		amount, more := asks[i].Amount, asks[i].args()
		if amount == Unlimited {
			amount = -1
		}
		keys = append(keys, asks[i].key())
		args = append(append(args, strconv.FormatInt(amount, 10)), more[:]...)
	}
	return s.lua.Exec(ctx, client, keys, args).AsIntSlice()
}

// tell adds what the store is owed.
func (s *Shared) tell(ctx context.Context, client rueidis.Client, keys []string, debts []debt) error {
	execs := make([]rueidis.LuaExec, len(keys))
	for i, key := range keys {
		d := debts[i]
		execs[i] = rueidis.LuaExec{
			Keys: []string{key[:strings.LastIndexByte(key, ' ')]},
			Args: []string{strconv.FormatInt(d.cost, 10), "0", "-1", d.args[0], d.args[1], d.args[2]},
		}
	}
	var errs []error
	for i, result := range s.lua.ExecMulti(ctx, client, execs...) {
		err := result.Error()
		if err != nil && !strings.Contains(err.Error(), "WRONGTYPE") {
			errs = append(errs, err)
			continue
		}
		if err != nil { // somebody else has the key: it will never do, and must not hold up the others
			s.o.Log.Error("a key of the store of quotas is somebody else's", "key", keys[i])
		}
		s.paid(keys[i], debts[i].cost)
	}
	return errors.Join(errs...)
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
