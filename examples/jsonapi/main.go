// Command jsonapi is a JSON API: items in memory, to be listed, made, replaced and
// deleted. Whoever changes something shows a token; what goes wrong is told as
// problem details (RFC 9457).
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/h2loop/h2loop/loop"
)

func main() {
	addr := flag.String("listen", "localhost:8082", "address to listen on")
	token := flag.String("token", "secret", "what changes need as their bearer token")
	flag.Parse()
	if err := run(*addr, *token); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(addr, token string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	srv, err := loop.New(loop.Config{
		Listeners: []loop.Listener{{Address: addr}},
		Hooks:     loop.Hooks{RequestDone: logTo(slog.Default())},
	})
	if err != nil {
		return err
	}
	newAPI(token).register(srv)
	fmt.Printf("curl -H 'authorization: Bearer %s' --json '{\"name\": \"tea\", \"price\": 250}' http://%s/api/items\n", token, srv.Addrs()[0])
	fmt.Printf("curl http://%s/api/items\n", srv.Addrs()[0])
	return srv.Run(ctx)
}

// logTo returns a hook that logs each request once it is over: middleware sees
// requests begin, but most are answered later than it returns.
func logTo(log *slog.Logger) func(*loop.Exchange, loop.RequestInfo) {
	return func(x *loop.Exchange, done loop.RequestInfo) {
		log.Info("request", "method", x.Method(), "path", x.Path(), "pattern", x.Pattern(), "proto", x.Proto(),
			"remote", x.RemoteAddr(), "status", done.Status, "sent", done.Sent, "took", done.Duration, "err", done.Err)
	}
}
