-- Sixteen requests at a time.
init = function()
  local all = {}
  for i = 1, 16 do
    all[i] = wrk.format("GET", "/bench/hello")
  end
  requests = table.concat(all)
end

request = function()
  return requests
end
