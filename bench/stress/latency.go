package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/frames"
)

// fairness asks for a small body every so often, on a connection of its own,
// while h2load downloads large ones on many others.
func fairness(args []string) (err error) {
	flags := flag.NewFlagSet("fairness", flag.ExitOnError)
	conns := flags.Int("conns", 100, "connections that download")
	path := flags.String("path", "/10m", "what they download")
	every := flags.Duration("every", 10*time.Millisecond, "time between small requests")
	last := flags.Duration("for", 10*time.Second, "how long")
	lowWater := flags.Int("lowwater", 0, "loop.Config.SendLowWater")
	realTime := flags.Bool("fifo", true, "run the client before h2load, whose core it shares")
	if err := flags.Parse(args); err != nil {
		return err
	}
	srv, err := start("0", []string{"GOMAXPROCS=1"}, fmt.Sprint("-lowwater=", *lowWater))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	if err := onCore(1, *realTime); err != nil {
		return err
	}
	c, err := dial(srv.addr, 1<<20, 0)
	if err != nil {
		return err
	}
	defer c.close()
	measure := func(what string, last time.Duration) error {
		var times sample
		for began := time.Now(); time.Since(began) < last; time.Sleep(*every) {
			asked := time.Now()
			if _, err := c.ask("/hello"); err != nil {
				return err
			}
			times = append(times, time.Since(asked))
		}
		fmt.Printf("%-24s %5d small requests: median %v, p90 %v, p99 %v, longest %v\n",
			what, len(times), times.at(0.5), times.at(0.9), times.at(0.99), times.at(1))
		return nil
	}
	if err := measure("alone", time.Second); err != nil {
		return err
	}
	seconds := int(last.Seconds() + 2)
	load := h2load(srv, *path, fmt.Sprint("-c", *conns), "-m1", "-t1", fmt.Sprint("-D", seconds))
	var said bytes.Buffer
	load.Stdout = &said
	if err := load.Start(); err != nil {
		return err
	}
	time.Sleep(time.Second)
	before, err := srv.cpu()
	if err == nil {
		err = measure(fmt.Sprint("beside ", *conns, " downloads"), *last)
	}
	after, err2 := srv.cpu()
	if err := errors.Join(err, err2, load.Wait()); err != nil {
		return err
	}
	fmt.Printf("server CPU: %.0f%% of a core\n", float64(after-before)/float64(last.Microseconds())*100)
	for line := range strings.Lines(said.String()) {
		if strings.HasPrefix(line, "finished in") {
			fmt.Print("the downloads: ", line)
		}
	}
	return nil
}

// onCore pins this thread to a core, and runs it before all ordinary ones
// there if realTime is set.
func onCore(core int, realTime bool) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	if !realTime {
		return nil
	}
	return unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1,
		Flags: unix.SCHED_FLAG_RESET_ON_FORK, // h2load is to be an ordinary process
	}, 0)
}

// urgent asks for a small body with priority u=0 on a connection that downloads
// a large one at one MiB a second, and tells what comes before the answer.
func urgent(args []string) error {
	flags := flag.NewFlagSet("urgent", flag.ExitOnError)
	sizes := flags.String("lowwater", lowWaters, "values of loop.Config.SendLowWater")
	path := flags.String("path", "/10m", "what to download")
	warm := flags.Duration("after", 2*time.Second, "when to ask")
	samples := flags.Int("samples", 3, "runs of each")
	if err := flags.Parse(args); err != nil {
		return err
	}
	settings, err := parseSizes(*sizes)
	if err != nil {
		return err
	}
	fmt.Printf("a reader of 1 MiB/s of %s, an urgent request after %v; medians of %d\n", *path, *warm, *samples)
	fmt.Printf("%10s %16s %16s %22s %10s\n", "low water", "receive buffer", "KiB before it", "of them with client", "time")
	for _, rcvbuf := range []int{0, 256 << 10} {
		for _, lw := range settings {
			var octets, there []int64
			var times []time.Duration
			for range *samples {
				n, received, d, err := urgentRun(lw, rcvbuf, *path, *warm)
				if err != nil {
					return fmt.Errorf("low water %d: %w", lw, err)
				}
				octets, there, times = append(octets, n), append(there, received), append(times, d)
			}
			slices.Sort(octets)
			slices.Sort(there)
			slices.Sort(times)
			name := "left alone"
			if rcvbuf > 0 {
				name = fmt.Sprint(rcvbuf>>10, " KiB")
			}
			fmt.Printf("%10d %16s %16d %22d %10v\n", lw, name, octets[len(octets)/2]>>10, there[len(there)/2]>>10,
				times[len(times)/2].Round(time.Millisecond))
		}
	}
	return nil
}

// urgentRun also returns how much the client's socket held when it asked.
func urgentRun(lowWater, rcvbuf int, path string, warm time.Duration) (octets, received int64, took time.Duration, err error) {
	srv, err := start("0", []string{"GOMAXPROCS=1"}, fmt.Sprint("-lowwater=", lowWater))
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	c, err := dial(srv.addr, 1<<30, rcvbuf)
	if err != nil {
		return 0, 0, 0, err
	}
	defer c.close()
	c.buf = make([]byte, 128<<10)
	if _, err := c.get(path); err != nil {
		return 0, 0, 0, err
	}
	const piece = 64 << 10
	const pause = time.Second / (1 << 20 / piece)
	var id frames.StreamID
	var asked time.Time
	var at int64
	for next := time.Now(); ; next = next.Add(pause) {
		time.Sleep(time.Until(next))
		if id == 0 && c.total >= int64(warm.Seconds()*(1<<20)) {
			n, err := unix.IoctlGetInt(c.fd, unix.SIOCINQ)
			if err != nil {
				return 0, 0, 0, err
			}
			received = int64(n)
			at, asked = c.total, time.Now()
			if id, err = c.get("/hello", "priority", "u=0"); err != nil {
				return 0, 0, 0, err
			}
		}
		if err := c.fill(piece); err != nil {
			return 0, 0, 0, err
		}
		for {
			h, _, ok := c.frame()
			if !ok {
				break
			}
			if id != 0 && h.StreamID == id && h.Type == frames.TypeHeaders {
				left := int64(c.end-c.at) + frames.HeaderLen + int64(h.Length)
				return c.total - left - at, received, time.Since(asked), nil
			}
		}
	}
}
