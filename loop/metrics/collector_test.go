package metrics_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
	"github.com/h2loop/h2loop/loop/metrics"
)

// value returns the value of the one metric with that name and those labels, and how
// often it was observed, if it is a histogram.
func value(t *testing.T, reg *prometheus.Registry, name string, labels ...string) (v float64, ok bool) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if hasLabels(m, labels) {
				switch {
				case m.Counter != nil:
					return m.GetCounter().GetValue(), true
				case m.Gauge != nil:
					return m.GetGauge().GetValue(), true
				default:
					return float64(m.GetHistogram().GetSampleCount()), true
				}
			}
		}
	}
	return 0, false
}

func hasLabels(m *dto.Metric, labels []string) bool {
	have := map[string]string{}
	for _, l := range m.GetLabel() {
		have[l.GetName()] = l.GetValue()
	}
	for i := 0; i < len(labels); i += 2 {
		if have[labels[i]] != labels[i+1] {
			return false
		}
	}
	return true
}

// serve runs a server that m watches, and which ends with the test.
func serve(t *testing.T, m *metrics.Collector, next loop.Hooks) (*looptest.Server, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(m)
	s := looptest.NewConfig(t, loop.Config{Loops: 2, Hooks: m.Hooks(next)}, func(srv *loop.Server) {
		m.Watch(srv)
		srv.Handle("GET /items/{id}", func(x *loop.Exchange) { _ = x.SendString(200, x.PathValue("id")) })
		srv.Handle("POST /broken", func(x *loop.Exchange) { x.AfterBody(func(x *loop.Exchange) { _ = x.SendError(500, "broken") }) })
		srv.Handle("GET /bad\xff/{x}", func(x *loop.Exchange) { _ = x.SendString(200, "") })
	})
	return s, reg
}

// TestCollector counts requests by pattern, class and version, and takes the figures
// of the server.
func TestCollector(t *testing.T) {
	m := metrics.New(metrics.Options{Labels: prometheus.Labels{"site": "a"}})
	hooked := make(chan struct{}, 100)
	s, reg := serve(t, m, loop.Hooks{RequestDone: func(*loop.Exchange, loop.RequestInfo) { hooked <- struct{}{} }})
	requests := 0
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		c := s.Client()
		if version == "HTTP/1.1" {
			c = s.Client1()
		}
		for i, r := range []struct{ method, path string }{
			{"GET", "/items/1"}, {"GET", "/items/2"}, {"POST", "/broken"}, {"GET", "/nowhere"}, {"GET", "/bad%FF/1"},
		} {
			req, err := http.NewRequestWithContext(t.Context(), r.method, s.URL()+r.path, strings.NewReader(strings.Repeat("a", 10*i)))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			requests++
		}
	}
	for range requests {
		<-hooked // also those of next are called
	}
	want := func(v float64, name string, labels ...string) {
		t.Helper()
		if got, ok := value(t, reg, name, append(labels, "site", "a")...); !ok || got != v {
			t.Errorf("%s %q is %v (%v), want %v", name, labels, got, ok, v)
		}
	}
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for _, name := range []string{"h2loop_requests_total", "h2loop_request_duration_seconds"} {
			want(2, name, "pattern", "GET /items/{id}", "class", "2xx", "version", version)
			want(1, name, "pattern", "POST /broken", "class", "5xx", "version", version)
			want(1, name, "pattern", "", "class", "4xx", "version", version)
			want(1, name, "pattern", "GET /bad?/{x}", "class", "2xx", "version", version)
		}
	}
	want(0, "h2loop_requests_aborted_total")
	// The figures are up to a tenth of a second old.
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if v, _ := value(t, reg, "h2loop_requests_received_total"); v == float64(requests) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the figures of the server are not collected")
		}
	}
	want(2, "h2loop_loops")
	want(0, "h2loop_draining")
	want(2, "h2loop_connections_accepted_total")
	want(0, "h2loop_limits_crossed_total", "limit", "streams")
	if v, _ := value(t, reg, "h2loop_received_bytes_total"); v < 400 {
		t.Errorf("%v octets have come", v)
	}
}

// TestUnwatched collects before there is a server: requests alone.
func TestUnwatched(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(metrics.New(metrics.Options{}))
	if v, ok := value(t, reg, "h2loop_requests_aborted_total"); !ok || v != 0 {
		t.Errorf("%v, %v", v, ok)
	}
	if _, ok := value(t, reg, "h2loop_connections"); ok {
		t.Error("figures without a server")
	}
}

// TestBuckets refuses bounds that do not ascend.
func TestBuckets(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("taken")
		}
	}()
	metrics.New(metrics.Options{Buckets: []float64{1, 1}})
}

// within runs f with a request that is over, on the loop.
func within(t testing.TB, hooks *loop.Hooks, f func()) {
	t.Helper()
	inner := hooks.RequestDone
	done := make(chan struct{})
	srv, err := loop.New(loop.Config{
		Loops: 1, SlowCallback: -1,
		Listeners: []loop.Listener{{Address: "127.0.0.1:0"}},
		Hooks: loop.Hooks{RequestDone: func(x *loop.Exchange, d loop.RequestInfo) {
			hooks.RequestDone = func(*loop.Exchange, loop.RequestInfo) { inner(x, d) }
			f()
			close(done)
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("GET /items/{id}", func(x *loop.Exchange) { _ = x.SendString(200, "") })
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(context.Background()) }()
	resp, err := http.Get("http://" + srv.Addrs()[0].String() + "/items/1")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	<-done
	http.DefaultClient.CloseIdleConnections()
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// TestAllocs counts what a request costs.
func TestAllocs(t *testing.T) {
	hooks := metrics.New(metrics.Options{}).Hooks(loop.Hooks{})
	allocs := -1.0
	within(t, &hooks, func() { allocs = testing.AllocsPerRun(1000, func() { hooks.RequestDone(nil, loop.RequestInfo{}) }) })
	if allocs != 0 {
		t.Errorf("%v allocations for each request", allocs)
	}
}

// BenchmarkRequestDone measures what a request costs its loop.
func BenchmarkRequestDone(b *testing.B) {
	hooks := metrics.New(metrics.Options{}).Hooks(loop.Hooks{})
	within(b, &hooks, func() {
		b.ReportAllocs()
		for b.Loop() {
			hooks.RequestDone(nil, loop.RequestInfo{})
		}
	})
}
