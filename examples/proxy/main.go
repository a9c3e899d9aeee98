// Command proxy is a reverse proxy: clients speak HTTP/2 or HTTP/1.1 to it, over TLS if
// it has a certificate, and the server behind it sees HTTP/1.1.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/h2loop/h2loop/loop"
)

func main() {
	addr := flag.String("listen", "localhost:8088", "address to listen on")
	to := flag.String("to", "http://localhost:8081", "URL of the server behind")
	patience := flag.Duration("timeout", 30*time.Second, "how long that may take to begin its answer")
	cert := flag.String("cert", "", "file of the certificate, for TLS")
	key := flag.String("key", "", "file of its key")
	flag.Parse()
	if err := run(*addr, *to, *cert, *key, *patience); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(addr, to, cert, key string, patience time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	behind, err := url.Parse(to)
	if err != nil || behind.Host == "" {
		return fmt.Errorf("-to %q is not the URL of a server: %w", to, err)
	}
	ln := loop.Listener{Address: addr}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return err
		}
		ln.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{ln}})
	if err != nil {
		return err
	}
	register(srv, newProxy(behind, patience, slog.Default()))
	fmt.Printf("%s is served at %s\n", behind, srv.Addrs()[0])
	return srv.Run(ctx)
}

// register serves the proxy for all that has no route of its own.
func register(srv *loop.Server, p *proxy) {
	srv.HandleHTTP("/", p)

	// For the load balancer in front. When the end begins, it is to look elsewhere.
	srv.Handle("GET /readyz", func(x *loop.Exchange) {
		select {
		case <-srv.Draining():
			_ = x.SendError(503, "going")
		default:
			_ = x.SendString(200, "ready\n")
		}
	})
}
