-- The contents of a file as the body of each request: wrk -s post.lua URL -- FILE
function init(args)
	local file = assert(io.open(args[1], "rb"))
	wrk.method = "POST"
	wrk.body = file:read("*a")
	wrk.headers["Content-Type"] = "application/octet-stream"
	file:close()
	one = wrk.format()
end

function request()
	return one
end
