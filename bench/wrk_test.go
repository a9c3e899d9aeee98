package main

import (
	"testing"
	"time"
)

const wrkRun = `Running 1s test @ http://127.0.0.1:18082/
  1 threads and 10 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    87.01us  382.19us   8.02ms   98.83%
    Req/Sec   127.45k     6.62k  132.64k    81.82%
  Latency Distribution
     50%   56.00us
     75%   59.00us
     90%   62.00us
     99%    1.25ms
  139164 requests in 1.10s, 20.25MB read
Requests/sec: 126542.18
Transfer/sec:     18.34MB
`

const wrkBadRun = `Running 4s test @ https://127.0.0.1:18082/bad
  1 threads and 100 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.60s   115.61us   3.78ms   99.02%
    Req/Sec     1.02k     7.09k  131.93k    90.91%
  Latency Distribution
     50%    1.50s 
     99%    1.76s 
  1000 requests in 4.00s, 1.50GB read
  Socket errors: connect 1, read 20, write 300, timeout 4000
  Non-2xx or 3xx responses: 400
Requests/sec:    250.00
Transfer/sec:    384.00MB
`

// From wrk2, which says more.
const wrk2Run = `Running 10s test @ http://127.0.0.1:8080/bench/hello
  1 threads and 100 connections
  Thread calibration: mean lat.: 0.912ms, rate sampling interval: 10ms
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     0.95ms  420.12us   5.21ms   64.80%
    Req/Sec    10.55k     0.95k   14.00k    73.21%
  Latency Distribution (HdrHistogram - Recorded Latency)
 50.000%    0.93ms
 75.000%    1.24ms
 90.000%    1.50ms
 99.000%    1.97ms
 99.900%    2.60ms
 99.990%    4.01ms
 99.999%    5.21ms
100.000%    5.21ms

  Detailed Percentile spectrum:
       Value   Percentile   TotalCount 1/(1-Percentile)

       0.055     0.000000            1         1.00
       0.930     0.500000        49955         2.00
       5.211     1.000000        99900          inf
#[Mean    =        0.950, StdDeviation   =        0.420]
#[Max     =        5.208, Total count    =        99900]
#[Buckets =           27, SubBuckets     =         2048]
----------------------------------------------------------
  99900 requests in 10.00s, 11.05KB read
Requests/sec:   9990.00
Transfer/sec:      1.10KB
`

const wrkDeadRun = `Running 1s test @ http://127.0.0.1:18082/s
  1 threads and 10 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     0.00us    0.00us   0.00us    -nan%
    Req/Sec     0.00      0.00     0.00      -nan%
  Latency Distribution
     50%    0.00us
     75%    0.00us
     90%    0.00us
     99%    0.00us
  0 requests in 1.10s, 0.00B read
  Socket errors: connect 0, read 36964, write 0, timeout 0
Requests/sec:      0.00
Transfer/sec:       0.00B
`

func TestParseWrk(t *testing.T) {
	for out, want := range map[string]loadResult{
		wrkRun: {
			Elapsed: 1100 * time.Millisecond, PerSecond: 126542.18, Total: 139164, Succeeded: 139164, OK: 139164,
			Data: 20<<20 + 1<<18, P50: 56 * time.Microsecond, P99: 1250 * time.Microsecond,
		},
		wrkBadRun: {
			Elapsed: 4 * time.Second, PerSecond: 250, Total: 5321, Succeeded: 600, OK: 600,
			Data: 3 << 29, P50: 1500 * time.Millisecond, P99: 1760 * time.Millisecond,
		},
		wrk2Run: {
			Elapsed: 10 * time.Second, PerSecond: 9990, Total: 99900, Succeeded: 99900, OK: 99900,
			Data: 11315, P50: 930 * time.Microsecond, P99: 1970 * time.Microsecond,
		},
		wrkDeadRun: {Elapsed: 1100 * time.Millisecond, Total: 36964},
	} {
		got, err := parseWrk(out)
		if err != nil || got != want {
			t.Errorf("parseWrk = %+v, %v; want %+v", got, err, want)
		}
	}
	if r, _ := parseWrk(wrkBadRun); r.failed() != 4721 {
		t.Errorf("failed() = %d, want 4721: errors of sockets, and statuses", r.failed())
	}
}

func TestParseWrkRefusesHalfAReport(t *testing.T) {
	for _, out := range []string{"", "unable to connect to 127.0.0.1:1 Connection refused\n", wrkRun[:len(wrkRun)-60], wrkRun[:200]} {
		if got, err := parseWrk(out); err == nil {
			t.Errorf("parseWrk(%q) = %+v, want an error", out, got)
		}
	}
}
