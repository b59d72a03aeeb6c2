package sequence

import "github.com/redis/rueidis"

// The scripts, each of which is one step to the store. A record is a hash: s(tate): running, complete, undone, or lost; t(oken) of the gateway that has it,
// and l(ease), until when; f(ingerprint) of the request; p(rogress) by the names of steps; c(omplete before), and "by" the token of which gateway; d(igest) of
// the steps; e: the key of the encryption; h(ead) and n0, n1, …, the journal, with its v(ersion); k: how often it was taken; x: who took it last; a(nswer).
// Records that run are in a sorted set, by when to look at them. Their keys have a part in braces, for clusters: they are those of one route.
const (
	clock = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function ms(n) return string.format('%.0f', n) end
`

	// claiming begins a record, unless there is one that says otherwise. What may fail comes before the record, and the first write is one that a full store
	// refuses: it takes nothing new, but what runs comes to its end. KEYS: record, set. ARGV: token, fingerprint, lease, life, digest, head, id, progress, key of
	// the encryption.
	claiming = clock + `local r = redis.call('HMGET', KEYS[1], 's', 'f', 'l', 'c', 'p', 't', 'by')
local s, again = r[1], '0'
if r[6] == ARGV[1] then again = r[4]
elseif s then
  if r[2] ~= ARGV[2] then return {'other'} end
  if s == 'undone' or s == 'lost' then return {s, r[5]} end
  if s == 'complete' then
    local answer = redis.call('HGET', KEYS[1], 'a')
    if answer then return {'kept', answer} end
    again = '1'
  elseif tonumber(r[3]) > now then return {'busy'}
  elseif r[4] == '1' then again = '1'
  else return {'abandoned'} end
end
if again ~= '1' then
  redis.call('ZADD', KEYS[2], ms(now + ARGV[3]), ARGV[7])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
redis.call('HSET', KEYS[1], 's', 'running')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 's', 'running', 't', ARGV[1], 'f', ARGV[2], 'l', ms(now + ARGV[3]), 'c', again, 'p', ARGV[8], 'd', ARGV[5], 'e', ARGV[9])
if r[7] then redis.call('HSET', KEYS[1], 'by', r[7]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if again == '1' then return {'again'} end
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'h', ARGV[6]) end
return {'new'}`

	// noting renews the lease, and sets fields, unless later ones are there. KEYS: record. ARGV: token, lease, life, version of the fields or "0", then names
	// and values.
	noting = clock + `local r = redis.call('HMGET', KEYS[1], 's', 't', 'v')
if r[1] ~= 'running' or r[2] ~= ARGV[1] then return {'gone'} end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[1], 'l', ms(now + ARGV[2]))
if ARGV[4] == '0' or tonumber(r[3] or '0') > tonumber(ARGV[4]) then return {'ok'} end
redis.call('HSET', KEYS[1], 'v', ARGV[4], unpack(ARGV, 5))
return {'ok'}`

	// finishing says how a record has ended. It may be said twice, also when somebody has asked again since. What was complete once stays so. A gateway without
	// a journal may say it of what was taken for lost. KEYS: record, set. ARGV: token, state or "nothing", life, progress, answer, id.
	finishing = `local r = redis.call('HMGET', KEYS[1], 's', 't', 'f', 'd', 'c', 'by')
if r[6] == ARGV[1] and ARGV[2] == 'complete' then return {'ok'} end
if r[2] ~= ARGV[1] then return {r[1] and 'gone' or 'none'} end
local s = r[5] == '1' and 'complete' or ARGV[2]
if r[1] == s then return {'ok'} end
if r[1] ~= 'running' and r[1] ~= 'lost' then return {'gone'} end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[6])
if s == 'nothing' then return {'ok'} end
redis.call('HSET', KEYS[1], 's', s, 't', ARGV[1], 'f', r[3], 'd', r[4], 'p', ARGV[4])
if s == 'complete' then redis.call('HSET', KEYS[1], 'by', r[6] or ARGV[1]) end
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'a', ARGV[5]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'ok'}`

	// yielding has others take a record at once. KEYS: record, set. ARGV: token, id.
	yielding = clock + `local r = redis.call('HMGET', KEYS[1], 's', 't')
