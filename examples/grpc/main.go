// Command grpc serves gRPC beside plain routes, on one port: grpc-go's server is an
// http.Handler like any other.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/h2loop/h2loop/examples/grpc/words"
	"github.com/h2loop/h2loop/loop"
)

func main() {
	addr := flag.String("listen", "localhost:8089", "address to listen on")
	cert := flag.String("cert", "", "file of the certificate, for TLS")
	key := flag.String("key", "", "file of its key")
	flag.Parse()
	if err := run(*addr, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(addr, cert, key string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ln, scheme := loop.Listener{Address: addr}, "http"
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return err
		}
		ln.TLS, scheme = &tls.Config{Certificates: []tls.Certificate{pair}}, "https"
	}
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{ln}})
	if err != nil {
		return err
	}
	register(srv)
	fmt.Printf("curl %s://%s/\n", scheme, srv.Addrs()[0])
	fmt.Printf("grpcurl -plaintext -d '{\"text\": \"one two\"}' %s words.Words/Count\n", srv.Addrs()[0])
	return srv.Run(ctx)
}

// register serves the gRPC services, each below its name, and a page.
func register(srv *loop.Server) {
	g := grpc.NewServer(grpc.MaxRecvMsgSize(1 << 20))
	words.RegisterWordsServer(g, service{})
	state := health.NewServer()
	grpc_health_v1.RegisterHealthServer(g, state)
	reflection.Register(g) // so that grpcurl needs no file of the service
	for name := range g.GetServiceInfo() {
		srv.HandleHTTP("POST /"+name+"/", g)
	}
	srv.Handle("GET /{$}", func(x *loop.Exchange) {
		_ = x.SendString(200, "This is for clients of gRPC, and for you.\n")
	})
	go func() { // who watches the health is told before the drain has ended
		<-srv.Draining()
		state.Shutdown()
	}()
}
