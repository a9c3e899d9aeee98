package main

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// needDescriptors sees to it that n connections fit into this process, and into
// its child, which has the same limit.
func needDescriptors(n int) error {
	const others = 60 // listeners, epoll instances, doorbells, standard files
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return err
	}
	need := uint64(n + others)
	if need <= lim.Cur {
		return nil
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: need, Max: max(need, lim.Max)}); err != nil {
		return fmt.Errorf("%d connections need %d descriptors, and RLIMIT_NOFILE cannot be raised above %d (%w): "+
			"raise the hard limit, or ask for -conns=%d", n, need, lim.Max, err, max(int(lim.Max)-others, 0))
	}
	return nil
}

// A sample is how long something took, each time.
type sample []time.Duration

// at returns a quantile.
func (s sample) at(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	slices.Sort(s)
	return s[min(len(s)-1, int(q*float64(len(s))))].Round(time.Microsecond)
}

func (s sample) String() string {
	return fmt.Sprintf("p50 %v, p99 %v, longest %v", s.at(0.5), s.at(0.99), s.at(1))
}

// A footprint is what a server and the kernel hold, in octets.
type footprint struct {
	live, heap, stacks, rss int64
	tcp, slab               int64 // of the whole machine
	cpu                     int64 // used so far, microseconds
}

// footprint collects garbage and looks; by is a connection to s.
func (s *server) footprint(by *client) (f footprint, err error) {
	m, err := by.stats("?gc")
	if err != nil {
		return f, err
	}
	f.live, f.heap, f.stacks = m["alloc"], m["inuse"], m["stacks"]
	f.tcp, f.slab = kernelTCP(), kernelSlab()
	if f.rss, err = s.resident(); err != nil {
		return f, err
	}
	f.cpu, err = s.cpu()
	return f, err
}

// since tells what n connections have added to before.
func (f footprint) since(before footprint, n int) string {
	each := func(now, then int64) float64 { return float64(now-then) / float64(n) / 1024 }
	return fmt.Sprintf("each: heap %.2f KiB live, %.2f in use, stacks %.2f KiB, RSS %.2f KiB; kernel, both ends: TCP memory %.2f KiB, slab %.2f KiB",
		each(f.live, before.live), each(f.heap, before.heap), each(f.stacks, before.stacks), each(f.rss, before.rss),
		each(f.tcp, before.tcp), each(f.slab, before.slab))
}