if r[1] ~= 'running' or r[2] ~= ARGV[1] then return {'gone'} end
redis.call('HSET', KEYS[1], 'l', ms(now))
redis.call('ZADD', KEYS[2], ms(now), ARGV[2])
return {'ok'}`

	// mine says whether a gateway can undo a record. All its ARGV are those of taking.
	mine = `local function mine(d, e)
  if d ~= ARGV[3] then return false end
  for i = 7, #ARGV do
    if ARGV[i] == e then return true end
  end
  return false
end
`

	// listing counts what was abandoned, and lists the ids to look at: not those that are for others. It looks at the first thousand. KEYS: set. ARGV: how
	// many, lease, digest, then as taking.
	listing = clock + mine + `local found, abandoned = {}, 0
local prefix = string.sub(KEYS[1], 1, -5)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ms(now), 'LIMIT', '0', '1000')) do
  local r = redis.pcall('HMGET', prefix .. id, 's', 'l', 'd', 'e', 'h', 'c')
  local lease, look = tonumber(r[2] or '0'), true
  if r[1] == 'running' and r[6] ~= '1' and lease <= now then
    abandoned = abandoned + 1
    look = not r[5] or mine(r[3], r[4]) or lease + 10 * ARGV[2] <= now
  end
  if look and #found < tonumber(ARGV[1]) then table.insert(found, id) end
end
table.insert(found, 1, tostring(abandoned))
return found`

	// taking takes a record whose lease is over, with its journal. One without a journal, or with that of other steps, or another secret, of which no gateway
	// has taken it in time, is lost: there is nobody who can undo it. It may be asked twice. KEYS: record, set. ARGV: token, lease, digest, id, life of what is
	// lost, how often it may be taken, then the keys of encryption.
	taking = clock + mine + `local r = redis.call('HMGET', KEYS[1], 's', 'l', 'd', 'p', 'c', 'k', 'f', 't', 'x', 'e')
if r[1] == 'lost' and r[9] == ARGV[1] then return {'lost', r[4]} end
if r[1] ~= 'running' or r[5] == '1' then
  redis.call('ZREM', KEYS[2], ARGV[4])
  return {'none'}
end
local lease = tonumber(r[2])
if lease > now and r[8] ~= ARGV[1] then
  redis.call('ZADD', KEYS[2], ms(lease), ARGV[4])
  return {'none'}
end
local journal, foreign = redis.call('HEXISTS', KEYS[1], 'h') == 1, not mine(r[3], r[10])
if journal and foreign and lease + 10 * ARGV[2] > now then return {'none'} end
if not journal or foreign or tonumber(r[6] or '0') >= tonumber(ARGV[6]) then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[4])
  redis.call('HSET', KEYS[1], 's', 'lost', 't', journal and ARGV[1] or r[8], 'x', ARGV[1], 'f', r[7], 'd', r[3], 'p', r[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  return {'lost', r[4]}
end
redis.call('HSET', KEYS[1], 't', ARGV[1], 'l', ms(now + ARGV[2]))
redis.call('HINCRBY', KEYS[1], 'k', '1')
redis.call('ZADD', KEYS[2], ms(now + ARGV[2]), ARGV[4])
local all = redis.call('HGETALL', KEYS[1])
table.insert(all, 1, 'taken')
return all`
)

// scripts are those of a store.
type scripts struct{ claim, note, finish, yield, list, take *rueidis.Lua }

func newScripts() scripts {
	return scripts{
		rueidis.NewLuaScript(claiming), rueidis.NewLuaScript(noting), rueidis.NewLuaScript(finishing), rueidis.NewLuaScript(yielding), rueidis.NewLuaScript(listing),
		rueidis.NewLuaScript(taking),
	}
}
