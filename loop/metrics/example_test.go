package metrics_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/metrics"
)

// A server that tells of itself.
func Example() {
	m := metrics.New(metrics.Options{})
	srv, err := loop.New(loop.Config{
		Listeners: []loop.Listener{{Address: "127.0.0.1:0"}},
		Hooks:     m.Hooks(loop.Hooks{}),
	})
	if err != nil {
		log.Fatal(err)
	}
	m.Watch(srv)
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	srv.HandleHTTP("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	srv.Handle("GET /hello", func(x *loop.Exchange) { _ = x.SendString(200, "hello") })

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	url := "http://" + srv.Addrs()[0].String()
	for _, path := range []string{"/hello", "/metrics"} {
		resp, err := http.Get(url + path)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		for line := range strings.Lines(string(body)) {
			if strings.HasPrefix(line, "h2loop_requests_total{") {
				fmt.Print(line)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	fmt.Println(<-ended)
	// Output:
	// h2loop_requests_total{class="2xx",pattern="GET /hello",version="HTTP/1.1"} 1
	// <nil>
}
