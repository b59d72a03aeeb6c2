package sharedlimit

import (
	"crypto/sha1" //nolint:gosec // it is how Redis names scripts
	"encoding/hex"
	"strings"
)

// script is what runs in Redis: one call decides by all rules of a counter, and counts. All numbers are whole and below 2^53, which Lua's are
// exact to. There is one hash for each key, with these fields for the rule i:
//
//	l<i>, t<i>       GCRA: the level in units, and when it was that, in µs
//	s<i>, c<i>       sliding window: the sum of all parts, and the latest part
//	<i>:<slot>       what was counted in a part; parts take turns
//	b                since when there is the hash
//
// Arguments: the operation, the cost, how much more would be taken on lease, the greatest share of what is left that may be leased in
// thousandths, the time that a lease was taken at, and for each rule four numbers: "g", units for each of the cost, units that drain in a µs, the
// most units; or "w", the count, the length of a part in µs, how many parts the window has beside the current one.
//
// Operations: "take" counts if all rules let it pass, and one of 0 counts nothing and asks whether one of 1 would pass; "charge" counts in any case; "back" gives back what was leased.
//
// It returns: 1 or 0, the rule, what it has left, µs until all of it is, µs until the same cost would pass (-1: never), what was
// counted, and the time.
//
// The clock is that of Redis. When it goes back, as after a failover, nothing drains until it is as late as it was at the last request of a key: a
// level keeps, and all parts of a window count as of now.
const body = `
local key, op, cost, want, share, at = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local n = (#ARGV - 5) / 4
local rules, fields = {}, {'b'}
for i = 1, n do
  local o = 2 + i * 4
  rules[i] = {g = ARGV[o] == 'g', a = tonumber(ARGV[o + 1]), b = tonumber(ARGV[o + 2]), c = tonumber(ARGV[o + 3])}
  if rules[i].g then
    fields[#fields + 1] = 'l' .. i
    fields[#fields + 1] = 't' .. i
  else
    fields[#fields + 1] = 's' .. i
    fields[#fields + 1] = 'c' .. i
  end
end
local old = redis.call('HMGET', key, unpack(fields))
local born = tonumber(old[1] or now)

local function slot(i, r, k) return i .. ':' .. (k % (r.c + 1)) end

local function parts(i, r)
  if r.v then return r.v, r.names end
  local names = {}
  for k = r.idx - r.c, r.idx do names[#names + 1] = slot(i, r, k) end
  local v = redis.call('HMGET', key, unpack(names))
  for j = 1, #names do v[j] = (not r.gone[names[j]] and tonumber(v[j] or 0)) or 0 end
  if r.all then v[#v] = v[#v] + r.all end
  r.v, r.names = v, names
  return v, names
end

for i = 1, n do
  local r, x, y = rules[i], tonumber(old[i * 2] or 0), tonumber(old[i * 2 + 1] or 0)
  if r.g then
    local past = now - y
    r.most = math.floor(r.c / r.a)
    if past >= x / r.b then r.level = 0
    elseif past > 0 then r.level = x - past * r.b
    else r.level = x end
  else
    r.most, r.sum, r.idx, r.gone = r.a, x, math.floor(now / r.b), {}
    if x ~= 0 and y ~= r.idx then
      if y > r.idx then
        for k = 0, r.c do r.gone[i .. ':' .. k] = true end
        r.all = x
      else
        local names = {}
        for k = y - r.c, math.min(y, r.idx - r.c - 1) do names[#names + 1] = slot(i, r, k) end
        local v = redis.call('HMGET', key, unpack(names))
        for j = 1, #names do
          r.gone[names[j]] = true
          r.sum = r.sum - tonumber(v[j] or 0)
        end
        if r.sum < 0 then r.sum = 0 end
      end
    end
  end
end

local function left(r)
  if r.g then return math.max(0, math.floor((r.c - r.level) / r.a)) end
  return math.max(0, r.a - r.sum)
end

local function reset(i, r)
  if r.g then return math.ceil(r.level / r.b) end
  if r.sum <= 0 then return 0 end
  local v = parts(i, r)
  for j = #v, 1, -1 do
    if v[j] > 0 then return (r.idx + j) * r.b - now end
  end
  return 0
end

local function retry(i, r)
  local needs = math.max(cost, 1)
  if needs > r.most then return -1 end
  if r.g then return math.max(0, math.ceil((r.level + needs * r.a - r.c) / r.b)) end
  local need = r.sum + needs - r.a
  if need <= 0 then return 0 end
  local v = parts(i, r)
  for j = 1, #v do
    need = need - v[j]
    if need <= 0 then return (r.idx + j) * r.b - now end
  end
  return (r.idx + #v) * r.b - now
end

if op == 'take' then
  local refuses, longest = 0, 0
  for i = 1, n do
    local t = retry(i, rules[i])
    if t ~= 0 and longest >= 0 and (t < 0 or t > longest) then refuses, longest = i, t end
  end
  if refuses > 0 then
    return {0, refuses - 1, left(rules[refuses]), reset(refuses, rules[refuses]), longest, 0, now}
  end
  if want > 0 then
    local least = left(rules[1])
    for i = 2, n do least = math.min(least, left(rules[i])) end
    cost = cost + math.max(0, math.min(want, math.floor(least * share / 1000), least - cost))
  end
end

if op == 'back' and (not old[1] or born > at or at > now) then return {1, 0, 0, 0, 0, 0, now} end

if cost ~= 0 then
  local set = {'b', born}
  local clear, life = {}, 0
  local function put(name, value)
    set[#set + 1] = name
    set[#set + 1] = value
  end
  for i = 1, n do
    local r = rules[i]
    if r.g then
      if op == 'back' then
        r.level = math.max(0, r.level - math.max(0, cost * r.a - (now - at) * r.b))
      else
        local limit = math.floor(4503599627370496 / r.a)
        r.level = math.min(math.max(0, r.level + math.max(-limit, math.min(cost, limit)) * r.a), 4503599627370496)
      end
      put('l' .. i, r.level)
      put('t' .. i, now)
      life = math.max(life, r.level / r.b)
    else
      for name in pairs(r.gone) do clear[#clear + 1] = name end
      local v, names
      if op == 'back' or cost < 0 or r.all then v, names = parts(i, r) end
      if r.all then put(names[#names], r.all) end
      if op == 'back' then
        local j = math.floor(at / r.b) - r.idx + r.c + 1
        if j >= 1 and j <= #v then
          local d = math.min(cost, v[j])
          r.sum = r.sum - d
          put(names[j], v[j] - d)
        end
      elseif cost < 0 then
        local rest = -cost
        for j = #v, 1, -1 do
          local d = math.min(rest, v[j])
          if d > 0 then
            rest = rest - d
            r.sum = r.sum - d
            put(names[j], v[j] - d)
          end
        end
      else
        local name = slot(i, r, r.idx)
        local before = 0
        if v then before = v[#v]
        elseif not r.gone[name] then before = tonumber(redis.call('HGET', key, name) or 0) end
        local d = math.min(cost, 4503599627370496 - r.sum)
        r.sum = r.sum + d
        put(name, before + d)
      end
      put('s' .. i, r.sum)
      put('c' .. i, r.idx)
      life = math.max(life, (r.c + 1) * r.b)
    end
  end
  if #clear > 0 then redis.call('HDEL', key, unpack(clear)) end
  redis.call('HSET', key, unpack(set))
  redis.call('PEXPIRE', key, math.ceil(life / 1000) + 1000)
end

local least, where
for i = 1, n do
  local l = left(rules[i])
  if not least or l < least then least, where = l, i end
end
local after = 0
if op == 'take' then
  local r = rules[where]
  if r.g then after = reset(where, r)
  elseif r.sum > 0 and cost > 0 then after = (r.idx + r.c + 1) * r.b - now
  else after = reset(where, r) end
end
return {1, where - 1, least, after, 0, cost, now}
`

// ofRedis is the time of Redis in µs.
const ofRedis = `local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
`

// source is a script and its name.
type source struct{ text, sha string }

// newSource returns the script with what says the time in it.
func newSource(clock string) source {
	text := strings.TrimSpace(clock + body)
	sum := sha1.Sum([]byte(text)) //nolint:gosec // it is how Redis names scripts
	return source{text, hex.EncodeToString(sum[:])}
}
