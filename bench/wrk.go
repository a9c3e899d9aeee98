package main

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

var (
	wrkTotal   = regexp.MustCompile(`(?m)^ +(\d+) requests in ([0-9.]+)(us|ms|s|m|h), ([0-9.]+)([KMGTP]?)B read$`)
	wrkRate    = regexp.MustCompile(`(?m)^Requests/sec: +([0-9.]+)$`)
	wrkErrors  = regexp.MustCompile(`(?m)^ +Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)$`)
	wrkStatus  = regexp.MustCompile(`(?m)^ +Non-2xx or 3xx responses: (\d+)$`)
	wrkLatency = regexp.MustCompile(`(?m)^ +(50|99)(?:\.000)?% +([0-9.]+)(us|ms|s|m|h) *$`)
)

// parseWrk decodes the standard output of wrk 4.1 and of wrk2, with --latency.
//
// Answers that were on their way when the time was over are in no figure.
// A status of 3xx passes for success.
func parseWrk(out string) (loadResult, error) {
	total := wrkTotal.FindStringSubmatch(out)
	rate := wrkRate.FindStringSubmatch(out)
	if total == nil || rate == nil {
		return loadResult{}, fmt.Errorf("wrk did not report a finished run: %q", out[max(0, len(out)-500):])
	}
	var r loadResult
	var errs [4]error
	r.Total, errs[0] = strconv.Atoi(total[1])
	r.Elapsed, errs[1] = time.ParseDuration(total[2] + total[3])
	r.PerSecond, errs[2] = strconv.ParseFloat(rate[1], 64)
	data, err := strconv.ParseFloat(total[4], 64)
	errs[3] = err
	power := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50}[total[5]]
	r.Data = int64(math.Ldexp(data, power))
	r.OK = r.Total
	if m := wrkStatus.FindStringSubmatch(out); m != nil {
		bad, err := strconv.Atoi(m[1])
		errs[0] = errors.Join(errs[0], err)
		r.OK -= bad
	}
	r.Succeeded = r.OK
	if m := wrkErrors.FindStringSubmatch(out); m != nil {
		for _, count := range m[1:] {
			n, err := strconv.Atoi(count)
			errs[0] = errors.Join(errs[0], err)
			r.Total += n
		}
	}
	for _, m := range wrkLatency.FindAllStringSubmatch(out, -1) {
		at, err := time.ParseDuration(m[2] + m[3])
		errs[1] = errors.Join(errs[1], err)
		if m[1] == "50" {
			r.P50 = at
		} else {
			r.P99 = at
		}
	}
	return r, errors.Join(errs[:]...)
}
