package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// A loadResult is what h2load reports of a run.
type loadResult struct {
	Elapsed   time.Duration
	PerSecond float64 // requests
	Total     int     // requests asked for
	Succeeded int     // answered, with a status below 400
	OK        int     // answered with 2xx
	Data      int64   // octets of DATA payload received
	TLS       string  // protocol and cipher; "" without TLS
}

// failed returns the number of requests that did not end in a 2xx.
func (r loadResult) failed() int { return r.Total - min(r.Succeeded, r.OK) }

var (
	finishedLine = regexp.MustCompile(`(?m)^finished in ([0-9.]+)(us|ms|s|m|h), ([0-9.]+) req/s`)
	requestsLine = regexp.MustCompile(`(?m)^requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded`)
	statusLine   = regexp.MustCompile(`(?m)^status codes: (\d+) 2xx`)
	trafficLine  = regexp.MustCompile(`(?m)^traffic: .*\((\d+)\) data$`)
	protocolLine = regexp.MustCompile(`(?m)^TLS Protocol: (.*)$`)
	cipherLine   = regexp.MustCompile(`(?m)^Cipher: (.*)$`)
)

// parseH2load decodes the standard output of h2load 1.52.
func parseH2load(out string) (loadResult, error) {
	finished := finishedLine.FindStringSubmatch(out)
	requests := requestsLine.FindStringSubmatch(out)
	status := statusLine.FindStringSubmatch(out)
	traffic := trafficLine.FindStringSubmatch(out)
	if finished == nil || requests == nil || status == nil || traffic == nil {
		return loadResult{}, fmt.Errorf("h2load did not report a finished run: %q", out[max(0, len(out)-500):])
	}
	var r loadResult
	var errs [6]error
	r.Elapsed, errs[0] = time.ParseDuration(finished[1] + finished[2])
	r.PerSecond, errs[1] = strconv.ParseFloat(finished[3], 64)
	r.Total, errs[2] = strconv.Atoi(requests[1])
	r.Succeeded, errs[3] = strconv.Atoi(requests[2])
	r.OK, errs[4] = strconv.Atoi(status[1])
	r.Data, errs[5] = strconv.ParseInt(traffic[1], 10, 64)
	if protocol, cipher := protocolLine.FindStringSubmatch(out), cipherLine.FindStringSubmatch(out); protocol != nil && cipher != nil {
		r.TLS = protocol[1] + " " + cipher[1]
	}
	return r, errors.Join(errs[:]...)
}

// runH2load runs h2load on core 1, for limit at most.
//
// It must be called from the main goroutine: see main.
func runH2load(ctx context.Context, args []string, limit time.Duration) (loadResult, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	argv := pinned(loadCore, append([]string{"h2load"}, args...))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var stdout bytes.Buffer
	stderr := &tail{}
	cmd.Stdout = &stdout
	cmd.Stderr = stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return loadResult{}, fmt.Errorf("h2load was ended: %w", context.Cause(ctx))
	}
	if err != nil {
		return loadResult{}, fmt.Errorf("h2load: %w: %s", err, stderr.b)
	}
	return parseH2load(stdout.String())
}
