// Command blocking serves what a slow store knows: its handlers wait for answers, as
// for those of a database, on a bounded number of goroutines. What there is no room
// for is refused at once, with 503 and Retry-After.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/h2loop/h2loop/loop"
)

func main() {
	addr := flag.String("listen", "localhost:8083", "address to listen on")
	latency := flag.Duration("latency", 200*time.Millisecond, "how long the store takes")
	flag.Parse()
	if err := run(*addr, &store{latency: *latency}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(addr string, s *store) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	cfg := config()
	cfg.Listeners = []loop.Listener{{Address: addr}}
	srv, err := loop.New(cfg)
	if err != nil {
		return err
	}
	register(srv, s)
	fmt.Printf("curl http://%s/users/ada\n", srv.Addrs()[0])
	fmt.Printf("h2load -n 200 -c 50 http://%s/users/ada\n", srv.Addrs()[0])
	return srv.Run(ctx)
}

// config says how much may wait: no more handlers than the store has connections, and
// no longer a queue than goes by while a client is patient.
func config() loop.Config {
	return loop.Config{BlockingWorkers: 8, BlockingQueue: 32}
}

func register(srv *loop.Server, s *store) {
	srv.HandleBlocking("GET /users/{name}", func(ctx context.Context, x *loop.Exchange) error {
		email, err := s.email(ctx, x.PathValue("name"))
		if err != nil {
			return err
		}
		return x.SendJSON(200, map[string]string{"name": x.PathValue("name"), "email": email})
	})
	srv.HandleBlocking("PUT /users/{name}", func(ctx context.Context, x *loop.Exchange) error {
		email, err := x.ReadAll(1000) // waits; what is longer is answered with 413
		if err != nil {
			return err
		}
		if err := s.setEmail(ctx, x.PathValue("name"), string(email)); err != nil {
			return err
		}
		return x.Send(204, nil)
	})

	// The loops have time for others, however busy the store is.
	srv.Handle("GET /healthz", loop.Static(200, "text/plain", []byte("ok\n")))

	// Errors that handlers return are told here. What it leaves unanswered is
	// answered with 500 and logged, or with 413.
	srv.OnError(func(x *loop.Exchange, err error) {
		if errors.Is(err, errNoUser) {
			_ = x.SendError(404, "no such user")
		}
	})
}
