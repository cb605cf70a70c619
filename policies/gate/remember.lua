-- One round trip of a decision: is the snapshot it was made from still the newest, was this attempt
-- answered before, and if neither, record it.
--
-- KEYS[1] version of the workspace's snapshot     KEYS[2] earlier answer     KEYS[3] undrained decisions
-- ARGV[1] version the decision was made from, "" to record it whatever the newest is
-- ARGV[2] the decision, encoded     ARGV[3] the answer, encoded     ARGV[4] "id" or "pair"
-- ARGV[5] seconds an answer is kept
-- ARGV[6] most retries of a pair     ARGV[7] least milliseconds between two deliveries of a pair
--
-- Answers {"unknown"} (the store was emptied) · {"stale"} · {"repeated", answer} · {"recorded"}.
-- All three keys carry the same {hash tag}, so that a cluster keeps them together.

if ARGV[1] ~= "" then
  local version = redis.call("GET", KEYS[1])
  if not version then
    return { "unknown" }
  end
  if version ~= ARGV[1] then
    return { "stale" }
  end
end

local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local earlier = redis.call("HMGET", KEYS[2], "answer", "at", "retries")
if earlier[1] then
  if ARGV[4] == "id" then
    return { "repeated", earlier[1] }
  end
  -- Without an id, two calls of the same pair look like one call and its retry. A provider's retry comes
  -- no sooner than it waits, and no more often than it says; anything else is a new call.
  local waited, retries = now - tonumber(earlier[2]), tonumber(earlier[3])
  if waited >= tonumber(ARGV[7]) and retries < tonumber(ARGV[6]) then
    redis.call("HSET", KEYS[2], "at", now, "retries", retries + 1)
    return { "repeated", earlier[1] }
  end
end

redis.call("DEL", KEYS[2])
redis.call("HSET", KEYS[2], "answer", ARGV[3], "at", now, "retries", 0)
redis.call("EXPIRE", KEYS[2], ARGV[5])
redis.call("XADD", KEYS[3], "*", "decision", ARGV[2])
return { "recorded" }
