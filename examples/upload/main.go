// Command upload takes files, of bounded size, and streams them to disk; how far an
// upload is can be watched meanwhile, as server-sent events.
package main

import (
	"context"
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
	addr := flag.String("listen", "localhost:8085", "address to listen on")
	dir := flag.String("dir", os.TempDir(), "directory for the files")
	size := flag.Int64("max", 1<<30, "largest file, in octets")
	flag.Parse()
	if err := run(*addr, *dir, *size); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(addr, dir string, size int64) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	srv, err := loop.New(loop.Config{
		Listeners:       []loop.Listener{{Address: addr}},
		BlockingWorkers: 64, // uploads at once
	})
	if err != nil {
		return err
	}
	newUploads(ctx, dir, size).register(srv)
	fmt.Printf("http://%s/, or\n", srv.Addrs()[0])
	fmt.Printf("curl -X POST http://%s/uploads, then\n", srv.Addrs()[0])
	fmt.Printf("curl -N http://%s/uploads/ID/progress, and beside it\n", srv.Addrs()[0])
	fmt.Printf("curl -T FILE http://%s/uploads/ID\n", srv.Addrs()[0])
	return srv.Run(ctx)
}

func (us *uploads) register(srv *loop.Server) {
	srv.Handle("GET /{$}", loop.Static(200, "text/html; charset=utf-8", page))
	srv.Handle("POST /uploads", us.create)
	srv.HandleBlocking("PUT /uploads/{id}", us.receive) // waits for the client, and for the disk
	srv.Handle("GET /uploads/{id}", us.tell)
	srv.Handle("GET /uploads/{id}/progress", us.watch)
}
