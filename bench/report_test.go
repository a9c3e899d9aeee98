package main

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		v    []float64
		want float64
	}{
		{[]float64{7}, 7},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 100}, 3.5},
	} {
		if got := median(tt.v); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.v, got, tt.want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median(nil) = %v, want NaN", got)
	}
}

func TestNewMeasurement(t *testing.T) {
	r := loadResult{Elapsed: 4 * time.Second, PerSecond: 250, Total: 1000, Succeeded: 1000, OK: 1000}
	perRequest := newMeasurement(workload{size: helloSize}, r, 2*time.Second, 0)
	if perRequest.Rate != 250 || perRequest.CPU != 2000 || perRequest.Busy != 0.5 {
		t.Errorf("13 octets: %+v, want 250 req/s at 2000 us, half busy", perRequest)
	}
	perMB := newMeasurement(workload{size: 500_000}, r, 2*time.Second, 0)
	if perMB.Rate != 125 || perMB.CPU != 4000 {
		t.Errorf("half a MB: %+v, want 125 MB/s at 4000 us", perMB)
	}
}

func TestReport(t *testing.T) {
	w := workload{name: "hello", size: helloSize}
	r := &report{}
	for _, m := range []measurement{{CPU: 1, Rate: 500}, {CPU: 3, Rate: 300}, {CPU: 2, Rate: 400}} {
		r.add(&server{name: subject}, w, m, nil)
	}
	r.add(&server{name: "slow"}, w, measurement{CPU: 8, Rate: 100, Failed: 1}, nil)
	r.add(&server{name: "slow"}, w, measurement{CPU: 8, Rate: 100, Failed: 2}, nil)
	r.add(&server{name: "cheap"}, w, measurement{CPU: 4, Rate: 50}, nil)
	r.add(&server{name: "dead"}, w, measurement{}, errors.New("ended at once\nand more"))
	page := r.markdown()
	for _, line := range []string{
		"| hello | h2loop | 400 req/s | 4.00 | 2.00 us/req | 0.50 | 100 % | 0 % |  |  | 0 | 0.0 |  |",
		"| hello | slow | 100 req/s | 1.00 | 8.00 us/req | 2.00 | 0 % | 0 % |  |  | 3 | 0.0 |  |",
		"| hello | cheap | 50 req/s | 0.50 | 4.00 us/req | 1.00 | 0 % | 0 % |  |  | 0 | 0.0 |  |",
		"| hello | dead | none |",
		"- hello, dead: ended at once and more",
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("the page lacks %q:\n%s", line, page)
		}
	}
	if lost, failed := r.lost(), r.failed(); lost != 1 || failed != 3 {
		t.Errorf("%d runs lost, %d requests failed; want 1 and 3", lost, failed)
	}
}
