package main

import (
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/accesslog"
	"github.com/h2loop/h2loop/cmd/h2loop/internal/admin"
	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/metrics"
)

// A watcher tells operators of the server; nil tells nothing.
type watcher struct {
	admin   *admin.Server
	metrics *metrics.Collector
}

// openAdmin opens the admin listener, and has the server that cfg describes counted;
// nil if there is none.
func openAdmin(addr string, cfg *loop.Config, access *accesslog.Log, log *zerolog.Logger) (*watcher, error) {
	if addr == "" {
		return nil, nil
	}
	m := metrics.New(metrics.Options{})
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "h2loop_build_info", Help: "1; the label tells the version.",
			ConstLabels: prometheus.Labels{"version": readVersion()},
		}, func() float64 { return 1 }))
	if access != nil {
		registry.MustRegister(
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "h2loop_access_log_lines_total", Help: "Lines of the access log that were written.",
			}, func() float64 { return float64(access.Written()) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "h2loop_access_log_dropped_total", Help: "Lines of the access log that were not written.",
			}, func() float64 { return float64(access.Dropped()) }))
	}
	a, err := admin.Listen(admin.Options{Addr: addr, Registry: registry, Logger: log})
	if err != nil {
		return nil, err
	}
	cfg.Hooks = m.Hooks(cfg.Hooks)
	where := config.UnixPrefix + a.Addr().String()
	if _, ok := a.Addr().(*net.TCPAddr); ok {
		where = "http://" + a.Addr().String() + "/"
	}
	log.Info().Str("admin", where).Msg("admin listener")
	if a.IsPublic() {
		log.Warn().Str("admin", where).Msg("the admin listener is open to other hosts: it tells of all connections and takes profiles")
	}
	return &watcher{a, m}, nil
}

// watch makes srv the server to tell of.
func (w *watcher) watch(srv *loop.Server) {
	if w != nil {
		w.metrics.Watch(srv)
		w.admin.Watch(srv)
	}
}

// leave tells that the server has begun to end.
func (w *watcher) leave() {
	if w != nil {
		w.admin.Leave()
	}
}

func (w *watcher) close() {
	if w != nil {
		w.admin.Close()
	}
}
