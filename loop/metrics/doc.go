// Package metrics tells Prometheus what a [loop.Server] does.
//
// A [Collector] is a [prometheus.Collector] of two things: the figures of
// [loop.Server.Stats], which the loops publish every tenth of a second and which are
// read when Prometheus asks; and requests, which it counts and times by pattern,
// class of status and version of HTTP, with a hook.
//
//	m := metrics.New(metrics.Options{})
//	srv, err := loop.New(loop.Config{Hooks: m.Hooks(loop.Hooks{}), ...})
//	m.Watch(srv)
//	prometheus.MustRegister(m)
//	srv.HandleHTTP("GET /metrics", promhttp.Handler())
//
// It may stay on: a request costs some tens of nanoseconds and no allocation, for each
// loop counts for itself. It starts no goroutine. There are as many series as
// patterns, times five classes and three versions at most: a peer cannot make
// more of them. Requests that no route takes have the pattern "".
//
// docs/operations.md lists the metrics.
package metrics
