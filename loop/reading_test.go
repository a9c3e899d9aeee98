package loop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestReadByEdge has clients do what could be missed by who is told of octets once, when
// they come: send more than one read takes, and end their side behind a request that
// has not been read.
func TestReadByEdge(t *testing.T) {
	srv := stressServe(t, Config{}, func(srv *Server) {
		srv.Handle("POST /", func(x *Exchange) {
			_ = x.ReadBody(1<<20, func(x *Exchange, body []byte) { _ = x.SendString(200, fmt.Sprint(len(body))) })
		})
	})
	dial := func() (*net.TCPConn, *bufio.Reader, *conn) {
		nc, err := net.Dial("tcp", srv.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(stressPatience))
		br := bufio.NewReader(nc)
		var c *conn
		for i := range edgeRequests + 1 {
			post(t, nc, i)
			wantBody(t, br, i)
			if c == nil {
				c = stressConnFrom(t, srv, uint16(nc.LocalAddr().(*net.TCPAddr).Port))
			}
		}
		return nc.(*net.TCPConn), br, c
	}
	wantTrigger := func(c *conn, want trigger) {
		t.Helper()
		stressOnLoop(t, srv, 0, func(*eventLoop) {
			if c.trigger != want {
				t.Errorf("trigger %d, want %d", c.trigger, want)
			}
		})
	}

	nc, br, c := dial()
	wantTrigger(c, byEdge)
	stressOnLoop(t, srv, 0, func(*eventLoop) { // which finds all of it at once
		post(t, nc, 4*readSize)
		stressWaitInput(t, c.wire.fd, readSize)
	})
	wantBody(t, br, 4*readSize)
	wantTrigger(c, onlyByLevel)
	for i := range 3 {
		post(t, nc, i)
		wantBody(t, br, i)
	}

	nc, br, c = dial()
	stressOnLoop(t, srv, 0, func(*eventLoop) {
		post(t, nc, 7)
		if err := nc.CloseWrite(); err != nil {
			t.Error(err)
		}
		if !stressPoll(c.wire.fd, unix.POLLRDHUP, stressPatience) {
			t.Error("the end has not come")
		}
	})
	wantBody(t, br, 7)
	if _, err := br.ReadByte(); err != io.EOF {
		t.Errorf("behind the last answer: %v, want EOF", err)
	}
	stressWait(t, "the connection is gone", func() bool { return srv.loops[0].nconns.Load() == 1 })
}

// stressWaitInput waits until at least n octets have come to fd and were not read.
func stressWaitInput(t testing.TB, fd, n int) {
	stressWait(t, "octets come", func() bool {
		got, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		return err != nil || got >= n
	})
}

// post sends a body of n octets.
func post(t testing.TB, w io.Writer, n int) {
	t.Helper()
	if _, err := fmt.Fprintf(w, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n)); err != nil {
		t.Error(err)
	}
}

// wantBody takes the answer to post.
func wantBody(t testing.TB, br *bufio.Reader, n int) {
	t.Helper()
	r, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != fmt.Sprint(n) {
		t.Errorf("%q (%v), want %d", body, err, n)
	}
}
