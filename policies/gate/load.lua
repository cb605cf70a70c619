-- Counts what the database let through, or remembers, of one decision. Doing it twice changes nothing: the note tells.
--
-- KEYS[1] its note   KEYS[2…] one counter per charge
-- ARGV[1] decision id   ARGV[2] when it was let through   ARGV[3] when its leases end, both in milliseconds
-- ARGV[4] charges, as JSON

local now = clock()
if call("EXISTS", KEYS[1]) == 1 then
  return 0
end
-- A clock that runs ahead of the store's own must not make a counter last for ever.
local at, lease_end, longest = math.min(tonumber(ARGV[2]), now), tonumber(ARGV[3]), 0
local notes = { "loaded", "" }
for i, charge in ipairs(cjson.decode(ARGV[4])) do
  local key, is_running = KEYS[1 + i], charge[1] == RUNNING
  local ends = is_running and lease_end or at + charge[3]
  if charge[4] > 0 and ends > now then
    local used = look(key, charge, now)
    local note = spend(key, charge, at, used, now, ARGV[1], lease_end)
    if note then
      notes[#notes + 1] = key
      notes[#notes + 1] = note
    end
    longest = math.max(longest, ends - now)
  end
end
if longest > 0 then
  note_down(KEYS[1], notes, longest)
end
return 1
