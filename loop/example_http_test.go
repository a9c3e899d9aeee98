package loop_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing/fstest"

	"github.com/h2loop/h2loop/loop"
)

// A handler of net/http may block, and has a goroutine of its own; beside it, other
// routes run on the loop.
func ExampleServer_HandleHTTP() {
	url, stop := serve(func(srv *loop.Server) {
		srv.HandleHTTP("POST /upper/{name}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			fmt.Fprint(w, r.PathValue("name"), " said ", strings.ToUpper(string(p)))
		}))
		srv.Handle("GET /loop", func(x *loop.Exchange) { _ = x.SendString(200, "on the loop") })
	})
	defer stop()
	fetch("POST", url+"/upper/eve", "hello")
	fetch("GET", url+"/loop", "")
	// Output:
	// 200 eve said HELLO
	// 200 on the loop
}

// Whatever is a handler can be served, other routers and file servers for example.
func ExampleServer_HandleHTTP_fileServer() {
	content := http.FS(fstest.MapFS{"a.txt": {Data: []byte("file a")}})
	mux := http.NewServeMux()
	mux.Handle("/static/", http.StripPrefix("/static", http.FileServer(content)))
	url, stop := serve(func(srv *loop.Server) { srv.HandleHTTP("/", mux) })
	defer stop()
	fetch("GET", url+"/static/a.txt", "")
	fetch("GET", url+"/other", "")
	// Output:
	// 200 file a
	// 404 404 page not found
}

// Responses can be flushed piece by piece, for as long as the client listens.
func ExampleServer_HandleHTTP_events() {
	url, stop := serve(func(srv *loop.Server) {
		srv.HandleHTTP("GET /events", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				if r.Context().Err() != nil {
					return // the client has left
				}
				fmt.Fprintf(w, "data: %d\n\n", i)
				_ = http.NewResponseController(w).Flush()
			}
		}))
	})
	defer stop()
	fetch("GET", url+"/events", "")
	// Output:
	// 200 data: 0
	//
	// data: 1
	//
	// data: 2
}
