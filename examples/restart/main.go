// Command restart is replaced without a client's notice: upon SIGHUP it starts its
// successor, which may be another version of the program, and hands its listening
// sockets on. Once the successor is ready, it lets its own requests end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/h2loop/h2loop/loop"
)

func main() {
	addrs := flag.String("listen", "localhost:8087", "addresses to listen on, with commas between them")
	flag.Parse()
	if err := run(strings.Split(*addrs, ",")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(addrs []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)

	listeners, err := listen(addrs)
	if err != nil {
		return err
	}
	// Whoever has just connected is to be answered also where the machine is busy.
	cfg := loop.Config{DrainGrace: 5 * time.Second}
	for _, ln := range listeners {
		cfg.Listeners = append(cfg.Listeners, loop.Listener{Listener: ln})
	}
	heirloom, err := sockets(listeners) // before the server has them, which closes them
	if err != nil {
		return err
	}
	srv, err := loop.New(cfg)
	if err != nil {
		return err
	}
	register(srv)
	for _, addr := range srv.Addrs() {
		fmt.Printf("%d: http://%s/pid\n", os.Getpid(), addr)
	}

	// Whoever connects from now on waits in the backlog, if need be.
	if err := ready(); err != nil {
		return errors.Join(err, srv.Shutdown(ctx))
	}
	go func() {
		for {
			select {
			case <-hup:
			case <-ctx.Done():
				return
			}
			pid, err := succeed(heirloom)
			if err != nil {
				fmt.Fprintf(os.Stderr, "%d goes on: %v\n", os.Getpid(), err)
				continue
			}
			fmt.Printf("%d: %d is ready\n", os.Getpid(), pid)
			stop()
		}
	}()
	return srv.Run(ctx) // drains when ctx ends, because of a successor or not
}

func register(srv *loop.Server) {
	pid := fmt.Sprintln(os.Getpid())
	srv.Handle("/pid", func(x *loop.Exchange) { _ = x.SendString(200, pid) })
	srv.Handle("/slow", func(x *loop.Exchange) {
		async := x.Async()
		time.AfterFunc(time.Second, func() {
			_ = async.Do(func(x *loop.Exchange) {
				if x != nil {
					_ = x.SendString(200, pid)
				}
			})
		})
	})
}
