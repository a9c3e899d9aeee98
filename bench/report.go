package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A measurement is one run of one workload on one server.
type measurement struct {
	Requests int     `json:"requests"`
	Failed   int     `json:"failed"`       // requests without a 2xx
	Rate     float64 `json:"rate"`         // requests, or MB, per second
	CPU      float64 `json:"cpu_us"`       // microseconds per request, or per MB
	Busy     float64 `json:"busy"`         // part of the core that the server used
	Seconds  float64 `json:"seconds"`      // of wall time
	PeakRSS  int64   `json:"peak_rss"`     // octets
	TLS      string  `json:"tls,omitzero"` // protocol and cipher
}

func newMeasurement(w workload, r loadResult, cpu time.Duration, rss int64) measurement {
	units := 1.0 // a request
	if w.perMB() {
		units = float64(w.size) / 1e6
	}
	return measurement{
		Requests: r.Total,
		Failed:   r.failed(),
		Rate:     r.PerSecond * units,
		CPU:      float64(cpu.Microseconds()) / (float64(r.OK) * units),
		Busy:     cpu.Seconds() / r.Elapsed.Seconds(),
		Seconds:  r.Elapsed.Seconds(),
		PeakRSS:  rss,
		TLS:      r.TLS,
	}
}

// line tells of a measurement while the benchmark runs.
func (m measurement) line(w workload) string {
	unit := "req"
	if w.perMB() {
		unit = "MB"
	}
	return fmt.Sprintf("%10.1f %s/s  %8.2f us/%s  %3.0f %% busy  %5.1f s  %d failed", m.Rate, unit, m.CPU, unit, 100*m.Busy, m.Seconds, m.Failed)
}

// A result is all measurements of one workload on one server.
type result struct {
	Workload string        `json:"workload"`
	Server   string        `json:"server"`
	Unit     string        `json:"unit"` // of Rate and CPU: "request" or "MB", 10^6 octets of body
	Median   measurement   `json:"median"`
	Spread   float64       `json:"spread"` // (largest - smallest) / median of CPU
	Rounds   []measurement `json:"rounds"`
	Errors   []string      `json:"errors,omitzero"` // of runs without a figure
}

// A report is what a benchmark found, and where.
type report struct {
	Date    time.Time         `json:"date"`
	Machine map[string]string `json:"machine"`
	Servers map[string]string `json:"servers"` // versions
	Load    string            `json:"load"`    // h2load's version
	Rounds  int               `json:"rounds"`
	Scale   float64           `json:"scale"`
	Results []*result         `json:"results"`
}

func newReport(ctx context.Context, g *ground, servers []*server, rounds int, scale float64) *report {
	r := &report{
		Date:    time.Now().UTC().Truncate(time.Second),
		Machine: machine(ctx),
		Servers: map[string]string{},
		Load:    firstLine(ctx, "h2load", "--version"),
		Rounds:  rounds,
		Scale:   scale,
	}
	for _, s := range servers {
		r.Servers[s.name] = s.describe(ctx, g)
	}
	return r
}

// machine tells what the figures were measured on.
func machine(ctx context.Context) map[string]string {
	cpu := "unknown"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			cpu = strings.TrimSpace(value)
			break
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	return map[string]string{
		"cpu":          cpu,
		"cores":        fmt.Sprint(runtime.NumCPU()),
		"kernel":       firstLine(ctx, "uname", "-sr"),
		"load average": strings.TrimSpace(string(load)),
	}
}

// add records a measurement, or the error that kept it from being made.
func (r *report) add(s *server, w workload, m measurement, err error) {
	i := slices.IndexFunc(r.Results, func(e *result) bool { return e.Workload == w.name && e.Server == s.name })
	if i < 0 {
		i = len(r.Results)
		unit := "request"
		if w.perMB() {
			unit = "MB"
		}
		r.Results = append(r.Results, &result{Workload: w.name, Server: s.name, Unit: unit})
	}
	e := r.Results[i]
	if err != nil {
		e.Errors = append(e.Errors, err.Error())
		return
	}
	e.Rounds = append(e.Rounds, m)
	e.summarize()
}

