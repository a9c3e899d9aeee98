package loop

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestDrainWhileBehind has the time of a new connection be over when its request is
// there, but the loop has not come to it.
func TestDrainWhileBehind(t *testing.T) {
	clients := make(chan net.Conn, 1)
	const request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	srv := stressServe(t, Config{Loops: 1, DrainGrace: time.Hour}, func(srv *Server) {
		srv.Handle("/", func(x *Exchange) { _ = x.SendString(200, "hello") })
		srv.Handle("/drain", func(x *Exchange) {
			a := x.conn.loop.conns.head
			if a == x.conn {
				a = a.next
			}
			srv.draining.Store(true)
			a.drain()
			_, _ = io.WriteString(<-clients, request)
			for end := time.Now().Add(stressPatience); !a.wire.hasInput(); {
				if time.Now().After(end) {
					t.Error("the request does not arrive")
					break
				}
			}
			a.onTimer()
			_ = x.SendString(200, "drained")
		})
	})
	nc, err := net.Dial("tcp", srv.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	clients <- nc
	_ = nc.SetDeadline(time.Now().Add(stressPatience))
	stressWait(t, "it is on the loop", func() bool { return srv.openConns() == 1 })
	url := "http://" + srv.Addrs()[0].String() + "/drain"
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	resp, err = http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatalf("the request that has come meanwhile is lost: %v", err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}
