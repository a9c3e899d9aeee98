// Package looptest runs a [loop.Server] for a test, as net/http/httptest does for
// net/http:
//
//	func TestHello(t *testing.T) {
//		ts := looptest.New(t, func(srv *loop.Server) {
//			srv.Handle("GET /hello", hello)
//		})
//		resp, err := ts.Client().Get(ts.URL() + "/hello")
//		…
//	}
//
// The server listens on a port of the loopback interface, and ends with the test. Its
// callbacks may fail the test, with t.Fatal too, which costs their stream and not the
// server; use of an exchange that is over panics.
package looptest
