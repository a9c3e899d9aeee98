package main

import (
	"fmt"
	"slices"
	"time"
)

// A check is a figure that has to stay within a bound.
type check struct {
	What   string  `json:"what"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	Bound  float64 `json:"bound"` // of After
	Unit   string  `json:"unit,omitempty"`
	Good   bool    `json:"good"`
}

func most(what string, before, after, bound float64, unit string) check {
	return check{what, before, after, bound, unit, after <= bound}
}

func (c check) show(v float64) string {
	if c.Unit == "MiB" {
		return fmt.Sprintf("%.1f MiB", v/(1<<20))
	}
	return fmt.Sprintf("%g", v)
}

// How much more than before, when nothing went on either, is no leak: the pools of
// goroutines and the cache of files need not be as full.
const (
	moreGoroutines = 8
	moreFiles      = 8
	moreHeap       = 8 << 20
	moreRSS        = 24 << 20
	heldAside      = 1 << 20
)

// leftBehind compares two moments at which nothing goes on.
func leftBehind(before, after state) []check {
	return []check{
		most("connections", float64(before.Connections), float64(after.Connections), 0, ""),
		most("streams", float64(before.Streams), float64(after.Streams), 0, ""),
		most("handshakes", float64(before.HandshakesUnderWay), float64(after.HandshakesUnderWay), 0, ""),
		most("output held", float64(before.Held), float64(after.Held), 0, ""),
		most("request bodies held, and what loops have set aside for some", float64(before.Unread), float64(after.Unread), heldAside, "MiB"),
		most("goroutines", float64(before.Goroutines), float64(after.Goroutines), float64(before.Goroutines+moreGoroutines), ""),
		most("descriptors", float64(before.Files), float64(after.Files), float64(before.Files+moreFiles), ""),
		most("heap in use", float64(before.Heap), float64(after.Heap), float64(before.Heap+moreHeap), "MiB"),
		most("RSS", float64(before.RSS), float64(after.RSS), float64(before.RSS+moreRSS), "MiB"),
	}
}

// serverChecks are about what the server counts, with the lines of access logs that were
// there.
func (r *report) serverChecks(lines int64) []check {
	return []check{
		most("panics", 0, float64(r.After.Panics), 0, ""),
		most("lines that the access log has dropped", 0, float64(r.After.Dropped), 0, ""),
		most("lines written that are in no access log", 0, float64(r.After.Lines-lines), 0, ""),
		most("requests without a line", 0, float64(r.After.Requests-r.After.Lines-r.After.Dropped), 0, ""),
	}
}

// trendFrom is how long a run is that tells of a trend.
const trendFrom = time.Minute

// trends compares the medians of the second quarter of the load and the last one.
func (r *report) trends() []check {
	if r.Length < trendFrom {
		return nil
	}
	begin := r.begin("load")
	quarter := r.Length.Seconds() / 4
	median := func(n float64, of func(sample) float64) float64 {
		var values []float64
		for _, s := range r.Samples {
			if at := s.At - begin; at >= n*quarter && at < (n+1)*quarter {
				values = append(values, of(s))
			}
		}
		if len(values) == 0 {
			return 0
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	trend := func(what string, more float64, unit string, of func(sample) float64) check {
		second, last := median(1, of), median(3, of)
		return most("median of the second quarter and of the last: "+what, second, last, second+more, unit)
	}
	return []check{
		trend("RSS", 16<<20, "MiB", func(s sample) float64 { return float64(s.RSS) }),
		trend("heap in use", 8<<20, "MiB", func(s sample) float64 { return float64(s.Heap) }),
		trend("descriptors", 20, "", func(s sample) float64 { return float64(s.Files) }),
		trend("goroutines", 10, "", func(s sample) float64 { return float64(s.Goroutines) }),
	}
}

// begin returns when a phase began, in seconds.
func (r *report) begin(name string) float64 {
	for _, m := range r.Marks {
		if m.Name == name {
			return m.At
		}
	}
	return 0
}
