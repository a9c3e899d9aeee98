package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A report is what an attacker has done, and what was done to it.
type report struct {
	Conns int64            // connections made
	Sent  int64            // octets
	Seen  map[string]int64 // answers, and ends of connections
}

// A row is what came of an attack.
type row struct {
	attack        *attack
	quiet, beside goodFigures
	before, after state
	peak          state
	did           report
	length        time.Duration
}

const (
	wantedGrowth = 8 << 20
	mostGrowth   = 32 << 20
	leastP99     = 20 * time.Millisecond
)

// faults says in what the server has not stood up to it.
func (r row) faults() (faults []string) {
	if n := len(r.beside.failures); n > 0 {
		faults = append(faults, fmt.Sprintf("%d good requests failed (%s)", n, r.beside.failures[0]))
	}
	if quiet, beside := r.quiet.p99(), r.beside.p99(); beside > max(3*quiet, leastP99) {
		faults = append(faults, fmt.Sprintf("p99 from %s to %s", ms(quiet), ms(beside)))
	}
	if grown := r.peak.rss - r.before.rss; grown > mostGrowth {
		faults = append(faults, fmt.Sprintf("%s of memory", mib(grown)))
	}
	if left := r.after.rss - r.before.rss; left > wantedGrowth {
		faults = append(faults, fmt.Sprintf("%s of memory, %v later", mib(left), settles))
	}
	if left := r.after.files - r.before.files; left > 20 {
		faults = append(faults, fmt.Sprintf("%d descriptors, %v later", left, settles))
	}
	if left := r.after.tasks - r.before.tasks; left > 20 {
		faults = append(faults, fmt.Sprintf("%d goroutines, %v later", left, settles))
	}
	if r.attack.never != "" {
		for seen := range r.did.Seen {
			if strings.Contains(seen, r.attack.never) {
				faults = append(faults, "the attacker saw "+seen)
			}
		}
	}
	return faults
}

// seen tells the commonest things that the attacker saw.
func (r row) seen() string {
	type pair struct {
		what string
		n    int64
	}
	var pairs []pair
	for what, n := range r.did.Seen {
		pairs = append(pairs, pair{what, n})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return int(b.n - a.n) })
	var words []string
	for _, p := range pairs[:min(len(pairs), 4)] {
		words = append(words, fmt.Sprintf("%d %s", p.n, p.what))
	}
	return strings.Join(words, ", ")
}

func (r row) cells() []string {
	cpu := float64(r.peak.cpu-r.before.cpu) / float64(r.length)
	verdict := "stood"
	if f := r.faults(); len(f) > 0 {
		verdict = strings.Join(f, "; ")
	}
	return []string{
		r.attack.name,
		fmt.Sprint(r.did.Conns),
		mib(r.did.Sent),
		r.seen(),
		fmt.Sprintf("%s, %s", mib(r.peak.rss-r.before.rss), mib(r.after.rss-r.before.rss)),
		fmt.Sprintf("+%d, +%d", r.peak.files-r.before.files, r.peak.tasks-r.before.tasks),
		fmt.Sprintf("%.0f %%", 100*cpu),
		fmt.Sprint(len(r.beside.failures), " of ", len(r.beside.times)),
		fmt.Sprintf("%s, %s", ms(r.quiet.p99()), ms(r.beside.p99())),
		verdict,
	}
}

var headings = []string{
	"attack", "connections", "sent", "what the server did", "memory: peak, 2 s later", "descriptors, goroutines: peak", "CPU", "good requests that failed", "p99: quiet, beside it", "verdict",
}

func (r row) String() string {
	var b strings.Builder
	for i, c := range r.cells() {
		if i == 0 {
			fmt.Fprintf(&b, "%s\n", c)
		} else {
			fmt.Fprintf(&b, "    %-26s %s\n", headings[i]+":", c)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// table is the rows in markdown.
func table(rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(headings, " | "), strings.Repeat(" --- |", len(headings)))
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(r.cells(), " | "))
	}
	return b.String()
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }
