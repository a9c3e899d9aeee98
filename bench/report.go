package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	Failed   int     `json:"failed"`          // requests without a 2xx
	Rate     float64 `json:"rate"`            // requests, or MB, per second
	CPU      float64 `json:"cpu_us"`          // microseconds per request, or per MB
	P50      float64 `json:"p50_us,omitzero"` // of a request, where the tool tells
	P99      float64 `json:"p99_us,omitzero"`
	Busy     float64 `json:"busy"`              // part of the core that the server used
	Others   float64 `json:"others"`            // cores that neither the server nor the tool used: should be near 0
	Seconds  float64 `json:"seconds"`           // of wall time
	PeakRSS  int64   `json:"peak_rss"`          // octets
	IdleKiB  float64 `json:"idle_kib,omitzero"` // resident memory that a connection has added
	TLS      string  `json:"tls,omitzero"`      // protocol and cipher
}

func newMeasurement(w workload, r loadResult, c cost, rss int64) measurement {
	done, rate := float64(r.OK), r.PerSecond // in requests
	if w.perMB() {
		done *= float64(w.size) / 1e6
		rate *= float64(w.size) / 1e6
		if w.isTimed() && !w.upload {
			// What came of bodies that the end has cut off was work, too.
			done = float64(r.Data) / 1e6
			rate = done / r.Elapsed.Seconds()
		}
	}
	return measurement{
		Requests: r.Total,
		Failed:   r.failed(),
		Rate:     rate,
		CPU:      float64(c.server.Microseconds()) / done,
		P50:      float64(r.P50.Nanoseconds()) / 1e3,
		P99:      float64(r.P99.Nanoseconds()) / 1e3,
		Busy:     c.server.Seconds() / r.Elapsed.Seconds(),
		Others:   c.others.Seconds() / r.Elapsed.Seconds(),
		Seconds:  r.Elapsed.Seconds(),
		PeakRSS:  rss,
		TLS:      r.TLS,
	}
}

// shortUnit is a unit as the tables have it.
func shortUnit(unit string) string {
	switch unit {
	case "request":
		return "req"
	case "connection":
		return "conn"
	default:
		return unit
	}
}

// line tells of a measurement while the benchmark runs.
func (m measurement) line(w workload) string {
	unit := shortUnit(w.unit())
	if w.isIdle() {
		return fmt.Sprintf("%10.1f KiB/%s  %8.2f us/%s  %d failed", m.IdleKiB, unit, m.CPU, unit, m.Failed)
	}
	return fmt.Sprintf("%10.1f %s/s  %8.2f us/%s  %3.0f %% busy  %3.0f %% others  %5.1f s  %d failed",
		m.Rate, unit, m.CPU, unit, 100*m.Busy, 100*m.Others, m.Seconds, m.Failed)
}

// A result is all measurements of one workload on one server.
type result struct {
	Workload string        `json:"workload"`
	Server   string        `json:"server"`
	Tool     string        `json:"tool"` // that made the load
	Unit     string        `json:"unit"` // of Rate and CPU: "request", "connection" or "MB", 10^6 octets of body
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
	Tools   map[string]string `json:"tools"`   // versions
	Rounds  int               `json:"rounds"`
	Scale   float64           `json:"scale"`
	Results []*result         `json:"results"`
}

func newReport(ctx context.Context, g *ground, servers []*server, loads []workload, rounds int, scale float64) *report {
	r := &report{
		Date:    time.Now().UTC().Truncate(time.Second),
		Machine: machine(ctx, g.module),
		Servers: map[string]string{},
		Tools:   map[string]string{},
		Rounds:  rounds,
		Scale:   scale,
	}
	for _, s := range servers {
		r.Servers[s.name] = s.describe(ctx, g)
	}
	for _, w := range loads {
		name := string(w.madeBy())
		if _, ok := r.Tools[name]; ok {
			continue
		}
		switch w.madeBy() {
		case toolH2load:
			r.Tools[name] = firstLine(ctx, name, "--version")
		case toolClient:
			r.Tools[name] = "bench/client, " + runtime.Version()
		default:
			version, _, _ := strings.Cut(firstLine(ctx, name, "-v"), " Copyright")
			r.Tools[name] = version
		}
	}
	return r
}

// machine tells what the figures were measured on.
func machine(ctx context.Context, module string) map[string]string {
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
		"commit":       firstLine(ctx, "git", "-C", module, "describe", "--always", "--dirty", "--abbrev=12"),
		"kernel":       firstLine(ctx, "uname", "-sr"),
		"load average": strings.TrimSpace(string(load)),
	}
}

