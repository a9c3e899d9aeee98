package loop

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestEndless has a handler that does not return, of each kind, while the server is to
// end: the others are served, and Run ends in bounded time. If the handler holds up its
// loop, that is an error; what it holds is given back should it return after all.
func TestEndless(t *testing.T) {
	for how, wantErr := range map[string]string{"loop": "do not end: a callback has not returned", "blocking": "", "http": ""} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			free, entered := make(chan struct{}), make(chan struct{}, 1)
			over := make(chan struct{})
			nop := zerolog.Nop()
			srv, err := New(Config{
				Listeners: []Listener{{Address: "127.0.0.1:0"}}, Loops: 2, Logger: &nop,
				DrainTimeout: 200 * time.Millisecond, DrainGrace: time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			if wantErr != "" {
				srv.stuckAfter = 200 * time.Millisecond
			}
			hang := func() {
				entered <- struct{}{}
				<-free
			}
			srv.Handle("/loop", func(x *Exchange) {
				_ = x.OnDone(func() { close(over) })
				hang()
			})
			srv.HandleBlocking("/blocking", func(context.Context, *Exchange) error {
				hang()
				return nil
			})
			srv.HandleHTTP("/http", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hang() }))
			srv.Handle("/hello", func(x *Exchange) { _ = x.SendString(200, "hello") })
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- srv.Run(ctx) }()

			// Connections go to the loops in turns, by their number.
			conns := make([]net.Conn, 2)
			for i := range conns {
				if conns[i], err = net.Dial("tcp", srv.Addrs()[0].String()); err != nil {
					t.Fatal(err)
				}
				defer conns[i].Close()
				_ = conns[i].SetDeadline(time.Now().Add(30 * time.Second))
				ask(t, conns[i], "/hello", true)
			}
			ask(t, conns[0], "/"+how, false)
			<-entered
			ask(t, conns[1], "/hello", true)
			stop()
			switch err := <-ended; {
			case wantErr == "" && err != nil, wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)):
				t.Errorf("Run: %v, want %q", err, wantErr)
			}
			close(free)
			if how == "loop" {
				<-over
			}
			for _, c := range conns { // which are closed, also that of the loop that was left
				if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
					t.Error(err)
				}
			}
		})
	}
}

// ask sends a request, and reads the answer if there is one.
func ask(t *testing.T, nc net.Conn, path string, answered bool) {
	t.Helper()
	if _, err := io.WriteString(nc, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if !answered {
		return
	}
	got := make([]byte, 4096)
	n, err := io.ReadAtLeast(nc, got, len("HTTP/1.1 200"))
	for err == nil && !strings.HasSuffix(string(got[:n]), "hello") {
		var more int
		more, err = nc.Read(got[n:])
		n += more
	}
	if err != nil || !strings.HasPrefix(string(got[:n]), "HTTP/1.1 200") {
		t.Fatalf("%q, %v", got[:n], err)
	}
}
