// Command bench measures h2loop beside other servers of HTTP/2 and HTTP/1.1.
//
// It runs one server at a time on core 0 and h2load or wrk on core 1, over
// loopback, and reports medians of rounds in which the servers take turns: throughput,
// CPU time of the server, failures, and peak memory. Servers that are not
// installed are skipped.
//
//	go run ./bench
//	go run ./bench -servers h2loop,nghttpd -workloads '^hello-h1' -rounds 3
//	go run ./bench -servers h2loop -workloads '^hello-h2c-c100' -flame docs/flame
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
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
	workloadNames := flags.String("workloads", "", "workloads to run: a regular expression that matches a part of their names (default all)")
	list := flags.Bool("list", false, "list servers and workloads, and end")
	rounds := flags.Int("rounds", 5, "rounds; each measures every server once a workload")
	scale := flags.Float64("scale", 1, "factor on the number of requests of a run")
	quiet := flags.Float64("quiet", 0, "repeat runs, a few times, in which other processes used more than this of a core, as 0.1; 0 for no repetitions")
	out := flags.String("out", "", "directory for the results (default bench/results)")
	flameDir := flags.String("flame", "", "measure nothing: have perf record h2loop, and write flame graphs to this `directory`")
	pgo := flags.String("pgo", "", "measure nothing: write a profile of h2loop to this `file`, for the compiler")
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
	loads, err := chooseWorkloads(*workloadNames)
	if err != nil {
		return err
	}
	if *list {
		for _, s := range chosen {
			fmt.Println("server  ", s.name)
		}
		for _, w := range loads {
			fmt.Println("workload", w.name, "by", w.madeBy())
		}
		return nil
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		return err
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}

	ground, err := newGround()
	if err != nil {
		return err
	}
	defer ground.remove()
	if *pgo != "" {
		ground.pgo = "off" // there may be none yet
	}
	if loads, err = withTools(ctx, ground, loads); err != nil {
		return err
	}
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

	r := runner{ground: ground, scale: *scale, quiet: *quiet}
	switch {
	case *flameDir != "":
		return r.flames(ctx, loads, *flameDir)
	case *pgo != "":
		return r.writePGO(ctx, loads, *pgo)
	}
	if *out == "" {
		*out = filepath.Join(ground.module, "bench", "results")
	}
	report := newReport(ctx, ground, found, loads, *rounds, *scale)
	r.report = report
	runErr := r.all(ctx, found, loads, *rounds)
	if len(report.Results) == 0 {
		return runErr
	}
	base, err := report.write(*out) // what there is, if it was interrupted
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\nwritten: %s.{json,md,cpu.svg,rate.svg}\n", report.markdown(), base)
	if runErr != nil {
		return fmt.Errorf("not complete: %w", runErr)
	}
	if lost, failed := report.lost(), report.failed(); lost > 0 || failed > 0 {
		return fmt.Errorf("%d runs without a figure, %d requests failed", lost, failed)
	}
	return nil
}

// chooseWorkloads returns the workloads whose names match an expression.
func chooseWorkloads(expr string) ([]workload, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	var chosen []workload
	for _, w := range workloads {
		if re.MatchString(w.name) {
			chosen = append(chosen, w)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no workload matches %q: -list tells their names", expr)
	}
	return chosen, nil
}

// withTools returns those of loads whose tool is here, and tells of the others.
func withTools(ctx context.Context, g *ground, loads []workload) ([]workload, error) {
	var kept []workload
	built := false
	for _, w := range loads {
		if w.tool == toolWrk2 && w.missing() != nil {
			fmt.Printf("%s: by h2load: %v\n", w.name, w.missing())
			w.tool = toolH2load // which has a constant rate, too
		}
		if err := w.missing(); err != nil {
			fmt.Printf("%s: skipped: %v\n", w.name, err)
			continue
		}
		if w.tool == toolClient && !built {
			if err := buildClient(ctx, g); err != nil {
				return nil, err
			}
			built = true
		}
		kept = append(kept, w)
	}
	if len(kept) == 0 {
		return nil, errors.New("no tool for any of the workloads is here")
	}
	return kept, nil
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

// raiseFileLimit lets the children have 10 000 connections and more. Setting
// the limit ourselves keeps Go from restoring the old one in children.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// bound is the time that anything but a run of load may take.
const bound = 2 * time.Minute
