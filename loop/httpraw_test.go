package loop_test

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// TestHTTPRawRequests sends requests that no client of net/http would, and holds what
// a handler sees of them against what it sees with net/http's server.
func TestHTTPRawRequests(t *testing.T) {
	t.Parallel()
	seen := make(chan *notes, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := &notes{lines: map[string]string{}}
		seeRequest(w, r, n)
		n.add("its host", "%s", r.Host)
		seen <- n
	})
	theirs := standardServer(t, h)
	ours := newServer(t, loop.Config{}, func(srv *loop.Server) { srv.HandleHTTP("/", h) })
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: h",
		"GET http://other:1/a%2fb?q=1 HTTP/1.1\r\nHost: h",
		"GET HTTP://other/ HTTP/1.1\r\nHost: h",
		"GET http://other/?q HTTP/1.1\r\nHost: h",
		"OPTIONS http://other/x HTTP/1.1\r\nHost: h",
		"GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE",
		"GET / HTTP/1.1\r\nHost: h\r\nTe: trailers, deflate;q=0.5",
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: close",
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close",
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive",
		"GET / HTTP/1.1\r\nHost: h\r\nconnection: a\r\nX: y\r\nConnection: b",
		"GET / HTTP/1.0",
		"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive",
		"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket",
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c, websocket\r\nUpgrade: more\r\nHTTP2-Settings: x",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close",
	} {
		for range 3 { // the second and third time it may be known
			var got [2]map[string]string
			for i, addr := range []string{theirs, ours.addr(cleartext)} {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				_ = nc.SetDeadline(time.Now().Add(patience))
				_, _ = io.WriteString(nc, request+"\r\n\r\n")
				resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("%q: %v, %v", request, resp, err)
				}
				_ = nc.Close()
				got[i] = wait(t, "the handler", seen).lines
				got[i]["closes"] = strings.Join(resp.Header["Connection"], ",")
			}
			if !maps.Equal(got[0], got[1]) {
				t.Errorf("%q\nnet/http %q\nh2loop   %q", request, got[0], got[1])
			}
		}
	}
}
