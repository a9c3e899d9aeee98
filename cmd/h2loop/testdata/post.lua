wrk.method = "POST"
wrk.path = "/bench/upload"
wrk.body = string.rep("x", 10000)
