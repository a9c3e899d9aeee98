-- Requests in batches of so many: wrk -s pipeline.lua URL -- 16
function init(args)
	local one = wrk.format()
	local all = {}
	for i = 1, tonumber(args[1]) do
		all[i] = one
	end
	batch = table.concat(all)
end

function request()
	return batch
end
