package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/h2loop/h2loop/bench/affinity"
)

// A setup is how the server of rsa is placed.
type setup struct {
	cores string // as taskset names them
	procs int    // GOMAXPROCS
}

// rsaSetups leave out two cores with GOMAXPROCS 1, which uses one.
var rsaSetups = []setup{{"0", 1}, {"0", 2}, {"0,1", 2}}

// The ways of rsaModes are those of loop.Listener.Handshakes.
var rsaModes = []struct{ flag, what string }{
	{"loop", "on the loop"},
	{"auto", "off the loop"},
}

// handshakes makes TLS connections at full speed, by a process of its own, and
// asks for a small body every so often on a connection that is established. The
// server runs the handshakes on its loop or, as it does with RSA by default, off
// it; the two take turns.
func handshakes(args []string) error {
	flags := flag.NewFlagSet("rsa", flag.ExitOnError)
	rounds := flags.Int("rounds", 3, "runs of each")
	last := flags.Duration("for", 4*time.Second, "how long a run is measured")
	every := flags.Duration("every", 2*time.Millisecond, "time between small requests")
	conns := flags.Int("c", 16, "handshakes that the load process has under way")
	key := flags.String("key", "rsa", "key of the server: rsa (2048 bits) or ecdsa")
	realTime := flags.Bool("fifo", true, "run the client of small requests before the load process, whose core it shares")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := affinity.Pin(1); err != nil {
		return err
	}
	if err := onCore(1, *realTime); err != nil {
		return err
	}
	fmt.Printf("small requests on one connection beside new TLS connections, %d under way; key: %s; %d rounds of %v\n",
		*conns, *key, *rounds, *last)
	fmt.Printf("%-24s %-14s %10s %10s %10s %10s %10s %12s %8s\n",
		"server", "handshakes", "requests", "p50", "p99", "p99.9", "longest", "handshakes/s", "failed")
	results := make([][]rsaResult, len(rsaSetups))
	for range *rounds {
		for i, at := range rsaSetups {
			results[i] = append(results[i], make([]rsaResult, len(rsaModes))...)
			for j, mode := range rsaModes {
				r, err := rsaRun(at, mode.flag, *key, *conns, *last, *every)
				if err != nil {
					return fmt.Errorf("%v, %s: %w", at, mode.what, err)
				}
				results[i][len(results[i])-len(rsaModes)+j] = r
			}
		}
	}
	for i, at := range rsaSetups {
		for j, mode := range rsaModes {
			var all, quiet sample
			var rates []float64
			failed := 0
			for k := j; k < len(results[i]); k += len(rsaModes) {
				r := results[i][k]
				all, quiet = append(all, r.times...), append(quiet, r.quiet...)
				rates = append(rates, r.rate)
				failed += r.failed
			}
			slices.Sort(rates)
			server := fmt.Sprintf("cores %s, GOMAXPROCS %d", at.cores, at.procs)
			row := func(what string, s sample, rate, failed string) {
				fmt.Printf("%-24s %-14s %10d %10v %10v %10v %10v %12s %8s\n",
					server, what, len(s), s.at(0.5), s.at(0.99), s.at(0.999), s.at(1), rate, failed)
			}
			if j == 0 {
				row("none", quiet, "", "")
			}
			row(mode.what, all, fmt.Sprintf("%.0f", rates[len(rates)/2]), fmt.Sprint(failed))
		}
	}
	return nil
}

type rsaResult struct {
	quiet, times sample
	rate         float64 // handshakes a second
	failed       int
}

func rsaRun(at setup, mode, key string, conns int, last, every time.Duration) (r rsaResult, err error) {
	srv, err := start(at.cores, []string{fmt.Sprint("GOMAXPROCS=", at.procs)}, "-loops=1", "-tls="+key, "-handshakes="+mode)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	c, err := dialer{addr: srv.addrTLS, tls: clientTLS(), window: 1 << 20}.dial()
	if err != nil {
		return r, err
	}
	defer c.close()
	measure := func(last time.Duration) (times sample, err error) {
		for began := time.Now(); time.Since(began) < last; time.Sleep(every) {
			asked := time.Now()
			if _, err := c.ask("/hello"); err != nil {
				return nil, err
			}
			times = append(times, time.Since(asked))
		}
		return times, nil
	}
	if r.quiet, err = measure(last / 4); err != nil {
		return r, err
	}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	const head = 500 * time.Millisecond // before it is measured, and after
	load := exec.Command(self, "connect", "-addr="+srv.addrTLS, fmt.Sprint("-c=", conns), fmt.Sprint("-skip=", head), fmt.Sprint("-for=", last))
	load.Stderr = os.Stderr
	var said bytes.Buffer
	load.Stdout = &said
	if err := load.Start(); err != nil {
		return r, err
	}
	time.Sleep(head)
	r.times, err = measure(last)
	if err := errors.Join(err, load.Wait()); err != nil {
		return r, err
	}
	n := 0
	if _, err := fmt.Sscan(said.String(), &n, &r.failed); err != nil {
		return r, fmt.Errorf("the load process says %q: %w", said.String(), err)
	}
	r.rate = float64(n) / last.Seconds()
	return r, nil
}

// connect makes TLS connections for a while, and prints how many there were and
// how many failed.
func connect(args []string) error {
	flags := flag.NewFlagSet("connect", flag.ExitOnError)
	addr := flags.String("addr", "", "address, an IPv4 one of this machine, and port")
	conns := flags.Int("c", 16, "handshakes under way")
	skip := flags.Duration("skip", 0, "time at the beginning, and at the end, that does not count")
	last := flags.Duration("for", time.Second, "time that counts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var done, failed atomic.Int64
	began := time.Now()
	d := dialer{addr: *addr, tls: clientTLS(), window: 1 << 20}
	var all sync.WaitGroup
	for range *conns {
		all.Go(func() {
			for {
				c, err := d.dial()
				at := time.Since(began) - *skip
				counts := at >= 0 && at < *last
				switch {
				case err != nil && counts:
					failed.Add(1)
				case err == nil:
					c.close()
					if counts {
						done.Add(1)
					}
				}
				if at >= *last+*skip {
					return
				}
				if err != nil {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	fmt.Println(done.Load(), failed.Load())
	return nil
}
