package main

import "strconv"

// A workload is a load that h2load can make.
type workload struct {
	name    string
	path    string // what is asked for
	size    int    // octets of body a request moves, either way
	tls     bool
	upload  bool // POST a body of size octets
	clients int  // connections
	streams int  // concurrent requests on each
	window  int  // bits of h2load's receive windows: 16 is 65535 octets, the default of RFC 9113
}

const (
	helloSize = 13
	kilo      = 1 << 10
	mega      = 1 << 20
)

var workloads = []workload{
	{name: "hello-h2c-c1-m100", path: "/bench/hello", size: helloSize, clients: 1, streams: 100, window: 30},
	{name: "hello-h2c-c100-m10", path: "/bench/hello", size: helloSize, clients: 100, streams: 10, window: 30},
	{name: "hello-h2c-c1000-m1", path: "/bench/hello", size: helloSize, clients: 1000, streams: 1, window: 30},
	{name: "hello-tls-c100-m10", path: "/bench/hello", size: helloSize, tls: true, clients: 100, streams: 10, window: 30},
	{name: "64k-h2c-c10-m10", path: "/bench/64k", size: 64 * kilo, clients: 10, streams: 10, window: 30},
	{name: "10m-h2c-c10-m1-w30", path: "/bench/10m", size: 10 * mega, clients: 10, streams: 1, window: 30},
	{name: "10m-h2c-c10-m1-w16", path: "/bench/10m", size: 10 * mega, clients: 10, streams: 1, window: 16},
	{name: "10m-tls-c10-m1-w30", path: "/bench/10m", size: 10 * mega, tls: true, clients: 10, streams: 1, window: 30},
	{name: "10m-tls-c10-m1-w16", path: "/bench/10m", size: 10 * mega, tls: true, clients: 10, streams: 1, window: 16},
	{name: "upload-64k-h2c-c10-m10", path: "/bench/upload", size: 64 * kilo, upload: true, clients: 10, streams: 10, window: 30},
}

// perMB reports whether figures are given by the MB (10^6 octets of body)
// and not by the request.
func (w workload) perMB() bool { return w.size > kilo }

// args returns h2load's arguments for n requests to a server at port.
func (w workload) args(g *ground, port, n int) []string {
	args := []string{
		"-t1",
		"-n", strconv.Itoa(n),
		"-c", strconv.Itoa(w.clients),
		"-m", strconv.Itoa(w.streams),
		"-w", strconv.Itoa(w.window),
		"-W", strconv.Itoa(w.window),
	}
	if w.upload {
		args = append(args, "-d", g.upload)
	}
	if w.tls {
		// One cipher, so that all servers do the same work.
		args = append(args, "--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--ciphers=ECDHE-ECDSA-AES128-GCM-SHA256")
	}
	return append(args, w.url(port))
}

func (w workload) url(port int) string {
	scheme := "http"
	if w.tls {
		scheme = "https"
	}
	return scheme + "://127.0.0.1:" + strconv.Itoa(port) + w.path
}
