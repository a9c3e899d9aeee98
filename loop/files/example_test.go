package files_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/files"
)

func Example() {
	root, err := os.MkdirTemp("", "static")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(root)
	if err := os.WriteFile(filepath.Join(root, "style.css"), []byte("body { margin: 0 }"), 0o644); err != nil {
		panic(err)
	}

	dir, err := files.New(root, files.Options{})
	if err != nil {
		panic(err)
	}
	defer dir.Close()
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}})
	if err != nil {
		panic(err)
	}
	serve := dir.Handler("path")
	srv.Handle("/static/{path...}", func(x *loop.Exchange) {
		_ = x.SetHeader("cache-control", "max-age=3600")
		serve(x)
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- srv.Run(ctx) }()

	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	resp, err := client.Get("http://" + srv.Addrs()[0].String() + "/static/style.css")
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Println(resp.Status, resp.Header.Get("Content-Type"), resp.Header.Get("Cache-Control"))
	fmt.Println(string(body))

	stop()
	if err := <-ended; err != nil {
		panic(err)
	}
	// Output:
	// 200 OK text/css; charset=utf-8 max-age=3600
	// body { margin: 0 }
}
