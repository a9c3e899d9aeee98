package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// figures are what an actor has done.
type figures struct {
	Done     int      `json:"done"`
	Failed   int      `json:"failed"`
	Refused  int      `json:"refused"`  // with 503 and Retry-After, beside an attack
	LeftOut  int      `json:"left_out"` // because too much of it was under way
	Failures []string `json:"failures,omitempty"`
}

// A report is what came of a run.
type report struct {
	Began   time.Time           `json:"began"`
	Commit  string              `json:"commit"`
	Go      string              `json:"go"`
	CPUs    int                 `json:"cpus"`
	Length  time.Duration       `json:"length"`
	Warm    time.Duration       `json:"warm"`
	Quiet   time.Duration       `json:"quiet"`
	Rate    float64             `json:"rate"`
	P50     float64             `json:"p50_ms"` // of the probe, over the whole load
	P99     float64             `json:"p99_ms"`
	P999    float64             `json:"p999_ms"`
	Before  state               `json:"before"`
	After   state               `json:"after"`
	Checks  []check             `json:"checks"`
	Actors  map[string]*figures `json:"actors"`
	Attacks map[string]int      `json:"attacks"`
	Log     []string            `json:"log,omitempty"`

	RefusedBeside map[string]int `json:"refused_beside,omitempty"` // which attack
	Marks         []mark         `json:"marks"`
	Samples       []sample       `json:"-"`

	// What is open, if something was left behind; it is not written.
	Open string `json:"-"`
}

func (r *report) names() []string { return slices.Sorted(maps.Keys(r.Actors)) }

// write writes the report to dir, and returns the names of its files without what they
// end in.
func (r *report) write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	base := filepath.Join(dir, r.Began.UTC().Format("20060102-150405"))
	for end, p := range map[string][]byte{".json": r.json(), ".svg": r.chart().svg(), ".md": []byte(r.markdown(filepath.Base(base) + ".svg"))} {
		if err := os.WriteFile(base+end, p, 0o644); err != nil {
			return "", err
		}
	}
	if r.Open != "" {
		if err := os.WriteFile(base+".open.txt", []byte(r.Open), 0o644); err != nil {
			return "", err
		}
	}
	return base, nil
}

// json is the report with a line for each sample.
func (r *report) json() []byte {
	head, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err) // it has nothing that cannot be told
	}
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(string(head), "\n}"))
	b.WriteString(",\n  \"samples\": [")
	for i, s := range r.Samples {
		line, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n    %s", line)
	}
	b.WriteString("\n  ]\n}\n")
	return []byte(b.String())
}

// during returns the samples of the load.
func (r *report) during() (samples []sample) {
	begin := r.begin("load")
	for _, s := range r.Samples {
		if at := s.At - begin; at >= 0 && at <= r.Length.Seconds() {
			samples = append(samples, s)
		}
	}
	return samples
}

func average(samples []sample, of func(sample) float64) (sum float64) {
	for _, s := range samples {
		sum += of(s) / float64(len(samples))
	}
	return sum
}

// markdown is the report in a page; chart is the name of the chart, or "".
func (r *report) markdown(chart string) string {
	var b strings.Builder
	during := r.during()
	verdict := "Nothing failed, and nothing was left behind."
	if f := r.faults(); len(f) > 0 {
		verdict = fmt.Sprintf("%d findings: %s.", len(f), strings.Join(f, "; "))
	}
	fmt.Fprintf(&b, "# %v of mixed load\n\n", r.Length)
	fmt.Fprintf(&b, "%s %s\n\n", verdict, "Commit "+r.Commit+", "+r.Go+", "+fmt.Sprint(r.CPUs)+" CPUs, begun at "+r.Began.UTC().Format("2006-01-02 15:04")+" UTC.")
	fmt.Fprintf(&b, "- load: %v, after %v of the same to warm up; %v of quiet behind each; rate %g.\n", r.Length, r.Warm, r.Quiet, r.Rate)
	fmt.Fprintf(&b, "- the server used %.2f of a core, the load %.2f, on average.\n",
		average(during, func(s sample) float64 { return s.CPU }), average(during, func(s sample) float64 { return s.LoadCPU }))
	fmt.Fprintf(&b, "- requests, those of attacks with them: %d, on average %.0f a second.\n",
		r.After.Requests, average(during, func(s sample) float64 { return s.Requests }))
	fmt.Fprintf(&b, "- `GET /bench/hello` beside all that: p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms.\n\n", r.P50, r.P99, r.P999)
	if chart != "" {
		fmt.Fprintf(&b, "![Memory, descriptors, goroutines, latency and CPU over the run](%s)\n\n", chart)
	}
	b.WriteString("| quiet: what is there | before | after | bound | |\n| --- | ---: | ---: | ---: | --- |\n")
	for _, c := range r.Checks {
		verdict := "good"
		if !c.Good {
			verdict = "**beyond**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", c.What, c.show(c.Before), c.show(c.After), c.show(c.Bound), verdict)
	}
	b.WriteString("\n| what was done | times | failed | refused beside an attack | left out |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, name := range r.names() {
		f := r.Actors[name]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", name, f.Done, f.Failed, f.Refused, f.LeftOut)
	}
	for _, name := range slices.Sorted(maps.Keys(r.RefusedBeside)) {
		fmt.Fprintf(&b, "\n- refused beside %s: %d", name, r.RefusedBeside[name])
	}
	for _, name := range r.names() {
		for _, text := range r.Actors[name].Failures {
			fmt.Fprintf(&b, "\n- %s, after %s", name, strings.ReplaceAll(text, "\n", " "))
		}
	}
	for _, line := range r.Log {
		fmt.Fprintf(&b, "\n- log: `%s`", line)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
