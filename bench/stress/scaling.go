package main

import (
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"slices"
	"time"
)

// A scalingRow is what requests for a path cost a server with so many loops.
type scalingRow struct {
	path     string
	n, loops int
	cost     []float64 // us of CPU for a request, of each run
	rate     []float64 // requests a second
}

// scaling tells what a request costs with one loop and with two, on the same two cores,
// which the load shares: what loops cost each other is in the difference. The settings
// take turns.
func scaling(args []string) error {
	flags := flag.NewFlagSet("scaling", flag.ExitOnError)
	rounds := flags.Int("rounds", 5, "runs of each")
	n := flags.Int("n", 400_000, "small requests of a run; there is one of 64 KiB for each 20 of them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	rows := []scalingRow{
		{path: "/hello", n: *n, loops: 1},
		{path: "/hello", n: *n, loops: 2},
		{path: "/64k", n: *n / 20, loops: 1},
		{path: "/64k", n: *n / 20, loops: 2},
	}
	for range *rounds {
		for i := range rows {
			if err := rows[i].run(); err != nil {
				return err
			}
		}
	}
	fmt.Printf("h2load -t2 -c100 -m10 and the server on cores 0 and 1, medians of %d runs\n", *rounds)
	fmt.Printf("%-8s %6s %14s %12s %12s\n", "path", "loops", "us of CPU/req", "least", "req/s")
	for _, r := range rows {
		slices.Sort(r.cost)
		slices.Sort(r.rate)
		fmt.Printf("%-8s %6d %14.2f %12.2f %12.0f\n", r.path, r.loops, r.cost[len(r.cost)/2], r.cost[0], r.rate[len(r.rate)/2])
	}
	return nil
}

func (r *scalingRow) run() error {
	srv, err := start("0,1", []string{fmt.Sprint("GOMAXPROCS=", r.loops)}, fmt.Sprint("-loops=", r.loops))
	if err != nil {
		return err
	}
	began := time.Now()
	used, err := srv.cpuOf(exec.Command("taskset", "-c", "0,1", "h2load", "-w30", "-W30", "-t2", "-c100", "-m10", fmt.Sprint("-n", r.n), "http://"+srv.addr+r.path), r.n)
	took := time.Since(began)
	if err := errors.Join(err, srv.stop()); err != nil {
		return err
	}
	r.cost = append(r.cost, float64(used)/float64(r.n))
	r.rate = append(r.rate, float64(r.n)/took.Seconds())
	return nil
}
