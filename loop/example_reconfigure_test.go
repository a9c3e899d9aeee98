package loop_test

import (
	"context"
	"fmt"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// Reconfigure changes what can be changed while a server runs, and names what cannot.
func ExampleServer_Reconfigure() {
	cfg := loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}, Loops: 1}
	srv, err := loop.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg.IdleTimeout = time.Minute
	cfg.HTTP2.MaxConcurrentStreams = 100
	fmt.Println(srv.Reconfigure(cfg))

	cfg.Loops = 2
	fmt.Println(srv.Reconfigure(cfg))

	cfg.IdleTimeout = -1
	fmt.Println(srv.Reconfigure(cfg))
	_ = srv.Shutdown(context.Background())
	// Output:
	// [] <nil>
	// [Loops] <nil>
	// [] loop: Config.IdleTimeout is -1ns: it must not be negative
}

// OnDone is for what serves a request and has to be given back, however it ends. A
// function that is made once costs no allocation.
func ExampleExchange_OnDone() {
	places := make(chan struct{}, 10)
	leave := func() { <-places }
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /", func(x *loop.Exchange) {
			select {
			case places <- struct{}{}:
				_ = x.OnDone(leave)
				_ = x.SendString(200, "there was a place")
			default:
				_ = x.SendError(503, "no place")
			}
		})
	})
	fetch("GET", url+"/", "")
	stop()
	fmt.Println(len(places), "places are taken")
	// Output:
	// 200 there was a place
	// 0 places are taken
}
