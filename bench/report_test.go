package main

import (
	"encoding/xml"
	"errors"
	"io"
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
	perRequest := newMeasurement(workload{size: helloSize}, r, cost{server: 2 * time.Second}, 0)
	if perRequest.Rate != 250 || perRequest.CPU != 2000 || perRequest.Busy != 0.5 {
		t.Errorf("13 octets: %+v, want 250 req/s at 2000 us, half busy", perRequest)
	}
	cut := r
	cut.Data = 600_000_000
	timed := newMeasurement(workload{tool: toolWrk, size: 500_000}, cut, cost{server: 3 * time.Second}, 0)
	if timed.Rate != 150 || timed.CPU != 5000 {
		t.Errorf("half a MB by time: %+v, want 150 MB/s at 5000 us, with bodies that were cut off", timed)
	}
	perMB := newMeasurement(workload{size: 500_000}, r, cost{server: 2 * time.Second}, 0)
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
		"| hello | h2loop | 400 req/s | 4.00 | 2.00 us/req | 0.50 | 100 % | 0 % | 0 % |  |  | 0 | 0.0 |  |",
		"| hello | slow | 100 req/s | 1.00 | 8.00 us/req | 2.00 | 0 % | 0 % | 0 % |  |  | 3 | 0.0 |  |",
		"| hello | cheap | 50 req/s | 0.50 | 4.00 us/req | 1.00 | 0 % | 0 % | 0 % |  |  | 0 | 0.0 |  |",
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

// TestPlot reads the charts as XML, and looks for what one is to see.
func TestPlot(t *testing.T) {
	r := &report{Servers: map[string]string{subject: "", "nginx": "", "h2o": ""}}
	loads := []workload{{name: "a<b", size: helloSize}, {name: "ten", size: 10 * mega}, {name: "alone", size: helloSize}}
	for _, w := range loads[:2] {
		for name, cpu := range map[string]float64{subject: 1, "nginx": 2, "h2o": 40} {
			r.add(&server{name: name}, w, measurement{CPU: cpu, Rate: 100 / cpu}, nil)
		}
	}
	r.add(&server{name: subject}, loads[2], measurement{CPU: 1, Rate: 1}, nil)
	r.add(&server{name: "nginx"}, loads[1], measurement{}, errors.New("lost"))
	for svg, wants := range map[string][]string{
		string(r.cpuPlot().svg()):  {"0.50  (1 us/req)", "0.50  (1 us/MB)", "1.00  (2 us/MB)", "20.00  (40 us/req)", ">a&lt;b<"},
		string(r.ratePlot().svg()): {"2.00  (100 req/s, 0 % busy)", "1.00  (50 MB/s, 0 % busy)", "0.05  (2 req/s, 0 % busy)"},
	} {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range wants {
			if !strings.Contains(svg, want) {
				t.Errorf("the chart lacks %q:\n%s", want, svg)
			}
		}
		if strings.Contains(svg, "alone") {
			t.Error("a bar without a peer to compare with")
		}
	}
}
