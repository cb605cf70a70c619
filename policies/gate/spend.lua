-- One round trip of a decision: is the snapshot it was made from still the newest, was this attempt answered before,
-- is there room in every counter it is held against; and if so, spend them all and record it.
--
-- KEYS[1] version of the workspace's snapshot   KEYS[2] earlier answer   KEYS[3] undrained decisions
-- KEYS[4] what is known of the counters themselves   KEYS[5] known prefixes   KEYS[6] note for giving back
-- KEYS[7…] one counter per charge
-- ARGV[1] "record", "spend" (record nothing), or "look" (change nothing)
-- ARGV[2] version the decision was made from, "" for whatever the newest is
-- ARGV[3] the decision   ARGV[4] its answer   ARGV[5] the answer when a limit is exceeded, ARGV[6] when one guards
-- ARGV[7] "id", "pair" or "" (not to be found again)   ARGV[8] seconds an answer is kept
-- ARGV[9] most retries of a pair   ARGV[10] least time between two deliveries of a pair
-- ARGV[11] decision id   ARGV[12] length of its leases
-- ARGV[13] prefix of the destination   ARGV[14] "1": it is known anyway   ARGV[15] how long until a prefix is known
-- ARGV[16] "1": must not be counted by counters that were lost
-- ARGV[17] charges, as JSON
--
-- Times are in milliseconds where nothing else is said.
--
-- Answers { outcome, answer, known, usages, has_room, undrained, clock }: "unknown" (the store was emptied) · "stale" ·
-- "repeated" · "limited" · "recorded". Usages: used, wait in milliseconds and whether it counted, for each charge, all
-- in one line.
-- All keys carry the same {hash tag}, so that a cluster keeps them together.

local mode, looking = ARGV[1], ARGV[1] == "look"

if ARGV[2] ~= "" then
  local version = call("GET", KEYS[1])
  if not version then
    return { "unknown" }
  end
  if version ~= ARGV[2] then
    return { "stale" }
  end
end

local now = clock()

-- Lost counters: short windows are full for a while, and all of them until the last row of the time before is written.
local short_until, all_until = 0, 0
if ARGV[16] ~= "" then
  local counters = call("HMGET", KEYS[4], "ready", "short", "all")
  if not looking and (not counters[1] or (counters[3] and now >= tonumber(counters[3]))) then
    return { "unknown" }
  end
  short_until, all_until = tonumber(counters[2] or 0), tonumber(counters[3] or 0)
end

local by_id, by_pair = ARGV[7] == "id", ARGV[7] == "pair"
if by_id then
  local earlier = call("GET", KEYS[2])
  if earlier then
    return { "repeated", earlier }
  end
elseif by_pair then
  -- Without an id, two calls of the same pair look like one call and its retry. A provider's retry comes
  -- no sooner than it waits, and no more often than it says; anything else is a new call.
  local earlier = call("HMGET", KEYS[2], "answer", "at", "retries")
  if earlier[1] then
    local waited, retries = now - earlier[2], tonumber(earlier[3])
    if waited >= tonumber(ARGV[10]) and retries < tonumber(ARGV[9]) then
      call("HSET", KEYS[2], "at", now, "retries", retries + 1)
      return { "repeated", earlier[1] }
    end
  end
end

local known = ARGV[14] ~= ""
if not known and ARGV[13] ~= "" then
  local first = call("ZSCORE", KEYS[5], ARGV[13])
  known = first and tonumber(first) <= now - tonumber(ARGV[15])
end

local charges = ARGV[17] ~= "" and cjson.decode(ARGV[17]) or {}
local used, told, limited, guarded, has_room = {}, {}, false, false, 1
for i, charge in ipairs(charges) do
  local flags = charge[5]
  if known and string.find(flags, "n", 1, true) then
    charge[4] = 0
    told[i] = "0,0,0"
  else
    local wait
    used[i], wait = look(KEYS[6 + i], charge, now)
    if all_until > now or short_until > now then
      local is_short, inbound = string.find(flags, "s", 1, true), string.find(flags, "i", 1, true)
      local full_until = inbound and 0 or is_short and math.max(all_until, short_until) or all_until
      wait = math.max(wait, full_until - now)
    end
    if wait > 0 then
      has_room = 0
      local observed, guards = string.find(flags, "o", 1, true), string.find(flags, "g", 1, true)
      guarded = guarded or (guards and not observed)
      limited = limited or not (guards or observed)
      if observed and not guards then
        charge[4] = 0 -- not spent, as it would not be were it enforced
      end
    end
    told[i] = used[i] .. "," .. wait .. ",1"
  end
end
local usages = table.concat(told, ",")
known = known and 1 or 0
if looking then
  return { "recorded", "", known, usages, has_room, 0, whole(now) }
end

-- Its answer was lost on the way, and it asks again.
if ARGV[16] ~= "" and call("EXISTS", KEYS[6]) == 1 then
  limited = false
elseif not limited then
  local notes, longest, lease_end = {}, 0, now + ARGV[12]
  for i, charge in ipairs(charges) do
    if charge[4] > 0 then
      local note = spend(KEYS[6 + i], charge, now, used[i], now, ARGV[11], lease_end)
      if note then
        notes[#notes + 1] = KEYS[6 + i]
        notes[#notes + 1] = note
        longest = math.max(longest, charge[3], tonumber(ARGV[12]))
      end
    end
  end
  note_down(KEYS[6], notes, longest)
end

local answer = limited and ARGV[5] or guarded and ARGV[6] or ARGV[4]
local undrained = 0
if by_id then
  call("SET", KEYS[2], answer, "EX", ARGV[8])
elseif by_pair then
  call("HSET", KEYS[2], "answer", answer, "at", now, "retries", 0)
  call("EXPIRE", KEYS[2], ARGV[8])
end
if mode == "record" then
  call("XADD", KEYS[3], "*", "decision", ARGV[3], "usages", usages)
  undrained = call("XLEN", KEYS[3])
end
return { limited and "limited" or "recorded", answer, known, usages, has_room, undrained, whole(now) }
