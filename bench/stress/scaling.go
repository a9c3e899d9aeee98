package main

import (
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

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
	loads := []struct {
		path string
		n    int
	}{{"/hello", *n}, {"/64k", *n / 20}}
	loops := []int{1, 2}
	cost := make(map[string][][]float64)
	rate := make(map[string][][]float64)
	for round := range *rounds {
		for _, l := range loads {
			if round == 0 {
				cost[l.path], rate[l.path] = make([][]float64, len(loops)), make([][]float64, len(loops))
			}
			for i, k := range loops {
				us, perSecond, err := scalingRun(k, l.path, l.n)
				if err != nil {
					return err
				}
				cost[l.path][i], rate[l.path][i] = append(cost[l.path][i], us), append(rate[l.path][i], perSecond)
			}
		}
	}
	fmt.Printf("h2load -t2 -c100 -m10 and the server on cores 0 and 1, medians of %d runs\n", *rounds)
	fmt.Printf("%-8s %6s %14s %12s %12s\n", "path", "loops", "us of CPU/req", "least", "req/s")
	for _, l := range loads {
		for i, k := range loops {
			us, perSecond := cost[l.path][i], rate[l.path][i]
			slices.Sort(us)
			slices.Sort(perSecond)
			fmt.Printf("%-8s %6d %14.2f %12.2f %12.0f\n", l.path, k, us[len(us)/2], us[0], perSecond[len(perSecond)/2])
		}
	}
	return nil
}

func scalingRun(loops int, path string, n int) (us, perSecond float64, err error) {
	srv, err := start("0,1", []string{fmt.Sprint("GOMAXPROCS=", loops)}, fmt.Sprint("-loops=", loops))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	before, err := srv.cpu()
	if err != nil {
		return 0, 0, err
	}
	cmd := exec.Command("taskset", "-c", "0,1", "h2load", "-w30", "-W30", "-t2", "-c100", "-m10", fmt.Sprint("-n", n), "http://"+srv.addr+path)
	began := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(began)
	after, err := srv.cpu()
	if err != nil {
		return 0, 0, err
	}
	if got := succeeded(out); got != n {
		return 0, 0, fmt.Errorf("%d of %d requests were answered: %s", got, n, strings.TrimSpace(string(out)))
	}
	return float64(after-before) / float64(n), float64(n) / took.Seconds(), nil
}
