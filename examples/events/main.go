// Command events broadcasts: what anybody posts to /events, and a tick each second,
// goes to all who listen there for server-sent events. Who comes back says what the
// last event was, and gets those since; who is slow loses some, or the connection.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/h2loop/h2loop/loop"
)

const (
	kept       = 1000    // events for those who come back, or are slow
	maxMessage = 8 << 10 // octets
)

//go:embed index.html
var page []byte

func main() {
	addr := flag.String("listen", "localhost:8084", "address to listen on")
	flag.Parse()
	if err := run(*addr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(addr string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: addr}}})
	if err != nil {
		return err
	}
	h := newHub(kept)
	h.register(srv)
	go h.tick(ctx, time.Second)
	fmt.Printf("http://%s/, or\n", srv.Addrs()[0])
	fmt.Printf("curl -N http://%s/events\n", srv.Addrs()[0])
	fmt.Printf("curl -d 'hello, all' http://%s/events\n", srv.Addrs()[0])
	context.AfterFunc(ctx, h.close) // or the drain would wait for listeners, who never end
	return srv.Run(ctx)
}

func (h *hub) register(srv *loop.Server) {
	srv.Handle("GET /{$}", loop.Static(200, "text/html; charset=utf-8", page))
	srv.Handle("GET /events", h.listen)
	srv.Handle("POST /events", func(x *loop.Exchange) {
		_ = x.ReadBody(maxMessage, func(x *loop.Exchange, body []byte) {
			_ = x.SendString(202, fmt.Sprintln(h.publish("message", string(body))))
		})
	})
}

// tick publishes the time until ctx ends. It keeps idle connections in use, too, so
// that those whose clients are gone are noticed.
func (h *hub) tick(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			h.publish("tick", now.UTC().Format(time.RFC3339))
		case <-ctx.Done():
			return
		}
	}
}
