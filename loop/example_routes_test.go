package loop_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// A Group has a prefix and middleware of its own.
func ExampleServer_Group() {
	known := func(next loop.Handler) loop.Handler {
		return func(x *loop.Exchange) {
			if x.Header("x-token") == "" {
				_ = x.SendError(401, "who are you?")
				return
			}
			next(x)
		}
	}
	url, stop := serve(func(srv *loop.Server) {
		api := srv.Group("/api")
		api.Handle("GET /version", loop.Static(200, "text/plain", []byte("1.0")))
		items := api.Group("/items")
		items.Use(known)
		items.Handle("GET /{id}", func(x *loop.Exchange) { _ = x.SendString(200, x.Pattern()) })
		for _, r := range srv.Routes() {
			fmt.Println(r.Kind, r.Pattern)
		}
	})
	defer stop()
	fetch("GET", url+"/api/version", "")
	fetch("GET", url+"/api/items/7", "")
	// Output:
	// loop GET /api/version
	// loop GET /api/items/{id}
	// 200 1.0
	// 401 who are you?
}

// NotFound answers where there is no route.
func ExampleServer_NotFound() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /here", loop.Static(200, "text/plain", []byte("here")))
		srv.NotFound(func(x *loop.Exchange) {
			_ = x.SendJSON(404, map[string]string{"nothing at": x.Path()})
		})
	})
	defer stop()
	fetch("GET", url+"/here", "")
	fetch("GET", url+"/there", "")
	// Output:
	// 200 here
	// 404 {"nothing at":"/there"}
}

// ErrorStatus is for errors in a form of one's own.
func ExampleErrorStatus() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("POST /items", func(x *loop.Exchange) {
			_ = x.ReadBody(10, func(x *loop.Exchange, _ []byte) { _ = x.Send(204, nil) })
		})
		srv.OnError(func(x *loop.Exchange, err error) {
			_ = x.SendJSON(loop.ErrorStatus(err), map[string]string{"error": err.Error()})
		})
	})
	defer stop()
	fetch("GET", url+"/items", "")
	fetch("POST", url+"/items", "more than anybody wants")
	// Output:
	// 405 {"error":"loop: no route for this method"}
	// 413 {"error":"loop: the request body is too large"}
}

// Draining ends what would keep the server from ending.
func ExampleServer_Draining() {
	begun := make(chan bool, 1)
	url, stop := serve(func(srv *loop.Server) {
		srv.HandleBlocking("GET /events", func(ctx context.Context, x *loop.Exchange) error {
			w, err := x.Writer(200, -1)
			if err != nil {
				return err
			}
			defer w.Close()
			fmt.Fprint(w, "hello, ")
			begun <- true
			select {
			case <-srv.Draining():
				fmt.Fprint(w, "and goodbye")
			case <-ctx.Done(): // the client has gone
			}
			return nil
		})
	})
	go func() {
		<-begun
		stop()
	}()
	fetch("GET", url+"/events", "")
	// Output:
	// 200 hello, and goodbye
}

// Shutdown ends a server, and waits for what is open as long as its context does.
func ExampleServer_Shutdown() {
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv.Handle("GET /", loop.Static(200, "text/plain", []byte("hello")))
	ended := make(chan error)
	go func() { ended <- srv.Run(context.Background()) }()
	fetch("GET", "http://"+srv.Addrs()[0].String(), "")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(srv.Shutdown(ctx), <-ended)
	// Output:
	// 200 hello
	// <nil> <nil>
}

// Stats are for metrics.
func ExampleServer_Stats() {
	var server *loop.Server
	url, stop := serve(func(srv *loop.Server) {
		server = srv
		srv.Handle("GET /", loop.Static(200, "text/plain", []byte("hello")))
	})
	fetch("GET", url+"/", "")
	stop()
	s := server.Stats()
	fmt.Println(s.Accepted, "connection,", s.Requests, "request,", s.Limits["idle"], "idle too long")
	// Output:
	// 200 hello
	// 1 connection, 1 request, 0 idle too long
}

// A handler that is written for net/http takes the connection, over HTTP/1.1.
func ExampleServer_HandleHTTP_hijack() {
	url, stop := serve(func(srv *loop.Server) {
		srv.HandleHTTP("GET /raw", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, brw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				http.Error(w, "over HTTP/1.1 only", http.StatusHTTPVersionNotSupported)
				return
			}
			defer conn.Close()
			fmt.Fprint(brw, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nraw")
			_ = brw.Flush()
		}))
	})
	defer stop()
	fetch("GET", url+"/raw", "")
	resp, err := http.Get(url + "/raw")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// 505 over HTTP/1.1 only
	// 200 OK
}
