// Command nethttp is a peer for the benchmark: the routes of h2loop --bench
// on the standard library's server.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
)

func main() {
	listen := flag.String("listen", "", "address for TLS")
	cleartext := flag.String("listen-cleartext", "", "address for cleartext with prior knowledge")
	cert := flag.String("cert", "", "certificate file")
	key := flag.String("key", "", "key file")
	docs := flag.String("docs", "", "directory whose bench/* is served, from memory")
	flag.Parse()

	if *listen == "" && *cleartext == "" {
		log.Fatal("no address to listen on")
	}
	mux, err := routes(*docs)
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error)
	if *listen != "" {
		go func() { done <- newServer(*listen, mux).ListenAndServeTLS(*cert, *key) }()
	}
	if *cleartext != "" {
		go func() { done <- newServer(*cleartext, mux).ListenAndServe() }()
	}
	log.Fatal(<-done)
}

func newServer(addr string, h http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Addr:      addr,
		Handler:   h,
		Protocols: &protocols,
		// The largest windows the server takes, so that uploads do not wait.
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          256,
			MaxReceiveBufferPerConnection: 1 << 30,
			MaxReceiveBufferPerStream:     1 << 30,
		},
	}
}

func routes(docs string) (*http.ServeMux, error) {
	mux := http.NewServeMux()
	for pattern, name := range map[string]string{
		"hello": "hello", "varied/{name}": "hello", "1k": "1k", "64k": "64k", "10m": "10m",
	} {
		body, err := os.ReadFile(filepath.Join(docs, "bench", name))
		if err != nil {
			return nil, err
		}
		length := strconv.Itoa(len(body))
		mux.HandleFunc("GET /bench/"+pattern, func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "application/octet-stream")
			h.Set("Content-Length", length)
			_, _ = w.Write(body) // fails only when the client is gone
		})
	}
	mux.HandleFunc("GET /bench/204", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /bench/upload", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	return mux, nil
}
