-- What all scripts share: how a counter is looked at and how it is spent, by measure, as `policies.engine.windows` says.
-- Put in front of each of them.
--
-- Times are milliseconds of the store's own clock. It may step back a little: what was counted "later than now" stays
-- counted, and counters are kept a little longer than they are needed. A counter is never larger than its limit, or
-- than LARGEST where it is spent beyond.
--
-- A charge is { kind, limit, window, amount, flags, member }. Its counter's key carries kind and window, so a counter
-- is never read as another kind.

local SLACK = 60000 -- that a counter outlives its use
local LARGEST = 1000
local PARTS = 24 -- of a window of money; the one that it only touches counts whole
local LOG, GCRA, DISTINCT, RUNNING, MONEY = 1, 2, 3, 4, 5

local function clock()
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lua itself would write a large number with 14 digits.
local function whole(number)
  return string.format("%.0f", number)
end

-- How long until the member of this rank leaves a sorted set, whose scores are `ahead` short of that time.
local function wait_for(key, rank, ahead, now)
  local leaving = redis.call("ZRANGE", key, rank, rank, "WITHSCORES")[2]
  return leaving and leaving + ahead - now
end

local function room_in_log(key, charge, now, needed)
  local limit, window = charge[2], charge[3]
  redis.call("ZREMRANGEBYSCORE", key, "-inf", whole(now - window))
  local used = redis.call("ZCARD", key)
  local missing = used + needed - limit
  return used, missing <= 0 and 0 or wait_for(key, missing - 1, window, now) or window
end

-- { interval, when it will be empty }, both in microseconds.
local function gcra(key, charge, now)
  local empty_at = tonumber(redis.call("GET", key) or 0)
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
  redis.call("ZREMRANGEBYSCORE", key, "-inf", whole(now - window))
  local used = redis.call("ZCARD", key)
  local missing = used + 1 - limit
  if missing <= 0 or redis.call("ZSCORE", key, charge[6]) then
    return used, 0
  end
  return used, wait_for(key, missing - 1, window, now) or window
end

local function room_in_running(key, charge, now, needed)
  redis.call("ZREMRANGEBYSCORE", key, "-inf", whole(now))
  local used = redis.call("ZCARD", key)
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
  local held = redis.call("HMGET", key, "sum", "lowest")
  if not held[1] then
    return 0
  end
  local sum, lowest = tonumber(held[1]), lowest_part(window, now)
  if tonumber(held[2]) >= lowest then
    return sum
  end
  local fields = redis.call("HGETALL", key)
  for i = 1, #fields, 2 do
    local part = tonumber(fields[i])
    if part and part < lowest then
      sum = sum - fields[i + 1]
      redis.call("HDEL", key, fields[i])
    end
  end
  redis.call("HSET", key, "sum", whole(sum), "lowest", whole(lowest))
  return sum
end

local function room_in_money(key, charge, now)
  local window = charge[3]
  local used = money_in(key, window, now)
  local over = used + charge[4] - charge[2]
  if over <= 0 then
    return used, 0
  end
  local fields, parts, length = redis.call("HGETALL", key), {}, part_length(window)
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

local function keep_for(key, milliseconds)
  if redis.call("PTTL", key) < milliseconds then
    redis.call("PEXPIRE", key, whole(milliseconds + SLACK))
  end
end

-- A guard and a limit that was lowered are spent beyond; of those, only the newest are kept.
local function trim(key, limit)
  redis.call("ZREMRANGEBYRANK", key, 0, -1 - math.max(LARGEST, limit))
end

-- Counts a charge at the time `at`. Answers what a note needs to give it back, or nil.
local function spend(key, charge, at, now, decision_id, lease_end)
  local kind, limit, window, amount = charge[1], charge[2], charge[3], charge[4]
  if kind == LOG then
    local serial = redis.call("ZCARD", key)
    for _ = 1, amount do
      while redis.call("ZADD", key, "NX", whole(at), whole(at) .. "." .. serial) == 0 do
        serial = serial + 1
      end
    end
    trim(key, limit)
    keep_for(key, at + window - now)
  elseif kind == GCRA then
    local interval, empty_at = gcra(key, charge, at)
    empty_at = math.min(empty_at + amount * interval, math.max(at, now) * 1000 + limit * interval)
    local kept = math.ceil(empty_at / 1000) - now
    redis.call("SET", key, whole(empty_at), "PX", whole(math.max(0, kept) + SLACK))
  elseif kind == DISTINCT then
    redis.call("ZADD", key, "GT", whole(at), charge[6])
    trim(key, limit)
    keep_for(key, at + window - now)
  elseif kind == RUNNING then
    redis.call("ZADD", key, "GT", whole(lease_end), decision_id)
    trim(key, limit)
    keep_for(key, lease_end - now)
    return "running"
  else
    money_in(key, window, now)
    local length = part_length(window)
    local part = whole(math.floor(at / length))
    redis.call("HINCRBY", key, part, whole(amount))
    redis.call("HINCRBY", key, "sum", whole(amount))
    redis.call("HSETNX", key, "lowest", whole(lowest_part(window, now)))
    keep_for(key, at + (PARTS + 1) * length - now)
    return part .. " " .. whole(amount)
  end
  return nil
end

-- The note of a decision: for each of its leases and sums, what giving it back needs.
local function note_down(note, notes, milliseconds)
  if #notes > 0 then
    redis.call("HSET", note, unpack(notes))
    keep_for(note, milliseconds)
  end
end
