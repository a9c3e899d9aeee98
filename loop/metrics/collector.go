package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/h2loop/h2loop/loop"
)

// Options say what a [Collector] tells.
type Options struct {
	// Buckets are the upper bounds of the histogram of durations, in seconds and
	// ascending. Default: from 100 us to 30 s. A histogram is the same for all
	// patterns.
	Buckets []float64

	// Labels are put on all metrics, as for several servers in one process.
	Labels prometheus.Labels
}

// A Collector collects the metrics of one server. Its methods may be called from any
// goroutine.
type Collector struct {
	server   atomic.Pointer[loop.Server]
	figures  []figure
	limits   *prometheus.Desc
	requests requests
}

// New returns a collector that is to be given its server with [Collector.Watch], and
// whose Hooks are to be those of the server's config. It panics if the buckets do not
// ascend.
func New(opts Options) *Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("h2loop_"+name, help, labels, opts.Labels)
	}
	c := &Collector{
		limits: desc("limits_crossed_total", "How often peers have run into a limit, by its name in docs/limits.md.", "limit"),
	}
	c.requests.init(opts.Buckets, desc)
	for _, f := range figures {
		f.desc = desc(f.name, f.help, f.labels...)
		c.figures = append(c.figures, f)
	}
	return c
}

// Watch makes srv the server whose figures are collected. Before that, requests alone
// are.
func (c *Collector) Watch(srv *loop.Server) { c.server.Store(srv) }

// Describe is a [prometheus.Collector]'s.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, f := range c.figures {
		out <- f.desc // some twice, which is allowed if they are the same
	}
	out <- c.limits
	c.requests.describe(out)
}

// Collect is a [prometheus.Collector]'s.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	if srv := c.server.Load(); srv != nil {
		s := srv.Stats()
		for _, f := range c.figures {
			out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&s), f.values...)
		}
		for name, n := range s.Limits {
			out <- prometheus.MustNewConstMetric(c.limits, prometheus.CounterValue, float64(n), name)
		}
	}
	c.requests.collect(out)
}

// A figure is one of [loop.Stats].
type figure struct {
	name, help     string
	kind           prometheus.ValueType
	value          func(s *loop.Stats) float64
	labels, values []string
	desc           *prometheus.Desc
}

const (
	handshakesHelp = "TLS handshakes that have ended, by result."
	resetsHelp     = "RST_STREAM frames of HTTP/2, by who has sent them."
)

var figures = []figure{
	gauge("loops", "Event loops that run.", func(s *loop.Stats) int { return s.Loops }),
	gauge("loops_shedding", "Event loops that refuse requests because they are behind.", func(s *loop.Stats) int { return s.SheddingLoops }),
	gauge("memory_in_use_bytes", "Memory in use, where there is a ceiling.", func(s *loop.Stats) int { return int(s.MemoryInUse) }),
	gauge("memory_short", "1 while memory in use is above the ceiling.", func(s *loop.Stats) int {
		if s.ShortOfMemory {
			return 1
		}
		return 0
	}),
	gauge("draining", "1 once the server has begun to end.", func(s *loop.Stats) int {
		if s.Draining {
			return 1
		}
		return 0
	}),
	gauge("connections", "Connections that are open.", func(s *loop.Stats) int { return s.Connections }),
	gauge("connections_max", "Connections that there may be.", func(s *loop.Stats) int { return s.MaxConnections }),
	gauge("connections_blocked", "Connections with more to send than their socket takes.", func(s *loop.Stats) int { return s.BlockedConnections }),
	counter("connections_accepted_total", "Connections that were opened.", func(s *loop.Stats) uint64 { return s.Accepted }),
	counter("connections_refused_total", "Connections that spoke nothing the port speaks.", func(s *loop.Stats) uint64 { return s.Refused }),
	counter("received_bytes_total", "Octets received, of TLS records where there is TLS.", func(s *loop.Stats) uint64 { return s.Received }),
	counter("sent_bytes_total", "Octets sent, of TLS records where there is TLS.", func(s *loop.Stats) uint64 { return s.Sent }),
	gauge("tls_handshakes_in_progress", "TLS handshakes in progress.", func(s *loop.Stats) int { return s.Handshakes }),
	gauge("tls_handshakes_waiting", "TLS handshakes that wait for others to end.", func(s *loop.Stats) int { return s.HandshakesWaiting }),
	counter("tls_handshakes_total", handshakesHelp,
		func(s *loop.Stats) uint64 { return s.HandshakesDone - s.HandshakesResumed }, "result", "full"),
	counter("tls_handshakes_total", handshakesHelp, func(s *loop.Stats) uint64 { return s.HandshakesResumed }, "result", "resumed"),
	counter("tls_handshakes_total", handshakesHelp, func(s *loop.Stats) uint64 { return s.HandshakesFailed }, "result", "failed"),
	gauge("requests_in_progress", "Requests being served: streams of HTTP/2 and requests of HTTP/1.1.", func(s *loop.Stats) int { return s.OpenRequests }),
	counter("requests_received_total", "Requests given to a callback.", func(s *loop.Stats) uint64 { return s.Requests }),
	counter("stream_resets_total", resetsHelp,
		func(s *loop.Stats) uint64 { return s.ResetsReceived }, "by", "peer"),
	counter("stream_resets_total", resetsHelp, func(s *loop.Stats) uint64 { return s.ResetsSent }, "by", "server"),
	gauge("output_held_bytes", "Octets that wait in memory for sockets to take them.", func(s *loop.Stats) int { return s.HeldOutput }),
	gauge("unread_body_bytes", "Octets of request bodies that wait for the application, about.", func(s *loop.Stats) int { return s.UnreadBodies }),
	gauge("blocking_jobs", "Blocking handlers that run or wait to.", func(s *loop.Stats) int { return s.BlockingJobs }),
	gauge("http_handlers", "Calls of http.Handlers.", func(s *loop.Stats) int { return s.HTTPHandlers }),
	counter("slow_callbacks_total", "Callbacks that have held up their loop.", func(s *loop.Stats) uint64 { return s.SlowCallbacks }),
	counter("panics_total", "Panics that cost a stream or a connection.", func(s *loop.Stats) uint64 { return s.Panics }),
}

func gauge(name, help string, value func(*loop.Stats) int) figure {
	return figure{
		name: name, help: help, kind: prometheus.GaugeValue,
		value: func(s *loop.Stats) float64 { return float64(value(s)) },
	}
}

// counter returns a counter, which may have a label and a value of it.
func counter(name, help string, value func(*loop.Stats) uint64, label ...string) figure {
	f := figure{
		name: name, help: help, kind: prometheus.CounterValue,
		value: func(s *loop.Stats) float64 { return float64(value(s)) },
	}
	if len(label) == 2 {
		f.labels, f.values = label[:1], label[1:]
	}
	return f
}
