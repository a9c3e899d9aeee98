// Command bench measures h2loop beside other HTTP/2 servers.
//
// It runs one server at a time on core 0 and h2load on core 1, over loopback,
// and reports medians of rounds in which the servers take turns: throughput,
// CPU time of the server, failures, and peak memory. Servers that are not
// installed are skipped.
//
//	go run ./bench
//	go run ./bench -servers h2loop,nghttpd -workloads 'hello-*' -rounds 3
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	// Children are killed when the thread that started them ends (Pdeathsig).
	// Locked to the main goroutine, it ends with the process.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	serverNames := flags.String("servers", "*", "servers to measure: names or patterns, separated by commas")
	workloadNames := flags.String("workloads", "*", "workloads to run, likewise")
	rounds := flags.Int("rounds", 5, "rounds; each measures every server once a workload")
	scale := flags.Float64("scale", 1, "factor on the number of requests of a run")
	out := flags.String("out", "", "directory for the results (default bench/results)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *rounds < 1 || *scale <= 0 {
		return fmt.Errorf("bad arguments: %q, -rounds %d, -scale %g", flags.Args(), *rounds, *scale)
	}
	chosen, err := choose(servers, func(s *server) string { return s.name }, *serverNames)
	if err != nil {
		return err
	}
	loads, err := choose(workloads, func(w workload) string { return w.name }, *workloadNames)
	if err != nil {
		return err
	}
	for _, tool := range []string{"taskset", "h2load"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}

	ground, err := newGround()
	if err != nil {
		return err
	}
	defer ground.remove()
	var found []*server
	for _, s := range chosen {
		if err := s.find(ctx, ground); err != nil {
			fmt.Printf("%s: skipped: %v\n", s.name, err)
			continue
		}
		found = append(found, s)
	}
	if len(found) == 0 {
		return fmt.Errorf("none of the servers %q is here", *serverNames)
	}

	if *out == "" {
		*out = filepath.Join(ground.module, "bench", "results")
	}
	report := newReport(ctx, ground, found, *rounds, *scale)
	r := runner{ground: ground, scale: *scale, report: report}
	if err := r.all(ctx, found, loads, *rounds); err != nil {
		return err
	}
	base, err := report.write(*out)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\nwritten: %s.json, %s.md\n", report.markdown(), base, base)
	if lost, failed := report.lost(), report.failed(); lost > 0 || failed > 0 {
		return fmt.Errorf("%d runs without a figure, %d requests failed", lost, failed)
	}
	return nil
}

// choose returns the items whose name matches one of the patterns in list.
func choose[T any](items []T, name func(T) string, list string) ([]T, error) {
	var chosen []T
	patterns := strings.Split(list, ",")
	used := make([]bool, len(patterns))
	for _, item := range items {
		match := false
		for i, p := range patterns {
			ok, err := path.Match(p, name(item))
			if err != nil {
				return nil, fmt.Errorf("%q: %w", p, err)
			}
			match = match || ok
			used[i] = used[i] || ok
		}
		if match {
			chosen = append(chosen, item)
		}
	}
	if i := slices.Index(used, false); i >= 0 {
		var names []string
		for _, item := range items {
			names = append(names, name(item))
		}
		return nil, fmt.Errorf("%q names none of %s", patterns[i], strings.Join(names, ", "))
	}
	return chosen, nil
}

// raiseFileLimit lets the children have 1000 connections and more. Setting
// the limit ourselves keeps Go from restoring the old one in children.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// bound is the time that anything but a run of h2load may take.
const bound = 2 * time.Minute
