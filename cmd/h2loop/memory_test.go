package main

import (
	"runtime"
	"testing"
	"time"
)

func TestHeapWatch(t *testing.T) {
	const mib = 1 << 20
	var w heapWatch
	for i, step := range []struct {
		held, allocated uint64
		want            bool
		left            uint64 // after it
	}{
		{10 * mib, 10 * mib, false, 0},      // it has just started
		{10 * mib, 10 * mib, true, 3 * mib}, // and is quiet
		{6 * mib, 10 * mib, true, 3 * mib},  // it may be less by now
		{6 * mib, 10 * mib, false, 0},
		{6 * mib, 10 * mib, true, 3 * mib},
		{90 * mib, 110 * mib, false, 0}, // a rush
		{90 * mib, 210 * mib, false, 0}, // that goes on
		{90 * mib, 210 * mib, true, 80 * mib},
		{80 * mib, 210 * mib, true, 78 * mib}, // it was in use
		{80 * mib, 210 * mib, false, 0},
		{80 * mib, 210 * mib, true, 3 * mib},
		{3 * mib, 210 * mib, false, 0},
		{3 * mib, 210 * mib, false, 0},
		{3 * mib, 210 * mib, false, 0},
		{3 * mib, 210 * mib, true, 3 * mib},
		{3 * mib, 210 * mib, false, 0},
		{9 * mib, 210 * mib, true, 3 * mib}, // a small rush between two looks
		{3 * mib, 210 * mib, true, 3 * mib},
	} {
		if got := w.look(heap{held: step.held, allocated: step.allocated}, 0); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
		if step.want {
			w.freed(heap{held: step.left, allocated: step.allocated})
		}
	}
}

// TestHeapWatchSeesEnds has a rush that allocates nothing end.
func TestHeapWatchSeesEnds(t *testing.T) {
	var w heapWatch
	now := heap{held: 3 << 20}
	for range 100 {
		w.look(now, 1000)
	}
	for i, step := range []struct {
		open int
		want bool
	}{{1000, false}, {600, false}, {500, true}, {490, true}, {485, false}, {485, true}, {485, false}} {
		if got := w.look(now, step.open); got != step.want {
			t.Errorf("step %d, %d open: %v", i, step.open, got)
		}
	}
	w = heapWatch{}
	w.look(now, worthLooking-1)
	if w.look(now, 0) {
		t.Error("a handful of connections is worth a collection")
	}
}

// TestHeapWatchWaitsForCPU has a rush that allocates nothing, and takes CPU: the process
// holds on to its memory until that is over.
func TestHeapWatchWaitsForCPU(t *testing.T) {
	var w heapWatch
	now := heap{held: 90 << 20}
	for i := range 10 {
		now.cpu += quietCPU * time.Duration(runtime.GOMAXPROCS(0))
		if w.look(now, 0) {
			t.Errorf("look %d is in the middle of it", i)
		}
	}
	now.cpu += quietCPU / 2
	if !w.look(now, 0) {
		t.Error("it is over, and that is not seen")
	}
}
