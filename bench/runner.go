package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/h2loop/h2loop/bench/freeport"
)

const (
	serverCore = 0
	loadCore   = 1
)

const (
	// targetCPU is the server's CPU time in one run at scale 1: enough for
	// the kernel's clock tick of 10 ms to be 0.5 % of it.
	targetCPU = 2 * time.Second
	// timedRun is how long a run at scale 1 takes if its tool counts seconds.
	timedRun = 4 * time.Second
	// maxWall bounds runs in which the load or the network is the slower one.
	maxWall = 15 * time.Second
	// maxConnections keeps a run from taking all ports, whose connections the
	// kernel remembers for a while.
	maxConnections = 20_000
	// maxTries is how often a run is repeated that others have disturbed.
	maxTries = 6
	// runLimit is when a run at scale 1 counts as stuck.
	runLimit = 90 * time.Second
)

// A runner measures servers, one at a time.
type runner struct {
	ground *ground
	scale  float64
	quiet  float64 // what others may use of the cores; 0 for anything
	report *report
}

// all runs every workload on every server, the servers taking turns.
func (r *runner) all(ctx context.Context, servers []*server, loads []workload, rounds int) error {
	for _, w := range loads {
		n := map[*server]int{} // requests of a run, fixed in the first round
		for round := range rounds {
			order := slices.Clone(servers)
			if round%2 == 1 {
				slices.Reverse(order) // so that nobody always follows the same one
			}
			for _, s := range order {
				if why := s.cannot(w); why != "" {
					if round == 0 {
						fmt.Printf("%-24s %-8s skipped: %s\n", w.name, s.name, why)
					}
					continue
				}
				m, err := r.measureQuietly(ctx, s, w, n[s])
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err != nil {
					fmt.Printf("%-24s %-8s round %d: %v\n", w.name, s.name, round+1, err)
				} else {
					n[s] = m.Requests
					fmt.Printf("%-24s %-8s round %d: %s\n", w.name, s.name, round+1, m.line(w))
				}
				r.report.add(s, w, m, err)
			}
		}
	}
	return nil
}

// cannot returns why w cannot be measured on s, or "".
func (s *server) cannot(w workload) string {
	if s.lacks == nil {
		return ""
	}
	return s.lacks(w)
}

// measureQuietly measures until others have left the machine alone, or enough
// times, and returns the run that they have disturbed least.
func (r *runner) measureQuietly(ctx context.Context, s *server, w workload, n int) (best measurement, err error) {
	for try := range maxTries {
		m, err := r.measure(ctx, s, w, n)
		if err != nil {
			return m, err
		}
		if try == 0 || m.Others < best.Others {
			best = m
		}
		if r.quiet == 0 || best.Others <= r.quiet {
			break
		}
	}
	return best, nil
}

// measure starts a server, sees it serve w, loads it with n requests and ends
// it. With n of 0 it finds out how many requests cost targetCPU.
func (r *runner) measure(ctx context.Context, s *server, w workload, n int) (measurement, error) {
	p, port, err := startServer(ctx, r.ground, s, w)
	if err != nil {
		return measurement{}, err
	}
	defer p.stop()
	if err := check(ctx, r.ground, w, port); err != nil {
		return measurement{}, err
	}
	if w.isIdle() {
		return r.measureIdle(ctx, p, w, port, w.clients)
	}
	switch {
	case w.isTimed():
		n = max(1, int(math.Round(r.scale*timedRun.Seconds())))
		if w.rate > 0 {
			n *= 3 // the server is not busy
		}
		_, _, err = r.load(ctx, p, w, port, 1) // warm it up
	case n == 0:
		n, err = r.calibrate(ctx, p, w, port)
	default:
		_, _, err = r.load(ctx, p, w, port, w.batch(n/20)) // likewise
	}
	if err != nil {
		return measurement{}, err
	}
	result, c, err := r.load(ctx, p, w, port, n)
	if err != nil {
		return measurement{}, err
	}
	if want := int64(result.OK) * int64(w.size); !w.upload && float64(result.Data) < 0.99*float64(want) { // wrk rounds
		return measurement{}, fmt.Errorf("%d octets of body received, not %d", result.Data, want)
	}
	rss, err := p.rss(peak)
	if err != nil {
		return measurement{}, err
	}
	if result.OK == 0 || c.server == 0 {
		return measurement{}, fmt.Errorf("%d requests answered in %v of CPU: nothing to divide", result.OK, c.server)
	}
	return newMeasurement(w, result, c, rss), nil
}

// A cost is what a run took of the machine.
type cost struct {
	server time.Duration // CPU time
	others time.Duration // of whoever is neither the server nor the tool
}

// load makes the load once and returns what it took beside the tool's report.
func (r *runner) load(ctx context.Context, p *process, w workload, port, n int) (loadResult, cost, error) {
	before, err := p.cpu()
	if err != nil {
		return loadResult{}, cost{}, err
	}
	allBefore, err := machineCPU()
	if err != nil {
		return loadResult{}, cost{}, err
	}
	limit := time.Duration(max(1, r.scale) * float64(runLimit))
	result, err := runTool(ctx, r.ground, w, port, n, limit)
	if err != nil {
		return loadResult{}, cost{}, err
	}
	allAfter, err := machineCPU()
	if err != nil {
		return loadResult{}, cost{}, err
	}
	after, err := p.cpu()
	c := cost{server: after - before}
	c.others = max(0, allAfter-allBefore-c.server-result.ToolCPU)
	return result, c, err
}

// calibrate returns the number of requests that cost the server targetCPU.
// It warms the server up, too.
func (r *runner) calibrate(ctx context.Context, p *process, w workload, port int) (int, error) {
	const enough = targetCPU / 8
	for n := w.batch(1); ; n = w.batch(4 * n) {
		began := time.Now()
		_, c, err := r.load(ctx, p, w, port, n)
		if err != nil {
			return 0, err
		}
		cpu := c.server
		wall := time.Since(began)
		if cpu < enough && wall < maxWall/4 {
			continue
		}
		factor := float64(maxWall) / float64(wall)
		if cpu > 0 {
			factor = min(factor, float64(targetCPU)/float64(cpu))
		}
		n = w.batch(int(r.scale * factor * float64(n)))
		if w.madeBy() == toolClient {
			n = min(n, maxConnections)
		}
		return n, nil
	}
}

// batch rounds n up so that every stream of every client gets as many
// requests as the others.
func (w workload) batch(n int) int {
	whole := w.clients * w.streams
	return max(1, (n+whole-1)/whole) * whole
}

// startServer starts s for w on core 0 and waits until it accepts connections.
func startServer(ctx context.Context, g *ground, s *server, w workload) (*process, int, error) {
	addrs, err := freeport.Addrs(1)
	if err != nil {
		return nil, 0, err
	}
	_, portText, _ := net.SplitHostPort(addrs[0])
	port, _ := strconv.Atoi(portText)
	argv, err := s.command(g, w.endpoint(port))
	if err != nil {
		return nil, 0, err
	}
	p, err := start(serverCore, argv, s.environ)
	if err != nil {
		return nil, 0, err
	}
	if err := p.awaitPort(ctx, port); err != nil {
		p.stop()
		return nil, 0, fmt.Errorf("%s: %w\n%s", s.name, err, p.output.b)
	}
	return p, port, nil
}

func (p *process) awaitPort(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.exited:
			return fmt.Errorf("ended at once: %w", p.err)
		case <-ctx.Done():
			return errors.Join(errors.New("does not listen"), context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
