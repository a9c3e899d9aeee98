package loop

import (
	"context"
	"encoding/binary"
	"net/http"
	"testing"
)

// TestAllocOffLoop counts the allocations of small GETs that are answered off the loop.
func TestAllocOffLoop(t *testing.T) {
	hello := []byte("Hello, World!")
	for _, tt := range []struct {
		name string
		most uint64
		add  func(srv *Server)
	}{
		{"async", 4, func(srv *Server) {
			handles := make(chan Async, 1)
			done := make(chan struct{})
			t.Cleanup(func() { close(done) })
			go func() {
				for {
					select {
					case a := <-handles:
						_ = a.Do(func(x *Exchange) { _ = x.SendStatic(200, hello) })
					case <-done:
						return
					}
				}
			}()
			srv.Handle("GET /items/{id}", func(x *Exchange) { handles <- x.Async() })
		}},
		{"suspended", 4, func(srv *Server) {
			srv.Handle("GET /items/{id}", func(x *Exchange) { _ = x.SendStatic(200, hello) }, func(next Handler) Handler {
				return func(x *Exchange) { _ = x.Suspend().Continue(next) }
			})
		}},
		{"blocking", 12, func(srv *Server) {
			srv.HandleBlocking("GET /items/{id}", func(_ context.Context, x *Exchange) error { return x.SendStatic(200, hello) })
		}},
		{"http", 12, func(srv *Server) {
			srv.HandleHTTP("GET /items/{id}", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(hello) }))
		}},
		{"stream", 2, func(srv *Server) {
			srv.Handle("GET /items/{id}", func(x *Exchange) {
				s, _ := x.Stream(200, -1)
				_, _ = s.TryWrite(hello)
				_ = s.Close()
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := stressServe(t, Config{}, tt.add)
			p := stressDial(t, srv, 1<<30)
			first, id := p.request("/items/7")
			p.write(first)
			p.endOf(id)
			req, id := p.request("/items/7")
			p.write(req)
			p.endOf(id)
			stressAllocsPerRun(t, 3000, tt.most, func() {
				id += 2
				binary.BigEndian.PutUint32(req[5:], uint32(id))
				p.write(req)
				p.endOf(id)
			})
		})
	}
}
