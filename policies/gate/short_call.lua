-- One more short call of an inbound caller.
--
-- KEYS[1] its counter   ARGV[1] the charge, as JSON in a list

local now, charge = clock(), cjson.decode(ARGV[1])[1]
spend(KEYS[1], charge, now, look(KEYS[1], charge, now), now)
return 1
