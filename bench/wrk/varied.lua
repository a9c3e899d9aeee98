-- The requests in a file, each up to its empty line, in turn: wrk -s varied.lua URL -- FILE
local requests, last = {}, 0

function init(args)
	local file = assert(io.open(args[1], "rb"))
	for one in file:read("*a"):gmatch("(.-\r\n)\r\n") do
		requests[#requests + 1] = one .. "\r\n"
	end
	file:close()
	assert(#requests > 0, "no request in " .. args[1])
end

function request()
	last = last % #requests + 1
	return requests[last]
end
