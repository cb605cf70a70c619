-- What all scripts share: how a counter is looked at and how it is spent, by measure, as `policies.engine.windows` says.
-- Put in front of each of them.
--
-- Times are milliseconds of the store's own clock. It may step back a little: what was counted "later than now" stays
-- counted, and counters are kept a little longer than they are needed. A counter is never larger than its limit, or
-- than LARGEST where it is spent beyond.
--
-- A charge is { kind, limit, window, amount, flags, member }. Its counter's key carries kind and window, so a counter
-- is never read as another kind.

local call = redis.call
local SLACK = 60000 -- that a counter outlives its use
local LARGEST = 1000
local PARTS = 24 -- of a window of money; the one that it only touches counts whole
local LOG, GCRA, DISTINCT, RUNNING, MONEY = 1, 2, 3, 4, 5

local function clock()
  local time = call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lua itself would write a large number with 14 digits.
local function whole(number)
  return string.format("%.0f", number)
end

-- How long until the member of this rank leaves a sorted set, whose scores are `ahead` short of that time.
local function wait_for(key, rank, ahead, now)
  local leaving = call("ZRANGE", key, rank, rank, "WITHSCORES")[2]
  return leaving and leaving + ahead - now
end

local function room_in_log(key, charge, now, needed)
  local limit, window = charge[2], charge[3]
  call("ZREMRANGEBYSCORE", key, "-inf", now - window)
  local used = call("ZCARD", key)
  local missing = used + needed - limit
  return used, missing <= 0 and 0 or wait_for(key, missing - 1, window, now) or window
end

-- { interval, when it will be empty }, both in microseconds.
local function gcra(key, charge, now)
  local empty_at = tonumber(call("GET", key) or 0)
  return math.ceil(charge[3] * 1000 / math.max(charge[2], 1)), math.max(empty_at, now * 1000)
end

local function room_in_gcra(key, charge, now, needed)
  local interval, empty_at = gcra(key, charge, now)
  local used = math.ceil((empty_at - now * 1000) / interval)
  if needed > charge[2] then
    return used, charge[3]
  end
  local over = empty_at + (needed - charge[2]) * interval - now * 1000
  return used, math.max(0, math.ceil(over / 1000))
end

local function room_in_distinct(key, charge, now)
  local limit, window = charge[2], charge[3]
  call("ZREMRANGEBYSCORE", key, "-inf", now - window)
  local used = call("ZCARD", key)
  local missing = used + 1 - limit
  if missing <= 0 or call("ZSCORE", key, charge[6]) then
    return used, 0
  end
  return used, wait_for(key, missing - 1, window, now) or window
end

local function room_in_running(key, charge, now, needed)
  call("ZREMRANGEBYSCORE", key, "-inf", now)
  local used = call("ZCARD", key)
  local missing = used + needed - charge[2]
  if missing <= 0 then
    return used, 0
  end
  return used, wait_for(key, missing - 1, 0, now) or wait_for(key, -1, 0, now) or 1
end

local function part_length(window)
  return math.ceil(window / PARTS)
end

local function lowest_part(window, now)
  return math.floor(now / part_length(window)) - PARTS
end

-- Forgets the parts that have left every window; answers what the others hold.
local function money_in(key, window, now)
  local held = call("HMGET", key, "sum", "lowest")
  if not held[1] then
    return 0
  end
  local sum, lowest = tonumber(held[1]), lowest_part(window, now)
  if tonumber(held[2]) >= lowest then
    return sum
  end
  local fields = call("HGETALL", key)
  for i = 1, #fields, 2 do
    local part = tonumber(fields[i])
    if part and part < lowest then
      sum = sum - fields[i + 1]
      call("HDEL", key, fields[i])
    end
  end
  call("HSET", key, "sum", sum, "lowest", lowest)
  return sum
end

local function room_in_money(key, charge, now)
  local window = charge[3]
  local used = money_in(key, window, now)
  local over = used + charge[4] - charge[2]
  if over <= 0 then
    return used, 0
  end
  local fields, parts, length = call("HGETALL", key), {}, part_length(window)
  for i = 1, #fields, 2 do
    if tonumber(fields[i]) then
      parts[#parts + 1] = { tonumber(fields[i]), tonumber(fields[i + 1]) }
    end
  end
  table.sort(parts, function(one, other)
    return one[1] < other[1]
  end)
  for _, part in ipairs(parts) do
    over = over - part[2]
    if over <= 0 then
      return used, (part[1] + PARTS + 1) * length - now
    end
  end
  return used, window
end

local room_in = { room_in_log, room_in_gcra, room_in_distinct, room_in_running, room_in_money }

-- Answers what is used so far, and in how long there is room for this charge; 0 when there is. An amount of 0 asks
-- for one more.
local function look(key, charge, now)
  return room_in[charge[1]](key, charge, now, math.max(1, charge[4]))
end

-- Never shortens what is left to it.
local function keep_for(key, milliseconds)
  if call("PTTL", key) < milliseconds + SLACK then
    call("PEXPIRE", key, milliseconds + SLACK)
  end
end

-- A guard and a limit that was lowered are spent beyond; of those, only the newest are kept.
local function trim(key, held, limit)
  if held > LARGEST and held > limit then
    call("ZREMRANGEBYRANK", key, 0, -1 - math.max(LARGEST, limit))
  end
end

local function spend_log(key, charge, at, used)
  local amount, serial, stamp = charge[4], used, whole(at)
  for _ = 1, amount do
    while call("ZADD", key, "NX", at, stamp .. "." .. serial) == 0 do
      serial = serial + 1
    end
  end
  trim(key, used + amount, charge[2])
end

local function spend_gcra(key, charge, at, used, now)
  local interval, empty_at = gcra(key, charge, at)
  empty_at = math.min(empty_at + charge[4] * interval, math.max(at, now) * 1000 + charge[2] * interval)
  call("SET", key, empty_at, "PX", math.max(0, math.ceil(empty_at / 1000) - now) + SLACK)
end

local function spend_distinct(key, charge, at, used)
  call("ZADD", key, "GT", at, charge[6])
  trim(key, used + 1, charge[2])
end

local function spend_running(key, charge, at, used, now, decision_id, lease_end)
  call("ZADD", key, "GT", lease_end, decision_id)
  trim(key, used + 1, charge[2])
  keep_for(key, lease_end - now)
  return "running"
end

local function spend_money(key, charge, at, used, now)
  local window, amount = charge[3], charge[4]
  local part = whole(math.floor(at / part_length(window)))
  call("HINCRBY", key, part, amount)
  call("HINCRBY", key, "sum", amount)
  call("HSETNX", key, "lowest", lowest_part(window, now))
  keep_for(key, at + (PARTS + 1) * part_length(window) - now)
  return part .. " " .. whole(amount)
end

local spend_by = { spend_log, spend_gcra, spend_distinct, spend_running, spend_money }

-- Counts a charge of which so much is `used`, as `look` said, at the time `at`. Answers what a note needs to give it
-- back, or nil.
local function spend(key, charge, at, used, now, decision_id, lease_end)
  local kind = charge[1]
  local note = spend_by[kind](key, charge, at, used, now, decision_id, lease_end)
  if kind == LOG or kind == DISTINCT then
    if at < now then
      keep_for(key, at + charge[3] - now)
    else
      call("PEXPIRE", key, charge[3] + SLACK)
    end
  end
  return note
end

-- The note of a decision: for each of its leases and sums, what giving it back needs.
local function note_down(note, notes, milliseconds)
  if #notes > 0 then
    call("HSET", note, unpack(notes))
    keep_for(note, milliseconds)
  end
end
