package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

const tlsRun = `starting benchmark...
spawning thread #0: 1 total client(s). 4 total requests
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Server Temp Key: X25519 253 bits
Application protocol: h2
progress: 25% done
progress: 100% done

finished in 812.50ms, 4.92 req/s, 49.23MB/s
requests: 4 total, 4 started, 4 done, 4 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 40.01MB (41949912) total, 240B (240) headers (space savings 51.02%), 40.00MB (41943040) data
                     min         max         mean         sd        +/- sd
time for request:    93.82ms    104.12ms     98.09ms      5.02ms    75.00%
req/s           :       4.93        4.93        4.93        0.00   100.00%
`

const badRun = `finished in 1.02s, 98000.12 req/s, 5.80MB/s
requests: 100000 total, 100000 started, 100000 done, 99990 succeeded, 7 failed, 3 errored, 0 timeout
status codes: 99980 2xx, 10 3xx, 7 4xx, 0 5xx
traffic: 5.80MB (6084000) total, 12.30KB (12600) headers (space savings 95.00%), 1.24MB (1300000) data
`

func TestParseH2load(t *testing.T) {
	for out, want := range map[string]loadResult{
		tlsRun: {
			Elapsed: 812500 * time.Microsecond, PerSecond: 4.92, Total: 4, Succeeded: 4, OK: 4, Data: 41943040,
			TLS: "TLSv1.3 TLS_AES_128_GCM_SHA256",
		},
		badRun: {
			Elapsed: 1020 * time.Millisecond, PerSecond: 98000.12, Total: 100000, Succeeded: 99990, OK: 99980, Data: 1300000,
		},
	} {
		got, err := parseH2load(out)
		if err != nil || got != want {
			t.Errorf("parseH2load = %+v, %v; want %+v", got, err, want)
		}
	}
	if r, _ := parseH2load(badRun); r.failed() != 20 {
		t.Errorf("failed() = %d, want 20: all that did not end in a 2xx", r.failed())
	}
}

func TestParseH2loadRefusesHalfAReport(t *testing.T) {
	for _, out := range []string{"", "connect to host failed\n", badRun[:len(badRun)-10], badRun[:60]} {
		if got, err := parseH2load(out); err == nil {
			t.Errorf("parseH2load(%q) = %+v, want an error", out, got)
		}
	}
}

func TestReadH2loadLog(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	write := func(log string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(log), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1795536606855354\t200\t405\n1795536606855742\t200\t132\n1795536606855736\t-1\t9157\n")
	p50, p99, err := readH2loadLog(name)
	if p50 != 405*time.Microsecond || p99 != 405*time.Microsecond || err != nil {
		t.Errorf("%v, %v, %v; want 405us twice: of three, none is above 99 %%", p50, p99, err)
	}
	for _, log := range []string{"", "1\t200\n", "1\t200\tx\n"} {
		write(log)
		if _, _, err := readH2loadLog(name); err == nil {
			t.Errorf("no error for %q", log)
		}
	}
}
