// Command chat is a room where people talk over WebSockets, with a page for them: by
// Upgrade over HTTP/1.1, by extended CONNECT over HTTP/2 (RFC 8441). The frames are
// those of github.com/gobwas/ws, and no socket has a goroutine.
package main

import (
	"context"
	"crypto/tls"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/h2loop/h2loop/loop"
)

//go:embed index.html
var page []byte

func main() {
	addr := flag.String("listen", "localhost:8086", "address to listen on")
	cert := flag.String("cert", "", "certificate, a PEM file: browsers speak HTTP/2 over TLS only")
	key := flag.String("key", "", "its key")
	flag.Parse()
	if err := run(*addr, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(addr, certFile, keyFile string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, scheme := loop.Listener{Address: addr}, "http"
	if certFile != "" {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return err
		}
		listener.TLS, scheme = &tls.Config{Certificates: []tls.Certificate{cert}}, "https"
	}
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{listener}})
	if err != nil {
		return err
	}
	r := newRoom()
	r.register(srv)
	go r.keepAlive(ctx, pingInterval)
	context.AfterFunc(ctx, r.close) // or the drain would wait for people to leave
	fmt.Printf("%s://%s/\n", scheme, srv.Addrs()[0])
	return srv.Run(ctx)
}

func (r *room) register(srv *loop.Server) {
	srv.Handle("GET /{$}", loop.Static(200, "text/html; charset=utf-8", page))
	srv.HandleUpgrade("/chat", "websocket", r.enter)
}
