package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stall has readers ask for large bodies, read fast for a while, and stop. It
// tells the server's memory before, while and after, and what it costs another
// connection.
func stall(args []string) (err error) {
	flags := flag.NewFlagSet("stall", flag.ExitOnError)
	conns := flags.Int("conns", 1, "connections")
	streams := flags.Int("streams", 1, "requests on each connection")
	read := flags.Int("read", 1<<20, "octets that each connection reads before it stops")
	path := flags.String("path", "/10m", "what to ask for")
	hold := flags.Duration("hold", 5*time.Second, "how long the readers stand still")
	lowWater := flags.Int("lowwater", 0, "loop.Config.SendLowWater")
	loops := flags.Int("loops", 1, "loop.Config.Loops")
	if err := flags.Parse(args); err != nil {
		return err
	}
	srv, err := start("", nil, fmt.Sprint("-lowwater=", *lowWater), fmt.Sprint("-loops=", *loops))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	beside, err := dial(srv.addr, 1<<20, 0)
	if err != nil {
		return err
	}
	defer beside.close()
	report := func(when, query string) error {
		m, err := beside.stats(query)
		if err != nil {
			return fmt.Errorf("%s: %w", when, err)
		}
		rss, err := srv.resident()
		fmt.Printf("%-28s heap in use %6.1f MiB  objects %6d  RSS %6.1f MiB  collections %3d  TCP memory of the machine %6.1f MiB\n",
			when, mib(m["inuse"]), m["objects"], mib(rss), m["collections"], mib(kernelTCP()))
		return err
	}
	if err := report("before, collected", "?gc"); err != nil {
		return err
	}
	all := make([]*client, *conns)
	for i := range all {
		if all[i], err = dial(srv.addr, 1<<30, 0); err != nil {
			return err
		}
		defer func() {
			if all[i] != nil {
				all[i].close()
			}
		}()
	}
	if err := report("connected", "?gc"); err != nil {
		return err
	}
	for _, c := range all {
		for range *streams {
			if _, err := c.get(*path); err != nil {
				return err
			}
		}
		for c.total < int64(*read) {
			c.at, c.end = 0, 0
			if err := c.fill(len(c.buf)); err != nil {
				return err
			}
		}
	}
	if err := report("stalled", ""); err != nil {
		return err
	}
	before, err := srv.cpu()
	if err != nil {
		return err
	}
	var times []time.Duration
	for began := time.Now(); time.Since(began) < *hold; time.Sleep(10 * time.Millisecond) {
		asked := time.Now()
		if _, err := beside.ask("/hello"); err != nil {
			return err
		}
		times = append(times, time.Since(asked))
	}
	after, err := srv.cpu()
	if err != nil {
		return err
	}
	slices.Sort(times)
	fmt.Printf("%d small requests beside them: median %v, longest %v; server CPU %d ms in %v\n",
		len(times), times[len(times)/2], times[len(times)-1], (after-before)/1000, *hold)
	if err := report("stalled, later, collected", "?gc"); err != nil {
		return err
	}
	for i, c := range all {
		c.close()
		all[i] = nil
	}
	time.Sleep(500 * time.Millisecond)
	return report("closed, collected", "?gc")
}

// kernelTCP returns what all TCP sockets of this network namespace hold, both
// ends of a connection on this machine, in octets.
func kernelTCP() int64 {
	b, _ := os.ReadFile("/proc/net/sockstat")
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if f[0] == "TCP:" {
			pages, _ := strconv.ParseInt(f[len(f)-1], 10, 64)
			return pages * int64(os.Getpagesize())
		}
	}
	return 0
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// kernelSlab returns what the kernel's own objects take, in octets: sockets,
// files and all others of the machine.
func kernelSlab() int64 {
	b, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Slab:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}
