package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

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

// readH2loadLog returns the median and the 99th percentile of the times in a
// file that h2load --log-file has written: start, status, microseconds.
func readH2loadLog(name string) (p50, p99 time.Duration, err error) {
	log, err := os.ReadFile(name)
	if err != nil {
		return 0, 0, err
	}
	var times []int
	for line := range strings.Lines(string(log)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			return 0, 0, fmt.Errorf("%s: %q", name, line)
		}
		us, err := strconv.Atoi(fields[2])
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", name, err)
		}
		times = append(times, us)
	}
	if len(times) == 0 {
		return 0, 0, fmt.Errorf("%s: no request", name)
	}
	slices.Sort(times)
	at := func(part float64) time.Duration {
		return time.Duration(times[int(part*float64(len(times)-1))]) * time.Microsecond
	}
	return at(0.5), at(0.99), nil
}