// add records a measurement, or the error that kept it from being made.
func (r *report) add(s *server, w workload, m measurement, err error) {
	i := slices.IndexFunc(r.Results, func(e *result) bool { return e.Workload == w.name && e.Server == s.name })
	if i < 0 {
		i = len(r.Results)
		r.Results = append(r.Results, &result{Workload: w.name, Server: s.name, Tool: string(w.madeBy()), Unit: w.unit()})
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
		P50:      median(column(func(m measurement) float64 { return m.P50 })),
		P99:      median(column(func(m measurement) float64 { return m.P99 })),
		IdleKiB:  median(column(func(m measurement) float64 { return m.IdleKiB })),
		Busy:     median(column(func(m measurement) float64 { return m.Busy })),
		Others:   median(column(func(m measurement) float64 { return m.Others })),
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

// best returns the best value among the servers other than h2loop: the highest,
// or the lowest if lower is better; 0 where there is none.
func (r *report) best(workload string, lower bool, get func(measurement) float64) float64 {
	best := 0.0
	for _, e := range r.Results {
		if e.Workload != workload || e.Server == subject || len(e.Rounds) == 0 {
			continue
		}
		if v := get(e.Median); best == 0 || (v < best) == lower {
			best = v
		}
	}
	return best
}

func rateOf(m measurement) float64 { return m.Rate }
func cpuOf(m measurement) float64  { return m.CPU }
func idleOf(m measurement) float64 { return m.IdleKiB }

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

// markdown returns the report as a page of tables.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", r.Date.Format(time.RFC3339))
	fmt.Fprintf(&b, "%s, %s cores, %s, load average %s. Server on core %d, load on core %d. Medians of %d rounds, scale %g.\n\n",
		r.Machine["cpu"], r.Machine["cores"], r.Machine["kernel"], r.Machine["load average"], serverCore, loadCore, r.Rounds, r.Scale)
	if commit := r.Machine["commit"]; commit != "" {
		fmt.Fprintf(&b, "Made at %s.\n\n", commit)
	}
	for _, s := range servers {
		if v, ok := r.Servers[s.name]; ok {
			fmt.Fprintf(&b, "- %s: %s\n", s.name, v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Tools)) {
		fmt.Fprintf(&b, "- load by %s: %s\n", name, r.Tools[name])
	}
	b.WriteString("\nMB is 10^6 octets of body. A ratio is to the best peer for that column: a rate above 1 and a CPU below 1 are better.\n" +
		"Busy is the server's part of its core; others is what neither the server nor the load used of a core, and should be near 0 %.\n\n")
	b.WriteString("| workload | server | rate | ratio | CPU | ratio | spread | busy | others | p50, us | p99, us | failed | peak RSS, MiB | TLS |\n")
	b.WriteString("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n")
	idle := false
	for _, e := range r.Results {
		if len(e.Rounds) == 0 {
			fmt.Fprintf(&b, "| %s | %s | none |\n", e.Workload, e.Server)
			continue
		}
		m, unit := e.Median, shortUnit(e.Unit)
		idle = idle || m.IdleKiB != 0
		fmt.Fprintf(&b, "| %s | %s | %.0f %s/s | %s | %.2f us/%s | %s | %.0f %% | %.0f %% | %.0f %% | %s | %s | %d | %.1f | %s |\n",
			e.Workload, e.Server, m.Rate, unit, ratio(m.Rate, r.best(e.Workload, false, rateOf)),
			m.CPU, unit, ratio(m.CPU, r.best(e.Workload, true, cpuOf)),
			100*e.Spread, 100*m.Busy, 100*m.Others, micros(m.P50), micros(m.P99), m.Failed, float64(m.PeakRSS)/mega, m.TLS)
	}
	if idle {
		b.WriteString("\nResident memory that an idle connection has added:\n\n")
		b.WriteString("| workload | server | KiB | ratio |\n| --- | --- | ---: | ---: |\n")
		for _, e := range r.Results {
			if e.Median.IdleKiB != 0 {
				fmt.Fprintf(&b, "| %s | %s | %.1f | %s |\n", e.Workload, e.Server, e.Median.IdleKiB,
					ratio(e.Median.IdleKiB, r.best(e.Workload, true, idleOf)))
			}
		}
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

// micros is a time as the table has it: nothing where the tool does not tell.
func micros(us float64) string {
	if us == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", us)
}

func ratio(value, best float64) string {
	if best == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", value/best)
}

// write puts the report into dir as JSON, as markdown and as plots, and returns
// the files' common name.
func (r *report) write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	base := filepath.Join(dir, r.Date.Format("20060102-150405"))
	return base, errors.Join(
		os.WriteFile(base+".json", append(data, '\n'), 0o644),
		os.WriteFile(base+".md", []byte(r.markdown()), 0o644),
		os.WriteFile(base+".cpu.svg", r.cpuPlot().svg(), 0o644),
		os.WriteFile(base+".rate.svg", r.ratePlot().svg(), 0o644),
	)
}
