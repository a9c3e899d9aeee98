package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// h2load returns the command that runs h2load on core 1 against srv, with
// windows of 2^30 octets.
func h2load(srv *server, path string, args ...string) *exec.Cmd {
	argv := append([]string{"-c", "1", "h2load", "-w30", "-W30"}, args...)
	cmd := exec.Command("taskset", append(argv, "http://"+srv.addr+path)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// succeeded returns how many requests h2load says were answered with 2xx.
func succeeded(out []byte) (n int) {
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(line, "status codes: "); ok {
			_, _ = fmt.Sscanf(rest, "%d 2xx", &n)
		}
	}
	return n
}

func parseSizes(s string) (all []int, err error) {
	for f := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

const lowWaters = "-1,131072,262144,524288,1048576,4194304"

// bulk tells what large bodies cost the server, by low-water mark. The settings
// take turns, so that what else the machine does falls on all of them.
func bulk(args []string) error {
	flags := flag.NewFlagSet("bulk", flag.ExitOnError)
	sizes := flags.String("lowwater", lowWaters, "values of loop.Config.SendLowWater")
	rounds := flags.Int("rounds", 7, "runs of each")
	n := flags.Int("n", 500, "requests of a run")
	conns := flags.Int("c", 10, "connections")
	path := flags.String("path", "/10m", "what to ask for")
	procs := flags.Int("procs", 1, "GOMAXPROCS of the server, which has one loop and one core")
	if err := flags.Parse(args); err != nil {
		return err
	}
	settings, err := parseSizes(*sizes)
	if err != nil {
		return err
	}
	cost := make([][]float64, len(settings))
	for range *rounds {
		for i, lw := range settings {
			us, err := bulkRun(lw, *procs, *path, *n, *conns)
			if err != nil {
				return err
			}
			cost[i] = append(cost[i], us)
		}
	}
	fmt.Printf("h2load -n%d -c%d -m1 -w30 -W30 %s, server CPU in us/MB, %d runs, GOMAXPROCS %d\n", *n, *conns, *path, *rounds, *procs)
	fmt.Printf("%10s %8s %8s %8s\n", "low water", "median", "least", "most")
	for i, lw := range settings {
		slices.Sort(cost[i])
		fmt.Printf("%10d %8.0f %8.0f %8.0f\n", lw, cost[i][len(cost[i])/2], cost[i][0], cost[i][len(cost[i])-1])
	}
	return nil
}

func bulkRun(lowWater, procs int, path string, n, conns int) (us float64, err error) {
	srv, err := start("0", []string{fmt.Sprint("GOMAXPROCS=", procs)}, "-loops=1", fmt.Sprint("-lowwater=", lowWater))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	used, err := srv.cpuOf(h2load(srv, path, fmt.Sprint("-n", n), fmt.Sprint("-c", conns), "-m1"), n)
	if err != nil {
		return 0, err
	}
	size := map[string]float64{"/64k": 64 << 10, "/1m": 1 << 20, "/10m": 10 << 20, "/64m": 64 << 20}[path]
	return float64(used) / (float64(n) * size / 1e6), nil
}

// collections counts the garbage collections of the server over large bodies
// and over small requests.
func collections(args []string) (err error) {
	flags := flag.NewFlagSet("gc", flag.ExitOnError)
	if err := flags.Parse(args); err != nil {
		return err
	}
	srv, err := start("0", []string{"GOMAXPROCS=1"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	c, err := dial(srv.addr, 1<<20, 0)
	if err != nil {
		return err
	}
	defer c.close()
	for _, load := range []struct {
		what, path string
		n          int
		args       []string
	}{
		{"2 GiB in bodies of 10 MiB", "/10m", 205, []string{"-c10", "-m1"}},
		{"2 GiB in bodies of 64 KiB", "/64k", 32768, []string{"-c10", "-m10"}},
		{"1 000 000 requests of 13 octets, -c1 -m100", "/hello", 1_000_000, []string{"-c1", "-m100"}},
		{"1 000 000 requests of 13 octets, -c100 -m10", "/hello", 1_000_000, []string{"-c100", "-m10"}},
	} {
		before, err := c.stats("?gc")
		if err != nil {
			return err
		}
		began := time.Now()
		out, err := h2load(srv, load.path, append(load.args, fmt.Sprint("-n", load.n))...).Output()
		if err != nil {
			return err
		}
		took := time.Since(began)
		after, err := c.stats("")
		if err != nil {
			return err
		}
		mallocs := after["mallocs"] - before["mallocs"]
		fmt.Printf("%-46s %3d collections, %.1f ms of pauses, %d allocations (%.4f a request), heap in use %.1f MiB, %d answered in %v\n",
			load.what, after["collections"]-before["collections"], float64(after["pause"]-before["pause"])/1e6,
			mallocs, float64(mallocs)/float64(load.n), mib(after["inuse"]), succeeded(out), took.Round(time.Millisecond))
	}
	return nil
}
