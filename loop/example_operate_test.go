package loop_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/netip"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// What does every stream wait for? Here one waits for its handler.
func ExampleServer_Connections() {
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}})
	if err != nil {
		log.Fatal(err)
	}
	asked := make(chan loop.Async, 1)
	srv.Handle("GET /slow/{x}", func(x *loop.Exchange) { asked <- x.Async() })
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	go func() {
		resp, err := http.Get("http://" + srv.Addrs()[0].String() + "/slow/1")
		if err == nil {
			_ = resp.Body.Close()
		}
	}()
	async := <-asked

	conns, stuck := srv.Connections(loop.ConnQuery{Remote: netip.MustParsePrefix("127.0.0.0/8")})
	for _, c := range conns {
		for _, s := range c.Streams {
			fmt.Printf("%s, %s: %s %s waits for: %s\n", c.Protocol, c.State, s.Method, s.Path, s.WaitsFor)
		}
	}
	fmt.Println(len(stuck), "loops are stuck")

	_ = async.Do(func(x *loop.Exchange) { _ = x.SendString(200, "at last") })
	stop()
	fmt.Println(<-ended)
	// Output:
	// HTTP/1.1, open: GET /slow/1 waits for: application
	// 0 loops are stuck
	// <nil>
}

// The frames of one client, for ten seconds.
func ExampleServer_Trace() {
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}})
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Print(srv.Run(context.Background())) }()

	q := loop.TraceQuery{Remote: netip.MustParsePrefix("192.0.2.1/32"), For: 10 * time.Second}
	dropped, err := srv.Trace(context.Background(), q, func(l loop.TraceLine) error {
		_, err := fmt.Println(l.Time.Format(time.TimeOnly), l.ConnID, l.Sent, l.Text)
		return err
	})
	fmt.Println(dropped, err)
}