// summarize computes Median and Spread from Rounds.
func (e *result) summarize() {
	column := func(get func(measurement) float64) []float64 {
		var v []float64
		for _, m := range e.Rounds {
			v = append(v, get(m))
		}
		return v
	}
	cpu := column(func(m measurement) float64 { return m.CPU })
	e.Median = measurement{
		Requests: e.Rounds[0].Requests,
		Rate:     median(column(func(m measurement) float64 { return m.Rate })),
		CPU:      median(cpu),
		Busy:     median(column(func(m measurement) float64 { return m.Busy })),
		Seconds:  median(column(func(m measurement) float64 { return m.Seconds })),
		PeakRSS:  int64(median(column(func(m measurement) float64 { return float64(m.PeakRSS) }))),
		TLS:      e.Rounds[0].TLS,
	}
	for _, m := range e.Rounds {
		e.Median.Failed += m.Failed // a failure is never the odd one out
	}
	e.Spread = (slices.Max(cpu) - slices.Min(cpu)) / e.Median.CPU
}

// median returns the middle of v, or the mean of its two middles.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// bestPeer returns the highest rate and the lowest CPU among the servers
// other than h2loop, which need not be the same one's; 0 where there is none.
func (r *report) bestPeer(workload string) (rate, cpu float64) {
	for _, e := range r.Results {
		if e.Workload != workload || e.Server == subject || len(e.Rounds) == 0 {
			continue
		}
		rate = max(rate, e.Median.Rate)
		if cpu == 0 || e.Median.CPU < cpu {
			cpu = e.Median.CPU
		}
	}
	return rate, cpu
}

// lost counts the runs that did not come to a figure.
func (r *report) lost() int {
	n := 0
	for _, e := range r.Results {
		n += len(e.Errors)
	}
	return n
}

// failed counts the requests that failed in the others.
func (r *report) failed() int {
	n := 0
	for _, e := range r.Results {
		n += e.Median.Failed
	}
	return n
}

// markdown returns the report as a page with one table.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", r.Date.Format(time.RFC3339))
	fmt.Fprintf(&b, "%s, %s cores, %s, load average %s. Server on core %d, %s on core %d. Medians of %d rounds, scale %g.\n\n",
		r.Machine["cpu"], r.Machine["cores"], r.Machine["kernel"], r.Machine["load average"], serverCore, r.Load, loadCore, r.Rounds, r.Scale)
	for _, s := range servers {
		if v, ok := r.Servers[s.name]; ok {
			fmt.Fprintf(&b, "- %s: %s\n", s.name, v)
		}
	}
	b.WriteString("\nMB is 10^6 octets of body. A ratio is to the best peer for that column: a rate above 1 and a CPU below 1 are better.\n\n")
	b.WriteString("| workload | server | rate | ratio | CPU | ratio | spread | busy | failed | peak RSS, MiB | TLS |\n")
	b.WriteString("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n")
	for _, e := range r.Results {
		if len(e.Rounds) == 0 {
			fmt.Fprintf(&b, "| %s | %s | none |\n", e.Workload, e.Server)
			continue
		}
		m := e.Median
		unit := map[string]string{"request": "req", "MB": "MB"}[e.Unit]
		rate, cpu := r.bestPeer(e.Workload)
		fmt.Fprintf(&b, "| %s | %s | %.0f %s/s | %s | %.2f us/%s | %s | %.0f %% | %.0f %% | %d | %.1f | %s |\n",
			e.Workload, e.Server, m.Rate, unit, ratio(m.Rate, rate), m.CPU, unit, ratio(m.CPU, cpu),
			100*e.Spread, 100*m.Busy, m.Failed, float64(m.PeakRSS)/mega, m.TLS)
	}
	if r.lost() > 0 {
		b.WriteString("\nRuns without a figure:\n\n")
	}
	for _, e := range r.Results {
		for _, why := range e.Errors {
			fmt.Fprintf(&b, "- %s, %s: %s\n", e.Workload, e.Server, strings.Join(strings.Fields(why), " "))
		}
	}
	return b.String()
}

func ratio(value, best float64) string {
	if best == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", value/best)
}

// write puts the report into dir as JSON and as markdown, and returns the
// files' common name.
func (r *report) write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	base := filepath.Join(dir, r.Date.Format("20060102-150405"))
	if err := os.WriteFile(base+".json", append(data, '\n'), 0o644); err != nil {
		return "", err
	}
	return base, os.WriteFile(base+".md", []byte(r.markdown()), 0o644)
}
