package loop

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestHTTP1NotIdleBehindWork has a handler work on behind a response that is complete, for
// longer than a connection may be idle: that it is only from when the handler has returned.
func TestHTTP1NotIdleBehindWork(t *testing.T) {
	release := make(chan bool)
	srv := stressServe(t, Config{IdleTimeout: time.Hour}, func(srv *Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			_ = http.NewResponseController(w).Flush()
			<-release
		}))
	})
	nc, err := net.Dial("tcp", srv.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(stressPatience))
	_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	c := stressConnFrom(t, srv, uint16(nc.LocalAddr().(*net.TCPAddr).Port))
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		c.active = l.now - 2*time.Hour
		c.examine()
		if c.engine.Finished() || c.isDispensable() {
			t.Error("the connection counts as idle")
		}
		if next := c.nextExam(); next < l.now+l.examineEvery {
			t.Errorf("it is looked at again after %v", next-l.now)
		}
	})
	close(release)
	stressWait(t, "the handler has returned", func() bool { return srv.handlers.Load() == 0 })
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		c.examine()
		if c.engine.Finished() || c.active < l.now-time.Hour {
			t.Error("the time with the handler at work counts as idle")
		}
	})
}
