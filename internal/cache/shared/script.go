package shared

import (
	"strconv"

	"github.com/redis/rueidis"
)

// script is one that the server runs. It goes along each time: it is short, and servers forget scripts.
type script string

func (s script) whole(client rueidis.Client, keys []string, args ...string) rueidis.Completed {
	return client.B().Eval().Script(string(s)).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// updating replaces the frame and the head of a value, if its body is the same, and it is not newer.
const updating script = `local new, old = ARGV[1], redis.pcall('GETRANGE', KEYS[1], 0, 40)
if type(old) ~= 'string' or #old < 41 or old:sub(1, 4) ~= new:sub(1, 4) or old:sub(9, 25) ~= new:sub(9, 25) then return 0 end
if old:sub(26, 33):reverse() > new:sub(26, 33):reverse() then return 0 end
if old:byte(25) == 1 then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
else
  local a, b, c, d = old:byte(5, 8)
  new = new .. redis.call('GETRANGE', KEYS[1], 41 + a + b*256 + c*65536 + d*16777216, -1)
end
redis.call('SET', KEYS[1], new, 'PX', ARGV[2])
return 1`

// releasing gives a lease back, if it is still the own one, or has nobody take it for a while.
const releasing script = `if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '0' then
  redis.call('SET', KEYS[1], '-', 'PX', ARGV[2])
  return 1
end
return redis.call('DEL', KEYS[1])`

// newest begins scripts about the stream of purges. The number of the last one is taken from the stream; what is no stream of purges is thrown away.
const newest = `local key = KEYS[1]
local known = tonumber(ARGV[1])
local kind = redis.call('TYPE', key).ok
local last = 0
if kind == 'stream' then
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info - 1, 2 do
    if info[i] == 'last-generated-id' then last = tonumber((info[i+1]:match('^%d+'))) end
  end
end
if kind ~= 'stream' and kind ~= 'none' or last > 9e15 then
  redis.call('DEL', key)
  last = 0
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function add(seq, what, prev)
  redis.call('XADD', key, 'MAXLEN', '~', ARGV[2], string.format('%.0f-0', seq), 'p', what, 'prev', string.format('%.0f', prev))
end
`

// publishing appends a purge, and returns its number.
const publishing script = newest + `local prev = math.max(last, known)
local seq = math.max(prev + 1, now)
add(seq, ARGV[3], prev)
return string.format('%.0f', seq)`

// attesting makes up for what the stream has lost: who knows less than the one that asks learns that. It returns the number of the last purge.
const attesting script = newest + `if last == 0 then
  last = known > 0 and known or now
  add(last, 'lost', last)
elseif last < known then
  last = known + 1
  add(last, 'lost', last)
end
return string.format('%.0f', last)`
