package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A sample is what was seen at a moment, and since the one before.
type sample struct {
	At          float64 `json:"at"` // seconds since the start
	RSS         int64   `json:"rss"`
	Heap        int64   `json:"heap"`
	Files       int     `json:"fds"`
	Goroutines  int     `json:"goroutines"`
	Connections int     `json:"connections"`
	Streams     int     `json:"streams"`
	Held        int64   `json:"held_output"`
	CPU         float64 `json:"cpu"`     // of the server, in cores
	LoadCPU     float64 `json:"loadcpu"` // of this program and the attackers it has started
	Requests    float64 `json:"requests_per_second"`
	P50         float64 `json:"p50_ms"` // of the probe; 0 if there was none
	P99         float64 `json:"p99_ms"`
}

// A mark is where a phase begins.
type mark struct {
	At   float64 `json:"at"`
	Name string  `json:"name"`
}

// A watch looks at the server again and again, and counts what actors tell.
type watch struct {
	srv *server
	end chan struct{}
	all sync.WaitGroup

	mu     sync.Mutex // guards what follows
	r      *report
	times  []time.Duration // of the probe, since the last sample
	whole  []time.Duration // and in the phase
	lines  int64           // of access logs that were counted
	attack string          // the last one
	calm   time.Time       // when it ended, and what it has left behind has gone; zero while it goes on
	looked bool
	last   state
	lastAt time.Time
	lastMe float64
}

func newWatch(srv *server, r *report) *watch {
	r.Actors, r.Attacks, r.RefusedBeside = map[string]*figures{}, map[string]int{}, map[string]int{}
	return &watch{srv: srv, r: r, end: make(chan struct{})}
}

// run takes samples until it is stopped.
func (w *watch) run(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := w.take(); err != nil {
				w.count("metrics", err)
			}
		case <-w.end:
			return
		case <-w.srv.ended:
			return
		}
	}
}

func (w *watch) start(every time.Duration) { w.all.Go(func() { w.run(every) }) }

func (w *watch) stop() {
	close(w.end)
	w.all.Wait()
}

func (w *watch) take() error {
	st, err := w.srv.look()
	if err != nil {
		return err
	}
	now, me := time.Now(), ownCPU()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := sample{
		At: now.Sub(w.r.Began).Seconds(), RSS: st.RSS, Heap: st.Heap, Files: st.Files, Goroutines: st.Goroutines,
		Connections: st.Connections, Streams: st.Streams, Held: st.Held,
	}
	slices.Sort(w.times)
	s.P50, s.P99 = quantile(w.times, 0.5), quantile(w.times, 0.99)
	w.times = w.times[:0]
	if took := now.Sub(w.lastAt).Seconds(); w.looked && took > 0 {
		s.CPU = (st.CPU - w.last.CPU) / took
		s.LoadCPU = (me - w.lastMe) / took
		s.Requests = float64(st.Requests-w.last.Requests) / took
		w.r.Samples = append(w.r.Samples, s)
	}
	w.looked, w.last, w.lastAt, w.lastMe = true, st, now, me
	return nil
}

// ownCPU returns the seconds of CPU that this process, and those that it has waited for,
// have used.
func ownCPU() (sum float64) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
		}
	}
	return sum
}

// quantile returns one of times, which are sorted, in milliseconds.
func quantile(times []time.Duration, q float64) float64 {
	if len(times) == 0 {
		return 0
	}
	return float64(times[min(len(times)-1, int(q*float64(len(times))))]) / float64(time.Millisecond)
}

// mark notes that a phase begins.
func (w *watch) mark(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.r.Marks = append(w.r.Marks, mark{time.Since(w.r.Began).Seconds(), name})
	if name == "load" {
		w.whole = nil
	}
}

// took notes how long the probe has taken.
func (w *watch) took(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times = append(w.times, d)
	w.whole = append(w.whole, d)
}

func (w *watch) figuresOf(actor string) *figures {
	f := w.r.Actors[actor]
	if f == nil {
		f = &figures{}
		w.r.Actors[actor] = f
	}
	return f
}

const keptFailures = 20

// count counts what an actor has done, and tells of what has failed.
func (w *watch) count(actor string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.figuresOf(actor)
	f.Done++
	if err == nil {
		return
	}
	if errors.Is(err, errRefused) && w.attack != "" && (w.calm.IsZero() || time.Now().Before(w.calm)) {
		f.Refused++
		w.r.RefusedBeside[w.attack]++
		return
	}
	if f.Failed++; len(f.Failures) < keptFailures {
		at := time.Since(w.r.Began).Round(time.Millisecond)
		f.Failures = append(f.Failures, fmt.Sprintf("%v: %v (the last attack was %q)", at, err, w.attack))
		fmt.Printf("%v %s: %v\n", at, actor, err)
	}
}

// leftOut counts what was due while there was too much of it.
func (w *watch) leftOut(actor string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.figuresOf(actor).LeftOut++
}

func (w *watch) attacked(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.r.Attacks[name]++
	w.attack, w.calm = name, time.Time{}
}

// calmAfter is how long an attack is felt.
const calmAfter = 2 * time.Second

func (w *watch) attackEnds() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calm = time.Now().Add(calmAfter)
}

// logged counts lines of access logs.
func (w *watch) logged(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines += n
}

// check looks for what is left behind. It may take the time given to go.
func (w *watch) check(patience time.Duration, logged func() (int64, error)) error {
	end := time.Now().Add(patience)
	for {
		after, err := w.srv.settled()
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.r.After, w.r.Checks = after, leftBehind(w.r.Before, after)
		w.mu.Unlock()
		if !slices.ContainsFunc(w.r.Checks, func(c check) bool { return !c.Good }) {
			break
		}
		if time.Now().After(end) {
			w.mu.Lock()
			w.r.Open = w.srv.open()
			w.mu.Unlock()
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	n, err := logged()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.whole)
	w.r.P50, w.r.P99, w.r.P999 = quantile(w.whole, 0.5), quantile(w.whole, 0.99), quantile(w.whole, 0.999)
	w.lines += n
	w.r.Checks = append(w.r.Checks, w.r.serverChecks(w.lines)...)
	w.r.Checks = append(w.r.Checks, w.r.trends()...)
	lines, count := w.srv.log.told()
	w.r.Log = lines
	w.r.Checks = append(w.r.Checks, most("errors in the log of the server", 0, float64(count), 0, ""))
	return nil
}

// faults says in a few words what was wrong.
func (r *report) faults() (faults []string) {
	for _, name := range r.names() {
		if f := r.Actors[name]; f.Failed > 0 {
			faults = append(faults, fmt.Sprintf("%s: %d of %d failed, as %s", name, f.Failed, f.Done, strings.ReplaceAll(f.Failures[0], "\n", " ")))
		}
	}
	for _, c := range r.Checks {
		if !c.Good {
			faults = append(faults, fmt.Sprintf("%s: from %s to %s, where at most %s is good", c.What, c.show(c.Before), c.show(c.After), c.show(c.Bound)))
		}
	}
	return faults
}
