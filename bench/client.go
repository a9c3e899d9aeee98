package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// client names our own client, which buildClient makes.
func (g *ground) client() string { return filepath.Join(g.dir, "client") }

func buildClient(ctx context.Context, g *ground) error {
	return goBuild(ctx, g, "./bench/client", filepath.Base(g.client()))
}

// parseClient decodes what client/main.go prints.
func parseClient(out string) (loadResult, error) {
	var got struct {
		Requests int
		OK       int
		Octets   int64
		Seconds  float64
		P50      float64 `json:"p50_us"`
		P99      float64 `json:"p99_us"`
		TLS      string
		Error    string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		return loadResult{}, fmt.Errorf("client: %w: %q", err, out)
	}
	if got.OK == 0 || got.Seconds <= 0 {
		return loadResult{}, fmt.Errorf("client: %d of %d connections in %g s: %s", got.OK, got.Requests, got.Seconds, got.Error)
	}
	return loadResult{
		Elapsed:   time.Duration(got.Seconds * 1e9),
		PerSecond: float64(got.OK) / got.Seconds,
		Total:     got.Requests,
		Succeeded: got.OK,
		OK:        got.OK,
		Data:      got.Octets,
		TLS:       got.TLS,
		P50:       time.Duration(got.P50 * 1e3),
		P99:       time.Duration(got.P99 * 1e3),
	}, nil
}

// idleSettles is how long connections are idle before memory is looked at:
// servers may give back what they do not need.
const idleSettles = 5 * time.Second

// measureIdle has n connections made to p, which make one request and stay. CPU
// is what it costs to make them.
func (r *runner) measureIdle(ctx context.Context, p *process, w workload, port, n int) (measurement, error) {
	// What the first connections make a server grow by is not theirs.
	warm := w
	warm.mode, warm.clients = "full", idleWidth
	if _, _, err := r.load(ctx, p, warm, port, 10*idleWidth); err != nil {
		return measurement{}, err
	}
	emptyRSS, err := p.rss(current)
	if err != nil {
		return measurement{}, err
	}
	before, err := p.cpu()
	if err != nil {
		return measurement{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	argv := pinned(loadCore, append([]string{r.ground.client()}, w.args(r.ground, port, n)...))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), oneCore...)
	cmd.SysProcAttr = ownGroup()
	stderr := &tail{}
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return measurement{}, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return measurement{}, err
	}
	if err := cmd.Start(); err != nil {
		return measurement{}, err
	}
	look := func() (m measurement, err error) {
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			return m, err
		}
		result, err := parseClient(line)
		if err != nil {
			return m, err
		}
		after, err := p.cpu()
		if err != nil {
			return m, err
		}
		select {
		case <-time.After(idleSettles):
		case <-ctx.Done():
			return m, context.Cause(ctx)
		}
		fullRSS, err := p.rss(current)
		if err != nil {
			return m, err
		}
		peakRSS, err := p.rss(peak)
		if err != nil {
			return m, err
		}
		m = newMeasurement(w, result, cost{server: after - before}, peakRSS)
		m.IdleKiB = float64(fullRSS-emptyRSS) / kilo / float64(result.OK)
		return m, nil
	}
	m, err := look()
	_ = stdin.Close() // tells the client to end
	if waitErr := cmd.Wait(); err == nil && waitErr != nil {
		err = fmt.Errorf("client: %w: %s", waitErr, stderr.b)
	}
	return m, err
}
