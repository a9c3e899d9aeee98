package loop_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// hijack takes the connection, or fails the request.
func hijack(t *testing.T, w http.ResponseWriter) (net.Conn, *bufio.ReadWriter) {
	nc, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Errorf("Hijack: %v", err)
		http.Error(w, err.Error(), 500)
	}
	return nc, brw
}

const (
	upgradeRequest = "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
	upgradeAnswer  = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
)

// TestHijackEcho sends more both ways than any buffer holds, the first of it together
// with the request, and reads nothing until the server has to wait.
func TestHijackEcho(t *testing.T) {
	t.Parallel()
	body := pattern(bigLen)
	ended := make(chan error, 2)
	ts := newServer(t, loop.Config{HTTPHandlers: 1}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			nc, _ := hijack(t, w)
			if nc == nil {
				return
			}
			_, _ = io.WriteString(nc, upgradeAnswer)
			go func() { // the handler returns, and makes room for the next
				_, err := io.Copy(nc, nc)
				_ = nc.Close()
				ended <- err
			}()
		}))
	})
	for _, tr := range transports {
		t.Run(string(tr), func(t *testing.T) {
			nc := ts.dialHTTP1(tr)
			defer nc.Close()
			go func() {
				_, _ = nc.Write(append([]byte(upgradeRequest), body...))
			}()
			got := make([]byte, len(upgradeAnswer)+len(body))
			n, err := io.ReadFull(nc, got)
			if err != nil {
				t.Fatalf("%v behind %d octets", err, n)
			}
			if !bytes.HasPrefix(got, []byte(upgradeAnswer)) {
				t.Errorf("%.100q", got)
			}
			wantSame(t, got[len(upgradeAnswer):], body)
			_ = nc.Close()
			if err := wait(t, "the end", ended); err != nil {
				t.Errorf("the client closes, and that is %v", err)
			}
		})
	}
}

// TestHijackClose has Close, a deadline and the client end what waits, and Close send
// what was written before.
func TestHijackClose(t *testing.T) {
	t.Parallel()
	body := pattern(200_000)
	const big = 64 << 20
	notes := make(chan string, 10)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			nc, _ := hijack(t, w)
			if nc == nil {
				return
			}
			defer nc.Close()
			done := make(chan error, 2)
			read := func() {
				_, err := nc.Read(make([]byte, 1))
				done <- err
			}
			write := func() {
				_, err := nc.Write(make([]byte, big))
				done <- err
			}
			switch r.URL.Path {
			case "/close":
				_, _ = nc.Write(body)
				go read()
				_ = nc.Close()
				notes <- kind(<-done)
			case "/close-full":
				_ = nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
				for err := error(nil); err == nil; { // until the sockets are full
					_, err = nc.Write(make([]byte, big))
				}
				_ = nc.SetWriteDeadline(time.Time{})
				go write()
				go read()
				time.Sleep(50 * time.Millisecond) // for them to wait; too soon is no failure
				_ = nc.Close()
				notes <- kind(<-done) + ", " + kind(<-done)
			case "/deadline":
				go read()
				_ = nc.SetReadDeadline(time.Now().Add(time.Hour))
				_ = nc.SetReadDeadline(time.Now())
				notes <- kind(<-done)
				_ = nc.SetReadDeadline(time.Time{})
				_, _ = nc.Write([]byte("go on"))
				p := make([]byte, 10)
				n, err := nc.Read(p)
				notes <- string(p[:n]) + " " + kind(err)
				read()
				notes <- kind(<-done)
				for err = nil; err == nil; {
					_, err = nc.Write([]byte("x"))
				}
				notes <- kind(err)
			}
		}))
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		ask := func(path string) net.Conn {
			nc := ts.dialHTTP1(tr)
			if _, err := io.WriteString(nc, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			return nc
		}
		nc := ask("/close")
		wantSame(t, readAll(t, nc), body)
		wantNote(t, notes, "closed")
		_ = nc.Close()

		nc = ask("/close-full")
		wantNote(t, notes, "closed, closed")
		_ = nc.Close()

		nc = ask("/deadline")
		wantNote(t, notes, "timeout")
		p := make([]byte, 5)
		if _, err := io.ReadFull(nc, p); err != nil || string(p) != "go on" {
			t.Errorf("%q %v", p, err)
		}
		_, _ = io.WriteString(nc, "more")
		wantNote(t, notes, "more nil")
		_ = nc.Close()
		wantNote(t, notes, "EOF")
		wantNote(t, notes, "gone")
	})
}

