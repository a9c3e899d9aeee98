// Command hello is a small program that embeds h2loop.
package main

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/h2loop/h2loop/loop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	srv, err := newServer("localhost:8081")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("curl --http2-prior-knowledge http://localhost:8081/hello/you")
	if err := srv.Run(ctx); err != nil { // drains when ctx ends
		log.Fatal(err)
	}
}

func newServer(addr string) (*loop.Server, error) {
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: addr}}})
	if err != nil {
		return nil, err
	}

	// A callback runs on an event loop, and must not block.
	srv.Handle("GET /hello/{name}", func(x *loop.Exchange) {
		_ = x.SendString(200, "Hello, "+x.PathValue("name")+"!\n")
	})

	// A request body is gathered, up to a limit, before the callback for it.
	srv.Handle("POST /count", func(x *loop.Exchange) {
		_ = x.ReadBody(1<<20, func(x *loop.Exchange, body []byte) {
			_ = x.SendString(200, fmt.Sprintln(len(body), "octets"))
		})
	})

	// What blocks goes to a goroutine, and comes back to the loop with Do.
	srv.Handle("GET /later", func(x *loop.Exchange) {
		async := x.Async()
		go func() {
			time.Sleep(time.Second)
			_ = async.Do(func(x *loop.Exchange) {
				if x != nil { // nil if the client has left
					_ = x.SendString(200, "at last\n")
				}
			})
		}()
	})
	return srv, nil
}
