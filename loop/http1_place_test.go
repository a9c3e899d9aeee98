package loop_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/h2loop/h2loop/loop"
)

// A workServer has handlers that work on behind a response that is complete.
type workServer struct {
	*testServer
	begun, release chan bool
}

func newWorkServer(t *testing.T) *workServer {
	s := &workServer{begun: make(chan bool, 10), release: make(chan bool)}
	s.testServer = newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/loop", say("hello"))
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.begun <- true
			switch r.URL.Path {
			case "/length":
				w.Header().Set("Content-Length", "8192")
				_, _ = w.Write(pattern(8192))
			case "/204":
				w.WriteHeader(204)
			}
			_ = http.NewResponseController(w).Flush()
			<-s.release
		}))
	})
	return s
}

// wantRequests fails the test unless n requests have begun, once the loop has seen all
// octets that its only client has sent.
func (s *workServer) wantRequests(n, octets int) {
	s.t.Helper()
	eventually(s.t, "the octets have come", func() bool {
		conns, _ := s.srv.Connections(loop.ConnQuery{Wait: patience})
		if len(conns) != 1 || conns[0].Received != int64(octets) {
			return false
		}
		if conns[0].Requests != n {
			s.t.Errorf("%d requests have begun, want %d", conns[0].Requests, n)
		}
		return true
	})
}

// TestHTTP1HandlerKeepsItsPlace has requests follow, at once and later, one whose
// response is complete while its handler works on: they wait until it has returned.
func TestHTTP1HandlerKeepsItsPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, path string
		status             int
		body               string
	}{
		{"length", "GET", "/length", 200, string(pattern(8192))},
		{"HEAD", "HEAD", "/", 200, ""},
		{"204", "GET", "/204", 204, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newWorkServer(t)
			nc := s.dial(cleartext)
			br := bufio.NewReader(nc)
			request := tt.method + " " + tt.path + " HTTP/1.1\r\nHost: h\r\n\r\n"
			sent := 0
			send := func(b string) {
				t.Helper()
				n, err := io.WriteString(nc, b)
				if err != nil {
					t.Fatal(err)
				}
				sent += n
			}
			send(request + request)
			wantResponse(t, br, tt.method, tt.status, tt.body)
			s.wantRequests(1, sent)
			s.release <- true
			wantResponse(t, br, tt.method, tt.status, tt.body)
			send("GET /loop HTTP/1.1\r\nHost: h\r\n\r\n")
			s.wantRequests(2, sent)
			close(s.release)
			wantResponse(t, br, "GET", 200, "hello")
			if n := len(s.begun); n != 2 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

// TestHTTP1DrainBehindWork ends the server while a handler works on: a request that
// waits for it is the last, and a connection without one ends at once.
func TestHTTP1DrainBehindWork(t *testing.T) {
	t.Parallel()
	s := newWorkServer(t)
	idle, waiting := s.dial(cleartext), s.dial(cleartext)
	idleIn, waitingIn := bufio.NewReader(idle), bufio.NewReader(waiting)
	const request = "GET /length HTTP/1.1\r\nHost: h\r\n\r\n"
	for nc, b := range map[net.Conn]string{idle: request, waiting: request + "GET /loop HTTP/1.1\r\nHost: h\r\n\r\n"} {
		if _, err := io.WriteString(nc, b); err != nil {
			t.Fatal(err)
		}
	}
	wantResponse(t, idleIn, "GET", 200, string(pattern(8192)))
	wantResponse(t, waitingIn, "GET", 200, string(pattern(8192)))
	s.stop()
	if _, err := idleIn.ReadByte(); err != io.EOF {
		t.Errorf("%v, want EOF", err)
	}
	eventually(t, "the other drains", func() bool {
		conns, _ := s.srv.Connections(loop.ConnQuery{Wait: patience})
		for _, c := range conns {
			if c.State == "draining" {
				return true
			}
		}
		return false
	})
	close(s.release)
	if resp := wantResponse(t, waitingIn, "GET", 200, "hello"); !resp.Close {
		t.Error("it is not said that the connection ends")
	}
	if _, err := waitingIn.ReadByte(); err != io.EOF {
		t.Errorf("%v, want EOF", err)
	}
}

// TestHTTP1LeavesBehindWork has the client leave while a handler works on, with a request
// that waits: nobody answers it.
func TestHTTP1LeavesBehindWork(t *testing.T) {
	t.Parallel()
	s := newWorkServer(t)
	nc := s.dial(cleartext)
	const request = "GET /length HTTP/1.1\r\nHost: h\r\n\r\n"
	if _, err := io.WriteString(nc, request+request); err != nil {
		t.Fatal(err)
	}
	wantResponse(t, bufio.NewReader(nc), "GET", 200, string(pattern(8192)))
	_ = nc.(*net.TCPConn).SetLinger(0)
	_ = nc.Close()
	eventually(t, "the connection is gone", func() bool { return s.srv.Stats().Connections == 0 })
	close(s.release)
	eventually(t, "the handler has returned", func() bool { return s.srv.Stats().HTTPHandlers == 0 })
	s.turn()
	if n := len(s.begun); n != 1 {
		t.Errorf("%d calls", n)
	}
	nc = s.dial(cleartext)
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	wantResponse(t, bufio.NewReader(nc), "GET", 200, string(pattern(8192)))
}
