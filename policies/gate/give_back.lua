-- An attempt is over, or never happened: ends its leases and corrects what it cost. May be told again, and better.
--
-- KEYS[1] its note   KEYS[2…] the counters that the note names
-- ARGV[1] decision id   ARGV[2] what it did cost, in micro-dollars; "" where nobody knows

for i = 2, #KEYS do
  local key = KEYS[i]
  local note = call("HGET", KEYS[1], key)
  if note == "running" then
    call("ZREM", key, ARGV[1])
    call("HDEL", KEYS[1], key)
  elseif note and ARGV[2] ~= "" then
    local bucket, amount = string.match(note, "^(%S+) (%S+)$")
    local held = call("HGET", key, "lowest")
    -- What has left the window already is not taken out of it once more.
    if held and tonumber(bucket) >= tonumber(held) then
      local change = whole(ARGV[2] - amount)
      call("HINCRBY", key, bucket, change)
      call("HINCRBY", key, "sum", change)
      call("HSET", KEYS[1], key, bucket .. " " .. ARGV[2])
    end
  end
end
return 1
