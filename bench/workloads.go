package main

import (
	"fmt"
	"slices"
	"strconv"
)

// A workload is a load that one of the tools can make.
type workload struct {
	name     string
	tool     tool   // h2load if none is named
	path     string // what is asked for
	size     int    // octets of body a request moves, either way
	tls      bool
	http1    bool   // HTTP/1.1, and not HTTP/2
	upload   bool   // POST a body of size octets
	varied   bool   // ask for what is in varied.go, and not for path alone
	clients  int    // connections
	streams  int    // concurrent requests on each
	window   int    // bits of h2load's receive windows: 16 is 65535 octets, the default of RFC 9113
	rate     int    // requests a second on each connection; 0 for as many as can be
	pipeline int    // requests in one batch of wrk
	mode     string // of our own client: see client/main.go
}

// A tool is a program that makes load.
type tool string

const (
	toolH2load tool = "h2load"
	toolWrk    tool = "wrk"
	toolWrk2   tool = "wrk2"
	toolClient tool = "client" // bench/client
)

const (
	helloSize = 13
	kilo      = 1 << 10
	mega      = 1 << 20

	idleConnections = 10_000
	idleWidth       = 100 // of them are made at a time
)

var workloads = slices.Concat(http2Workloads, http1Workloads, rateWorkloads, connectionWorkloads)

var http2Workloads = []workload{
	{name: "hello-h2c-c1-m1", path: "/bench/hello", size: helloSize, clients: 1, streams: 1, window: 30},
	{name: "hello-h2c-c1-m100", path: "/bench/hello", size: helloSize, clients: 1, streams: 100, window: 30},
	{name: "hello-h2c-c100-m10", path: "/bench/hello", size: helloSize, clients: 100, streams: 10, window: 30},
	{name: "hello-h2c-c1000-m1", path: "/bench/hello", size: helloSize, clients: 1000, streams: 1, window: 30},
	{name: "hello-tls-c1-m100", path: "/bench/hello", size: helloSize, tls: true, clients: 1, streams: 100, window: 30},
	{name: "hello-tls-c100-m10", path: "/bench/hello", size: helloSize, tls: true, clients: 100, streams: 10, window: 30},
	{name: "varied-h2c-c100-m10", path: variedPath, size: helloSize, varied: true, clients: 100, streams: 10, window: 30},
	{name: "varied-tls-c100-m10", path: variedPath, size: helloSize, tls: true, varied: true, clients: 100, streams: 10, window: 30},
	{name: "1k-h2c-c10-m10", path: "/bench/1k", size: kilo, clients: 10, streams: 10, window: 30},
	{name: "1k-tls-c10-m10", path: "/bench/1k", size: kilo, tls: true, clients: 10, streams: 10, window: 30},
	{name: "64k-h2c-c10-m10", path: "/bench/64k", size: 64 * kilo, clients: 10, streams: 10, window: 30},
	{name: "64k-tls-c10-m10", path: "/bench/64k", size: 64 * kilo, tls: true, clients: 10, streams: 10, window: 30},
	{name: "10m-h2c-c10-m1-w30", path: "/bench/10m", size: 10 * mega, clients: 10, streams: 1, window: 30},
	{name: "10m-h2c-c10-m1-w16", path: "/bench/10m", size: 10 * mega, clients: 10, streams: 1, window: 16},
	{name: "10m-tls-c10-m1-w30", path: "/bench/10m", size: 10 * mega, tls: true, clients: 10, streams: 1, window: 30},
	{name: "10m-tls-c10-m1-w16", path: "/bench/10m", size: 10 * mega, tls: true, clients: 10, streams: 1, window: 16},
	{name: "upload-64k-h2c-c10-m10", path: "/bench/upload", size: 64 * kilo, upload: true, clients: 10, streams: 10, window: 30},
	{name: "upload-64k-tls-c10-m10", path: "/bench/upload", size: 64 * kilo, tls: true, upload: true, clients: 10, streams: 10, window: 30},
}

var http1Workloads = []workload{
	{name: "hello-h1-c100", tool: toolWrk, path: "/bench/hello", size: helloSize, http1: true, clients: 100, streams: 1},
	{name: "hello-h1-tls-c100", tool: toolWrk, path: "/bench/hello", size: helloSize, http1: true, tls: true, clients: 100, streams: 1},
	{name: "hello-h1-c100-p16", tool: toolWrk, path: "/bench/hello", size: helloSize, http1: true, clients: 100, streams: 1, pipeline: 16},
	{name: "hello-h1-tls-c100-p16", tool: toolWrk, path: "/bench/hello", size: helloSize, http1: true, tls: true, clients: 100, streams: 1, pipeline: 16},
	{name: "varied-h1-c100", tool: toolWrk, path: variedPath, size: helloSize, http1: true, varied: true, clients: 100, streams: 1},
	{name: "varied-h1-tls-c100", tool: toolWrk, path: variedPath, size: helloSize, http1: true, tls: true, varied: true, clients: 100, streams: 1},
	{name: "post-1k-h1-c100", tool: toolWrk, path: "/bench/upload", size: kilo, http1: true, upload: true, clients: 100, streams: 1},
	{name: "post-1k-h1-tls-c100", tool: toolWrk, path: "/bench/upload", size: kilo, http1: true, tls: true, upload: true, clients: 100, streams: 1},
	{name: "64k-h1-c10", tool: toolWrk, path: "/bench/64k", size: 64 * kilo, http1: true, clients: 10, streams: 1},
	{name: "64k-h1-tls-c10", tool: toolWrk, path: "/bench/64k", size: 64 * kilo, http1: true, tls: true, clients: 10, streams: 1},
	{name: "10m-h1-c10", tool: toolWrk, path: "/bench/10m", size: 10 * mega, http1: true, clients: 10, streams: 1},
	{name: "10m-h1-tls-c10", tool: toolWrk, path: "/bench/10m", size: 10 * mega, http1: true, tls: true, clients: 10, streams: 1},
}

