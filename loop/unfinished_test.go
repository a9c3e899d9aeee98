package loop_test

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// TestUnfinishedHeads ends the header section of a request at every octet but the last: no
// handler runs for it, of whatever kind. With the last octet one does.
func TestUnfinishedHeads(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Use(func(next loop.Handler) loop.Handler {
			return func(x *loop.Exchange) {
				calls.Add(1)
				next(x)
			}
		})
		srv.Handle("/", loop.Static(200, "text/plain", []byte("hello")))
	})

	block := []byte{0x82, 0x84, 0x86, 0x41, 1, 'a'} // GET, /, http, :authority a
	request := frames.AppendHeader(nil, frames.Header{Length: 3, Type: frames.TypeHeaders, Flags: frames.FlagEndStream, StreamID: 1})
	request = append(request, block[:3]...)
	request = frames.AppendHeader(request, frames.Header{Length: 3, Type: frames.TypeContinuation, Flags: frames.FlagEndHeaders, StreamID: 1})
	request = append(request, block[3:]...)
	begin := frames.AppendHeader([]byte(h2.Preface), frames.Header{Type: frames.TypeSettings})

	forEachTransport(t, func(t *testing.T, tr transport) {
		for _, tt := range []struct {
			version        string
			connect        func() net.Conn
			begin, request string
		}{
			{"HTTP/2", func() net.Conn { return ts.connect(tr) }, string(begin), string(request)},
			{"HTTP/1.1", func() net.Conn { return ts.dialHTTP1(tr) }, "", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		} {
			before := calls.Load()
			for n := 1; n <= len(tt.request); n++ {
				nc := tt.connect()
				// Once the server has ended the connection, it has seen all of it.
				if _, err := io.WriteString(nc, tt.begin+tt.request[:n]); err != nil {
					t.Fatal(err)
				}
				if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(nc)
				_ = nc.Close()
				whole := n == len(tt.request)
				if ran := calls.Load() - before; ran != 0 && !whole || ran != 1 && whole {
					t.Fatalf("%s: %d of %d octets, and %d handlers have run", tt.version, n, len(tt.request), ran)
				}
				if answered := strings.Contains(string(got), "hello"); answered && !whole {
					t.Errorf("%s: %d of %d octets are answered", tt.version, n, len(tt.request))
				}
			}
		}
	})
}
