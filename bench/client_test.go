package main

import (
	"testing"
	"time"
)

func TestParseClient(t *testing.T) {
	const out = `{"requests":10,"ok":9,"octets":117,"seconds":0.5,"p50_us":310.5,"p99_us":2000,"tls":"TLS 1.3 X","error":"reset"}` + "\n"
	want := loadResult{
		Elapsed: 500 * time.Millisecond, PerSecond: 18, Total: 10, Succeeded: 9, OK: 9, Data: 117, TLS: "TLS 1.3 X",
		P50: 310500 * time.Nanosecond, P99: 2 * time.Millisecond,
	}
	if got, err := parseClient(out); err != nil || got != want {
		t.Errorf("parseClient = %+v, %v; want %+v", got, err, want)
	}
	for _, out := range []string{"", "{", `{"requests":10,"ok":0,"seconds":1,"error":"refused"}`} {
		if got, err := parseClient(out); err == nil {
			t.Errorf("parseClient(%q) = %+v, want an error", out, got)
		}
	}
}
