package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A loadResult is what a tool reports of a run.
type loadResult struct {
	Elapsed   time.Duration
	PerSecond float64 // requests
	Total     int     // requests asked for
	Succeeded int     // answered, with a status below 400
	OK        int     // answered with 2xx
	Data      int64   // octets of body received; with wrk, heads too
	TLS       string  // protocol and cipher; "" without TLS
	P50, P99  time.Duration
	ToolCPU   time.Duration // what the tool itself has used
}

// failed returns the number of requests that did not end in a 2xx.
func (r loadResult) failed() int { return r.Total - min(r.Succeeded, r.OK) }

// runTool makes the load of w once: n requests, or n seconds if it is timed.
//
// It must be called from the main goroutine: see main.
func runTool(ctx context.Context, g *ground, w workload, port, n int, limit time.Duration) (r loadResult, err error) {
	name := string(w.madeBy())
	if w.madeBy() == toolClient {
		name = g.client()
	}
	if w.madeBy() == toolH2load && w.rate > 0 {
		_ = os.Remove(g.h2loadLog) // h2load appends to it
	}
	out, cpu, err := output(ctx, g, name, w.args(g, port, n), limit)
	if err != nil {
		return r, err
	}
	switch w.madeBy() {
	case toolWrk, toolWrk2:
		r, err = parseWrk(out)
		if w.tls {
			r.TLS = "TLSv1.3 " + onlyCipher // what ground.openssl lets it offer
		}
	case toolClient:
		r, err = parseClient(out)
	default:
		r, err = parseH2load(out)
		if err == nil && w.rate > 0 {
			r.P50, r.P99, err = readH2loadLog(g.h2loadLog)
		}
	}
	r.ToolCPU = cpu
	return r, err
}

// output runs a tool on core 1, for limit at most, and returns what it prints and
// the CPU time that it takes.
func output(ctx context.Context, g *ground, name string, args []string, limit time.Duration) (string, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	argv := pinned(loadCore, append([]string{name}, args...))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "OPENSSL_CONF="+g.openssl, "GOMAXPROCS=1")
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var stdout bytes.Buffer
	stderr := &tail{}
	cmd.Stdout = &stdout
	cmd.Stderr = stderr
	err := cmd.Run()
	name = filepath.Base(name)
	if ctx.Err() != nil {
		return "", 0, fmt.Errorf("%s was ended: %w", name, context.Cause(ctx))
	}
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w: %s", name, err, stderr.b)
	}
	return stdout.String(), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// missing returns why the tool of w cannot run here.
func (w workload) missing() error {
	if w.madeBy() == toolClient {
		return nil // main builds it
	}
	_, err := exec.LookPath(string(w.madeBy()))
	return err
}