// kind says what an error of a connection is.
func kind(err error) string {
	switch {
	case err == nil:
		return "nil"
	case errors.Is(err, io.EOF):
		return "EOF"
	case errors.Is(err, net.ErrClosed):
		return "closed"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	default:
		return "gone"
	}
}

func wantNote(t *testing.T, notes <-chan string, want string) {
	t.Helper()
	if got := wait(t, want, notes); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestHijackDrain has a drain wait for a connection that was hijacked, and cut it off.
func TestHijackDrain(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{10 * patience, 200 * time.Millisecond} {
		t.Run(timeout.String(), func(t *testing.T) {
			t.Parallel()
			ended := make(chan string, 1)
			ts := newServer(t, loop.Config{DrainTimeout: timeout}, func(srv *loop.Server) {
				srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					nc, _ := hijack(t, w)
					if nc == nil {
						return
					}
					defer nc.Close()
					_, _ = io.WriteString(nc, "begun")
					_, err := io.Copy(nc, nc)
					ended <- kind(err)
				}))
			})
			nc := ts.dialHTTP1(cleartext)
			_, _ = io.WriteString(nc, upgradeRequest)
			p := make([]byte, 5)
			if _, err := io.ReadFull(nc, p); err != nil {
				t.Fatal(err)
			}
			ts.stop()
			eventually(t, "the listener to close", func() bool {
				c, err := net.Dial("tcp", ts.addr(cleartext))
				if err == nil {
					_ = c.Close()
				}
				return err != nil
			})
			if timeout > patience {
				_, _ = io.WriteString(nc, "still")
				if _, err := io.ReadFull(nc, p); err != nil || string(p) != "still" {
					t.Errorf("while the server drains: %q %v", p, err)
				}
				_ = nc.Close()
			}
			wantNote(t, ended, "nil") // it is the end of what the client sends
			ts.shutdown()
		})
	}
}

// TestHijackNot is about what comes to nothing: a body that has not ended, 101 without
// Hijack, and a panic of a handler that has the connection.
func TestHijackNot(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/body", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _, err := http.NewResponseController(w).Hijack()
			http.Error(w, err.Error(), 500)
		}))
		srv.HandleHTTP("/101", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(101)
			_ = http.NewResponseController(w).Flush()
		}))
		srv.HandleHTTP("/panic", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if nc, _ := hijack(t, w); nc != nil {
				defer nc.Close()
				_, _ = io.WriteString(nc, "all there is")
				panic("on purpose")
			}
		}))
		hello(srv)
	})
	ts.expectLog("on purpose")
	forEachTransport(t, func(t *testing.T, tr transport) {
		for request, want := range map[string]string{
			"POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf": "HTTP/1.1 500 ",
			"GET /101 HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n\r\n":       "HTTP/1.1 101 Switching Protocols\r\nDate: ",
			"GET /panic HTTP/1.1\r\nHost: h\r\n\r\n":                           "all there is",
		} {
			nc := ts.dialHTTP1(tr)
			_, _ = io.WriteString(nc, request)
			if strings.Contains(request, "/body") {
				_ = nc.SetReadDeadline(time.Now().Add(patience))
				resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
				if err != nil || resp.StatusCode != 500 {
					t.Errorf("%v, %v", resp, err)
				}
				_ = nc.Close()
				continue
			}
			b, _ := io.ReadAll(nc)
			if !strings.HasPrefix(string(b), want) || strings.Count(string(b), "HTTP/1.1") > 1 {
				t.Errorf("%q: %q", request, b)
			}
			_ = nc.Close()
		}
	})
}

// TestHijackRaces has clients leave at every moment: before, during and after Hijack. The
// handlers and what they have started end, which TestMain sees.
func TestHijackRaces(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			nc, brw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return // the client has left
			}
			running.Add(2)
			go func() {
				defer running.Done()
				defer nc.Close()
				_, _ = io.Copy(nc, brw)
			}()
			go func() {
				defer running.Done()
				_ = nc.SetWriteDeadline(time.Now().Add(patience))
				_, _ = nc.Write(make([]byte, 100_000))
			}()
		}))
	})
	var clients sync.WaitGroup
	for i := range 100 {
		clients.Go(func() {
			nc, err := net.Dial("tcp", ts.addr(cleartext))
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			_, _ = io.WriteString(nc, upgradeRequest)
			if i%4 > 0 {
				_, _ = nc.Read(make([]byte, 1000*(i%4-1)+1))
			}
			if i%3 == 0 {
				_ = nc.(*net.TCPConn).SetLinger(0) // a reset
			}
		})
	}
	clients.Wait()
	ts.shutdown()
	running.Wait()
}
