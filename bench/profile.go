package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/h2loop/h2loop/bench/freeport"
)

// flames has perf look where the CPU time of h2loop goes under each of loads, and writes
// a flame graph of it to dir.
func (r *runner) flames(ctx context.Context, loads []workload, dir string) error {
	if _, err := exec.LookPath("perf"); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, w := range loads {
		f, m, err := r.profile(ctx, servers[0], w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		unit := "us/" + shortUnit(w.unit())
		name := filepath.Join(dir, w.name+".svg")
		title := fmt.Sprintf("%s %s: %d samples, %.3g %s of CPU", subject, w.name, f.samples, m.CPU, unit)
		if err := os.WriteFile(name, f.svg(title, m.CPU, unit), 0o644); err != nil {
			return err
		}
		fmt.Printf("%s\nwritten: %s\n", title, name)
	}
	return nil
}

// profile loads s with w, beside which perf samples the server.
func (r *runner) profile(ctx context.Context, s *server, w workload) (*flame, measurement, error) {
	p, port, err := startServer(ctx, r.ground, s, w)
	if err != nil {
		return nil, measurement{}, err
	}
	defer p.stop()
	if err := check(ctx, r.ground, w, port); err != nil {
		return nil, measurement{}, err
	}
	n := max(1, int(r.scale*timedRun.Seconds()))
	if !w.isTimed() {
		if n, err = r.calibrate(ctx, p, w, port); err != nil {
			return nil, measurement{}, err
		}
	}
	data := filepath.Join(r.ground.dir, "perf.data")
	// The clock, because a guest may have no counters; an odd frequency, so as not to
	// keep step with any timer.
	perf := exec.CommandContext(ctx, "perf", "record", "-e", "cpu-clock", "-F", "1999", "-g", "-o", data, "-p", strconv.Itoa(p.cmd.Process.Pid))
	var said bytes.Buffer
	perf.Stderr = &said
	perf.SysProcAttr = ownGroup()
	if err := perf.Start(); err != nil {
		return nil, measurement{}, err
	}
	time.Sleep(time.Second) // until it looks
	result, c, err := r.load(ctx, p, w, port, n)
	_ = perf.Process.Signal(syscall.SIGINT)
	if e := perf.Wait(); e != nil && said.Len() > 0 && err == nil {
		if _, missing := os.Stat(data); missing != nil {
			return nil, measurement{}, fmt.Errorf("perf record: %w\n%s", e, said.Bytes())
		}
	}
	if err != nil {
		return nil, measurement{}, err
	}
	if result.OK == 0 {
		return nil, measurement{}, fmt.Errorf("no request was answered")
	}
	script := exec.CommandContext(ctx, "perf", "script", "-i", data, "-F", "comm,ip,sym")
	out, err := script.Output()
	if err != nil {
		return nil, measurement{}, fmt.Errorf("perf script: %w", err)
	}
	f, err := readStacks(bytes.NewReader(out))
	if err == nil && f.samples == 0 {
		err = fmt.Errorf("perf has no samples\n%s", said.Bytes())
	}
	return f, newMeasurement(w, result, c, 0), err
}

// pgoTime is for how long each load is sampled for the compiler.
const pgoTime = 5 * time.Second

// writePGO writes to file what Go's profiler sees of h2loop under each of loads, for as
// long as each takes its CPU: for the compiler.
func (r *runner) writePGO(ctx context.Context, loads []workload, file string) error {
	var profiles []string
	for i, w := range loads {
		name := filepath.Join(r.ground.dir, "pgo-"+strconv.Itoa(i))
		if err := r.goProfile(ctx, w, name); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Println(w.name)
		profiles = append(profiles, name)
	}
	merge := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-proto", "-output", file}, profiles...)...)
	if out, err := merge.CombinedOutput(); err != nil {
		return fmt.Errorf("go tool pprof: %w\n%s", err, out)
	}
	fmt.Println("written:", file)
	return nil
}

// goProfile writes to file what the profiler sees under w.
func (r *runner) goProfile(ctx context.Context, w workload, file string) error {
	addrs, err := freeport.Addrs(1)
	if err != nil {
		return err
	}
	admin := addrs[0]
	s := *servers[0]
	command := s.command
	s.command = func(g *ground, e endpoint) ([]string, error) {
		argv, err := command(g, e)
		return append(argv, "--admin", admin), err
	}
	p, port, err := startServer(ctx, r.ground, &s, w)
	if err != nil {
		return err
	}
	defer p.stop()
	n := max(1, int(pgoTime.Seconds()))
	if !w.isTimed() {
		if n, err = r.calibrate(ctx, p, w, port); err != nil {
			return err
		}
	}
	fetched := make(chan error, 1)
	go func() {
		fetched <- fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, int(pgoTime.Seconds())), file)
	}()
	for { // until the profile is there
		if _, _, err := r.load(ctx, p, w, port, n); err != nil {
			return errors.Join(err, <-fetched)
		}
		select {
		case err := <-fetched:
			return err
		default:
		}
	}
}

// fetch writes what url has to file.
func fetch(ctx context.Context, url, file string) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, b)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}