// Latency at a rate that every server can keep up with.
var rateWorkloads = []workload{
	{name: "rate-10k-h2c-c100", path: "/bench/hello", size: helloSize, clients: 100, streams: 10, window: 30, rate: 100},
	{name: "rate-10k-tls-c100", path: "/bench/hello", size: helloSize, tls: true, clients: 100, streams: 10, window: 30, rate: 100},
	{name: "rate-10k-h1-c100", tool: toolWrk2, path: "/bench/hello", size: helloSize, http1: true, clients: 100, streams: 1, rate: 100},
}

// A connection for each request, and connections without any.
var connectionWorkloads = []workload{
	{name: "connect-h2c", tool: toolClient, mode: "full", path: "/bench/hello", size: helloSize, clients: 16, streams: 1},
	{name: "connect-tls-full", tool: toolClient, mode: "full", path: "/bench/hello", size: helloSize, tls: true, clients: 16, streams: 1},
	{name: "connect-tls-resumed", tool: toolClient, mode: "resumed", path: "/bench/hello", size: helloSize, tls: true, clients: 16, streams: 1},
	{name: "idle-h2c", tool: toolClient, mode: "idle", path: "/bench/hello", size: helloSize, clients: idleConnections, streams: 1},
	{name: "idle-tls", tool: toolClient, mode: "idle", path: "/bench/hello", size: helloSize, tls: true, clients: idleConnections, streams: 1},
	{name: "idle-upload-tls", tool: toolClient, mode: "idle", path: "/bench/upload", size: 16 * kilo, tls: true, upload: true, clients: idleConnections, streams: 1},
}

// perMB reports whether figures are given by the MB (10^6 octets of body)
// and not by the request.
func (w workload) perMB() bool { return w.size > kilo && w.mode == "" }

// unit is what figures are given by.
func (w workload) unit() string {
	switch {
	case w.mode != "":
		return "connection"
	case w.perMB():
		return "MB"
	default:
		return "request"
	}
}

// isIdle reports whether what counts is the memory of idle connections.
func (w workload) isIdle() bool { return w.mode == "idle" }

// madeBy returns the tool that makes the load.
func (w workload) madeBy() tool {
	if w.tool == "" {
		return toolH2load
	}
	return w.tool
}

// isTimed reports whether a run is bounded by seconds, and not by requests.
func (w workload) isTimed() bool {
	return w.madeBy() == toolWrk || w.madeBy() == toolWrk2 || w.rate > 0
}

// args returns the tool's arguments for a run of n requests (or of n seconds,
// if it is timed) on a server at port.
func (w workload) args(g *ground, port, n int) []string {
	switch w.madeBy() {
	case toolWrk, toolWrk2:
		return w.wrkArgs(g, port, n)
	case toolClient:
		width := w.clients
		if w.isIdle() {
			width = idleWidth
		}
		args := []string{"-mode", w.mode, "-n", strconv.Itoa(n), "-c", strconv.Itoa(width)}
		if w.upload {
			args = append(args, "-body", strconv.Itoa(w.size))
		}
		return append(args, w.url(port))
	default:
		return w.h2loadArgs(g, port, n)
	}
}

func (w workload) h2loadArgs(g *ground, port, n int) []string {
	args := []string{
		"-t1",
		"-c", strconv.Itoa(w.clients),
		"-m", strconv.Itoa(w.streams),
	}
	if w.http1 {
		args = append(args, "--h1")
	} else {
		args = append(args, "-w", strconv.Itoa(w.window), "-W", strconv.Itoa(w.window))
	}
	if w.rate > 0 {
		args = append(args, "-D", strconv.Itoa(n), "--rps", strconv.Itoa(w.rate), "--log-file", g.h2loadLog)
	} else {
		args = append(args, "-n", strconv.Itoa(n))
	}
	if w.upload {
		args = append(args, "-d", g.body(w.size))
	}
	if w.tls {
		// One cipher, so that all servers do the same work.
		args = append(args, "--tls13-ciphers="+onlyCipher, "--ciphers=ECDHE-ECDSA-AES128-GCM-SHA256")
	}
	if w.varied {
		for _, f := range variedFields[0] {
			args = append(args, "-H", f.name+": "+f.value)
		}
		return append(args, "-B", w.origin(port), "-i", g.variedURLs)
	}
	return append(args, w.url(port))
}

func (w workload) wrkArgs(g *ground, port, seconds int) []string {
	args := []string{"-t1", "-c", strconv.Itoa(w.clients), "-d", fmt.Sprint(seconds, "s"), "--timeout", "10s", "--latency"}
	if w.rate > 0 {
		args = append(args, "-R", strconv.Itoa(w.rate*w.clients))
	}
	switch {
	case w.pipeline > 0:
		return append(args, "-s", g.lua("pipeline"), w.url(port), "--", strconv.Itoa(w.pipeline))
	case w.upload:
		return append(args, "-s", g.lua("post"), w.url(port), "--", g.body(w.size))
	case w.varied:
		return append(args, "-s", g.lua("varied"), w.url(port), "--", g.variedRequests)
	default:
		return append(args, w.url(port))
	}
}

func (w workload) origin(port int) string {
	scheme := "http"
	if w.tls {
		scheme = "https"
	}
	return scheme + "://127.0.0.1:" + strconv.Itoa(port)
}

func (w workload) url(port int) string { return w.origin(port) + w.path }
