package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"
)

// giveBackMemory returns to the system what a rush has left behind. The runtime
// collects when as much again has been allocated, or after two minutes: a server
// that has become quiet would keep what it does not need until then. open returns how
// many connections and requests there are.
func giveBackMemory(ctx context.Context, open func() int) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	h := heapWatch{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if h.look(readHeap(), open()) {
				debug.FreeOSMemory()
				h.freed(readHeap())
			}
		}
	}
}

// A heap is what the runtime holds, in octets.
type heap struct {
	held      uint64 // objects, dead ones too, and free memory that was not given back
	allocated uint64 // ever

	cpu time.Duration // that the process has used
}

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	h := heap{held: samples[0].Value.Uint64() + samples[1].Value.Uint64(), allocated: samples[2].Value.Uint64()}
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &used) == nil {
		h.cpu = time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	return h
}

const (
	lookEvery = 500 * time.Millisecond
	quietCPU  = lookEvery / 4 // of each CPU, used between two looks

	worthFreeing = 4 << 20 // less is not worth a collection
	quietRate    = 1 << 19 // octets allocated between two looks
	looksAgain   = 4       // times, each twice as long after the one before
	worthLooking = 16      // connections and requests that are over
)

// A heapWatch decides when to give memory back, which takes some 10 ms of a CPU in one
// piece: once there is CPU to spare and allocation has died down, if much more is held
// than after the last time, and some times again, also when half of what was open then is
// over. A time that was in vain raises what is much.
type heapWatch struct {
	last  heap
	kept  uint64 // held after the last time
	most  int    // were open at once since then
	again int    // times that are left to look again without a new reason
	wait  int    // looks until the next of them
}

// look reports whether now is the time.
func (w *heapWatch) look(now heap, open int) bool {
	quiet := now.allocated-w.last.allocated < quietRate &&
		now.cpu-w.last.cpu < quietCPU*time.Duration(runtime.GOMAXPROCS(0))
	w.last = now
	w.most = max(w.most, open)
	if !quiet {
		return false
	}
	if now.held > w.kept+worthFreeing || open <= w.most/2 && w.most-open >= worthLooking {
		w.again = looksAgain
		w.wait = 1
		w.most = open
		return true
	}
	if w.again == 0 {
		return false
	}
	if w.wait--; w.wait > 0 {
		return false
	}
	w.again--
	w.wait = 1 << (looksAgain - w.again)
	return true
}

func (w *heapWatch) freed(now heap) { w.last, w.kept = now, now.held }
