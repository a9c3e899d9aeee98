package metrics

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/h2loop/h2loop/loop"
)

// requests counts and times requests, for each loop on its own: what is counted by one
// alone does not travel between CPUs.
type requests struct {
	bounds  []float64
	nanos   []time.Duration // the same
	total   *prometheus.Desc
	seconds *prometheus.Desc
	aborted *prometheus.Desc
	bodies  *prometheus.Desc

	loops  atomic.Pointer[[]*perLoop]
	adding sync.Mutex
}

// A perLoop is what one loop counts.
type perLoop struct {
	series map[seriesKey]*series // for its loop only

	received, sent, aborted atomic.Uint64

	mu  sync.Mutex
	all []*series // as in series, for who collects
}

// A seriesKey is what requests are told apart by.
type seriesKey struct {
	pattern string
	class   uint8 // of the status; 0 for none
	version uint8
}

var (
	classes  = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}
	versions = [...]string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0"}
)

// A series counts the requests of one key. Its loop alone adds.
type series struct {
	key     seriesKey
	nanos   atomic.Int64
	buckets []atomic.Uint64 // not cumulative; the last is for what no bound holds
}

func defaultBuckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
}

func (r *requests) init(bounds []float64, desc func(name, help string, labels ...string) *prometheus.Desc) {
	if len(bounds) == 0 {
		bounds = defaultBuckets()
	}
	r.bounds = slices.Clone(bounds)
	for i, b := range r.bounds {
		if i > 0 && b <= r.bounds[i-1] {
			panic("metrics: the buckets do not ascend")
		}
		r.nanos = append(r.nanos, time.Duration(b*float64(time.Second)))
	}
	r.total = desc("requests_total", "Requests that are over, by pattern, class of status (none: not answered) and version.", "pattern", "class", "version")
	r.seconds = desc("request_duration_seconds", "Time from the end of the header section to the end of the response.", "pattern", "class", "version")
	r.aborted = desc("requests_aborted_total", "Requests that have ended before their response had.")
	r.bodies = desc("body_bytes_total", "Octets of bodies, by direction.", "direction")
	r.loops.Store(new([]*perLoop))
}

// Hooks returns hooks that count requests, and call those of next, if it has any.
func (c *Collector) Hooks(next loop.Hooks) loop.Hooks {
	done := next.RequestDone
	next.RequestDone = func(x *loop.Exchange, d loop.RequestInfo) {
		c.requests.count(x, &d)
		if done != nil {
			done(x, d)
		}
	}
	return next
}

// count counts a request that is over. It runs on the loop.
func (r *requests) count(x *loop.Exchange, d *loop.RequestInfo) {
	l := r.of(x.Loop())
	l.received.Add(uint64(d.Received))
	l.sent.Add(uint64(d.Sent))
	if d.Err != nil {
		l.aborted.Add(1)
	}
	key := seriesKey{pattern: x.Pattern(), class: uint8(min(d.Status/100, 5))} // 999 is one of ours, too
	if v := x.Proto(); v == "HTTP/2.0" {
		key.version = 2
	} else if v == "HTTP/1.1" {
		key.version = 1
	}
	s := l.series[key]
	if s == nil {
		s = &series{key: key, buckets: make([]atomic.Uint64, len(r.bounds)+1)}
		l.series[key] = s
		l.mu.Lock()
		l.all = append(l.all, s)
		l.mu.Unlock()
	}
	at := 0
	for at < len(r.nanos) && d.Duration > r.nanos[at] {
		at++
	}
	s.buckets[at].Add(1)
	s.nanos.Add(int64(d.Duration))
}

// of returns what loop i counts.
func (r *requests) of(i int) *perLoop {
	if all := *r.loops.Load(); i < len(all) {
		return all[i]
	}
	r.adding.Lock()
	defer r.adding.Unlock()
	all := slices.Clone(*r.loops.Load())
	for len(all) <= i {
		all = append(all, &perLoop{series: map[seriesKey]*series{}})
	}
	r.loops.Store(&all)
	return all[i]
}

func (r *requests) describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{r.total, r.seconds, r.aborted, r.bodies} {
		out <- d
	}
}

// A sum is what the loops together have counted of a series.
type sum struct {
	nanos   int64
	buckets []uint64
}

func (r *requests) collect(out chan<- prometheus.Metric) {
	var received, sent, aborted uint64
	sums := map[seriesKey]*sum{}
	for _, l := range *r.loops.Load() {
		received += l.received.Load()
		sent += l.sent.Load()
		aborted += l.aborted.Load()
		l.mu.Lock()
		all := l.all
		l.mu.Unlock()
		for _, s := range all {
			t := sums[s.key]
			if t == nil {
				t = &sum{buckets: make([]uint64, len(s.buckets))}
				sums[s.key] = t
			}
			t.nanos += s.nanos.Load()
			for i := range s.buckets {
				t.buckets[i] += s.buckets[i].Load()
			}
		}
	}
	for key, t := range sums {
		labels := []string{strings.ToValidUTF8(key.pattern, "?"), classes[key.class], versions[key.version]}
		cumulative := make(map[float64]uint64, len(r.bounds))
		n := uint64(0)
		for i, bound := range r.bounds {
			n += t.buckets[i]
			cumulative[bound] = n
		}
		n += t.buckets[len(r.bounds)]
		out <- prometheus.MustNewConstMetric(r.total, prometheus.CounterValue, float64(n), labels...)
		out <- prometheus.MustNewConstHistogram(r.seconds, n, time.Duration(t.nanos).Seconds(), cumulative, labels...)
	}
	out <- prometheus.MustNewConstMetric(r.aborted, prometheus.CounterValue, float64(aborted))
	out <- prometheus.MustNewConstMetric(r.bodies, prometheus.CounterValue, float64(received), "in")
	out <- prometheus.MustNewConstMetric(r.bodies, prometheus.CounterValue, float64(sent), "out")
}
