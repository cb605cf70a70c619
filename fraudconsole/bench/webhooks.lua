-- For wrk: sends each signed webhook of a file once, "signature<TAB>body" per line, and says as one line of JSON
-- what came of it. One thread only, so that none is sent twice.

local requests, next_request = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local tab = line:find("\t", 1, true)
    local headers = { ["Content-Type"] = "application/json", ["X-UponAI-Signature"] = line:sub(1, tab - 1) }
    requests[#requests + 1] = wrk.format("POST", nil, headers, line:sub(tab + 1))
  end
end

function request()
  next_request = next_request + 1
  return requests[(next_request - 1) % #requests + 1]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"answers":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
