-- One more short call of an inbound caller.
--
-- KEYS[1] its counter   ARGV[1] the charge, as JSON

local now = clock()
spend(KEYS[1], cjson.decode(ARGV[1]), now, now, "", 0)
return 1
