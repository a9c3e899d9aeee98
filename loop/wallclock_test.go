package loop

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// TestWallClockJumps has somebody set the clock, forth by days and back by more: the Date
// field follows, and no timeout comes sooner or later for it.
func TestWallClockJumps(t *testing.T) {
	var jumped atomic.Int64
	srv := stressServe(t, Config{IdleTimeout: time.Hour}, func(srv *Server) {
		srv.wall = func(t time.Time) time.Time { return t.Add(time.Duration(jumped.Load())) }
		srv.Handle("/", func(x *Exchange) { _ = x.SendString(200, "hello") })
	})
	dial := func() (net.Conn, *bufio.Reader) {
		t.Helper()
		nc, err := net.Dial("tcp", srv.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(stressPatience))
		return nc, bufio.NewReader(nc)
	}
	date := func(nc net.Conn, br *bufio.Reader) time.Time {
		t.Helper()
		if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		at, err := http.ParseTime(resp.Header.Get("Date"))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	nc, br := dial()
	other, idle := dial()
	date(other, idle)
	for _, jump := range []time.Duration{0, 48 * time.Hour, -96 * time.Hour} {
		jumped.Store(int64(jump))
		stressWait(t, "Date to follow", func() bool {
			off := date(nc, br).Sub(time.Now().Add(jump))
			return -time.Minute < off && off < time.Minute
		})
	}
	// The clock is four days back. What is to last for an hour has not ended, and what is to
	// last for a moment does.
	if n := srv.openConns(); n != 2 {
		t.Errorf("%d connections are open, want both", n)
	}
	cfg := Config{Loops: 1, Listeners: []Listener{{Address: "127.0.0.1:0"}}, IdleTimeout: 100 * time.Millisecond}
	if _, err := srv.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(br); len(b) > 0 || err != nil {
		t.Errorf("an idle connection ends with %q, %v", b, err)
	}
	if b, err := io.ReadAll(idle); len(b) > 0 || err != nil {
		t.Errorf("another one ends with %q, %v", b, err)
	}
}
